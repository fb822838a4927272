/* SPDX-License-Identifier: MIT
 *
 * health.c - smx_app_ready, smx_app_live, smx_check_*, smx_rule_*: the health of applications as
 * families; and smx_process_last_heartbeat_timestamp_seconds, of who has ever sent one. They are
 * about applications, so they get the labels that the user gives to those; and of an application
 * whose series he does not expose none is told. No other label is asked about: who exposes series
 * of some status only does not mean that of his checks.
 */
#include "agent/gather/label.h"
#include "agent/gather/own.h"
#include "agent/gather/selection.h"
#include "agent/health/health.h"

#include <stdio.h>

static struct smx_str str(const char *text)
{
    return (struct smx_str){text, strlen(text)};
}

static void add_label(struct own_labels *labels, struct smx_str name, const char *value)
{
    labels->at[labels->n++] = (struct smx_label){name, str(value)};
}

static struct own_labels labels_of(const struct health_app *app)
{
    struct own_labels labels = {.n = 0};
    add_label(&labels, LABEL_STR("app"), app->source.app);
    if (app->source.instance[0])
        add_label(&labels, LABEL_STR("app_instance"), app->source.instance);
    return labels;
}

/* What is told of, and how. */
struct teller {
    struct own *own;
    const struct render_rules *rules;
    const struct selection *selection; /* or NULL */
};

static bool tells_of(const struct teller *t, const struct health_app *app)
{
    const struct own_labels labels = labels_of(app);
    return (!t->selection || selection_has_app(t->selection, labels.at[0].value)) &&
           filter_has_labels(t->rules->filter, labels.at, labels.n);
}

static void add_sample(const struct teller *t, const struct own_labels *of, uint64_t ticks,
                       unsigned digits)
{
    struct own_labels labels = *of;
    labels.n = label_add_missing(labels.at, labels.n, t->rules->labels, t->rules->n_labels);
    own_sample(t->own, &labels, ticks, digits);
}

static const char *yes_or_no(bool is)
{
    return is ? "true" : "false";
}

/* One of several states is 1, the others are 0. */
static void add_states(const struct teller *t, const struct own_labels *of,
                       const char *const names[], size_t n, size_t state)
{
    for (size_t i = 0; i < n; i++) {
        struct own_labels labels = *of;
        add_label(&labels, LABEL_STR("status"), names[i]);
        add_sample(t, &labels, i == state, 0);
    }
}

static void add_ready(const struct teller *t, const struct health_app *app)
{
    const struct own_labels labels = labels_of(app);
    add_sample(t, &labels, app->ready, 0);
}

static void add_live(const struct teller *t, const struct health_app *app)
{
    const struct own_labels labels = labels_of(app);
    add_sample(t, &labels, app->live, 0);
}

static void add_checks(const struct teller *t, const struct health_app *app)
{
    static const char *const names[] = {"silent", "ok", "degraded", "failed"};
    for (size_t i = 0; i < app->n_checks; i++) {
        const struct health_check *check = &app->checks[i];
        struct own_labels labels = labels_of(app);
        add_label(&labels, LABEL_STR("check"), check->info->name.at);
        add_label(&labels, LABEL_STR("critical"), yes_or_no(check->info->critical));
        add_states(t, &labels, names, sizeof names / sizeof names[0], check->result.state);
    }
}

static void add_reports(const struct teller *t, const struct health_app *app)
{
    for (size_t i = 0; i < app->n_checks; i++) {
        const struct health_check *check = &app->checks[i];
        struct own_labels labels = labels_of(app);
        if (check->result.newest_ns == 0)
            continue;
        add_label(&labels, LABEL_STR("check"), check->info->name.at);
        add_sample(t, &labels, check->result.newest_ns, 9);
    }
}

static void add_findings(const struct teller *t, const struct health_app *app)
{
    static const char *const names[] = {"ok", "degraded", "failed"};
    for (size_t i = 0; i < app->n_findings; i++) {
        const struct health_finding *finding = &app->findings[i];
        struct own_labels labels = labels_of(app);
        add_label(&labels, LABEL_STR("rule"), finding->rule->name);
        add_label(&labels, LABEL_STR("critical"), yes_or_no(finding->rule->critical));
        add_states(t, &labels, names, sizeof names / sizeof names[0], finding->status);
    }
}

static void add_beats(const struct teller *t, const struct health_app *app)
{
    size_t n;
    const struct smx_process_info *processes = smx_reader_processes(app->source.reader, &n);
    for (size_t i = 0; i < n; i++) {
        char worker[16];
        struct own_labels labels = labels_of(app);
        if (!processes[i].live || !processes[i].heartbeat_ns)
            continue;
        snprintf(worker, sizeof worker, "%u", (unsigned)processes[i].worker);
        add_label(&labels, LABEL_STR("role"), processes[i].role);
        add_label(&labels, LABEL_STR("worker"), worker);
        add_sample(t, &labels, processes[i].heartbeat_ns, 9);
    }
}

static const struct {
    struct own_family family;
    void (*add)(const struct teller *t, const struct health_app *app);
    bool of_readers;
} families[] = {
    {{"smx_app_ready", "Whether processes of the application live and nothing critical has failed.",
      NULL, SMX_GAUGE},
     add_ready,
     false},
    {{"smx_app_live", "Whether a process of the application lives and not all of them hang.", NULL,
      SMX_GAUGE},
     add_live,
     false},
    {{"smx_check_status", "The application's own checks: 1 for the status that each is in.", NULL,
      SMX_GAUGE},
     add_checks,
     true},
    {{"smx_check_last_report_timestamp_seconds",
      "When a process that lives has last reported on the application's check.", "seconds",
      SMX_GAUGE},
     add_reports,
     true},
    {{"smx_rule_status", "Health rules of the configuration: 1 for the status that each is in.",
      NULL, SMX_GAUGE},
     add_findings,
     false},
    {{"smx_process_last_heartbeat_timestamp_seconds",
      "When a process that lives, and has ever sent a heartbeat, has sent its last.", "seconds",
      SMX_GAUGE},
     add_beats,
     true},
};

void health_expose(struct own *own, const struct health *h, const struct render_rules *rules,
                   const struct selection *s)
{
    const struct teller t = {.own = own, .rules = rules, .selection = s};
    for (size_t f = 0; f < sizeof families / sizeof families[0]; f++) {
        own_begin(own, &families[f].family);
        for (size_t i = 0; i < h->n; i++) {
            const struct health_app *app = &h->apps[i];
            if ((app->source.reader || !families[f].of_readers) && tells_of(&t, app))
                families[f].add(&t, app);
        }
    }
}
