/* SPDX-License-Identifier: MIT
 *
 * evaluate.c - judges applications: counts their processes, asks their checks and the rules, and
 * decides what follows.
 */
#include "agent/health/health.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *health_status_name(enum health_status status)
{
    static const char *const names[] = {"ok", "degraded", "failed", "stopped", "unknown"};
    return names[status];
}

const char *health_kind_name(enum health_kind kind)
{
    static const char *const names[] = {"workers", "heartbeat", "metric"};
    return names[kind];
}

bool health_is_named(const struct health_app *app, const char *name, const char *instance)
{
    return strcmp(app->source.app, name) == 0 &&
           (!instance || strcmp(app->source.instance, instance) == 0);
}

static bool is_for(const struct health_rule *rule, const struct health_app *app)
{
    return !rule->app || health_is_named(app, rule->app, rule->instance);
}

static bool has_role(const struct health_rule *rule, const char *role)
{
    return !rule->role || strcmp(rule->role, role) == 0;
}

/* A heartbeat from the future, by more than its limit, is none: the clock was set back. */
static bool is_old(uint64_t then_ns, uint64_t now_ns, uint64_t limit_ns)
{
    return (now_ns > then_ns ? now_ns - then_ns : then_ns - now_ns) > limit_ns;
}

/* Whether a process hangs by one of the rules. Who never sends heartbeats is not judged by them. */
static bool is_hung(const struct health_app *app, const struct health_rules *rules,
                    const struct smx_process_info *process)
{
    for (size_t i = 0; process->heartbeat_ns && i < rules->n; i++) {
        const struct health_rule *rule = &rules->at[i];
        if (rule->kind == HEALTH_HEARTBEAT && is_for(rule, app) && has_role(rule, process->role) &&
            is_old(process->heartbeat_ns, app->at_ns, rule->max_age_ns))
            return true;
    }
    return false;
}

static struct health_role *find_role(struct health_app *app, const char *name)
{
    for (size_t i = 0; i < app->n_roles; i++)
        if (strcmp(app->roles[i].name, name) == 0)
            return &app->roles[i];
    return NULL;
}

/* The last place is for all that have none. */
static struct health_role *role_of(struct health_app *app, const char *name)
{
    struct health_role *role = find_role(app, name);
    if (!role && app->n_roles >= HEALTH_ROLES_MAX - 1)
        role = find_role(app, name = "(other)");
    if (role)
        return role;
    assert(app->n_roles < HEALTH_ROLES_MAX);
    app->roles[app->n_roles] = (struct health_role){.name = name};
    return &app->roles[app->n_roles++];
}

static void count_process(struct health_app *app, const struct health_rules *rules,
                          const struct smx_process_info *process)
{
    struct health_role *role = role_of(app, process->role);
    bool hung = is_hung(app, rules, process);
    uint64_t beat = process->heartbeat_ns;
    role->live++;
    role->hung += hung;
    app->n_live++;
    app->n_hung += hung;
    if (beat > role->last_beat_ns)
        role->last_beat_ns = beat;
    if (beat && (!role->oldest_beat_ns || beat < role->oldest_beat_ns))
        role->oldest_beat_ns = beat;
    if (beat > app->last_beat_ns)
        app->last_beat_ns = beat;
}

static void count_processes(struct health_app *app, const struct health_rules *rules)
{
    size_t n;
    const struct smx_process_info *processes = smx_reader_processes(app->source.reader, &n);
    for (size_t i = 0; i < n; i++)
        if (processes[i].live)
            count_process(app, rules, &processes[i]);
}

static void judge_checks(struct health_app *app)
{
    static const enum health_status status[] = {[SMX_CHECK_SILENT] = HEALTH_FAILED,
                                                [SMX_CHECK_OK] = HEALTH_OK,
                                                [SMX_CHECK_DEGRADED] = HEALTH_DEGRADED,
                                                [SMX_CHECK_FAILED] = HEALTH_FAILED};
    app->n_checks = smx_reader_info(app->source.reader)->n_checks;
    for (size_t i = 0; i < app->n_checks; i++) {
        struct health_check *check = &app->checks[i];
        check->info = smx_reader_check(app->source.reader, i);
        check->result = smx_check_combine(check->info, app->at_ns);
        check->status = status[check->result.state];
    }
}

static void judge_workers(const struct health_app *app, const struct health_rule *rule,
                          struct health_finding *out)
{
    uint64_t n = 0, hung = 0;
    for (size_t i = 0; i < app->n_roles; i++) {
        if (!has_role(rule, app->roles[i].name))
            continue;
        n += app->roles[i].live - app->roles[i].hung;
        hung += app->roles[i].hung;
    }
    out->status = n >= rule->least ? HEALTH_OK : HEALTH_FAILED;
    if (n >= rule->least)
        return;
    int length = snprintf(out->why, sizeof out->why, "%ju%s%.32s process%s live%s, %ju needed",
                          (uintmax_t)n, rule->role ? " " : "", rule->role ? rule->role : "",
                          n == 1 ? "" : "es", n == 1 ? "s" : "", (uintmax_t)rule->least);
    if (hung && length > 0 && (size_t)length < sizeof out->why)
        snprintf(out->why + length, sizeof out->why - (size_t)length, "; %ju more hang",
                 (uintmax_t)hung);
}

/* Some that hang are the others' work; all of them, and nobody works. */
static void judge_heartbeats(const struct health_app *app, const struct health_rule *rule,
                             struct health_finding *out)
{
    size_t n, beating = 0, hung = 0;
    const struct smx_process_info *longest = NULL;
    const struct smx_process_info *processes = smx_reader_processes(app->source.reader, &n);
    for (size_t i = 0; i < n; i++) {
        if (!processes[i].live || !processes[i].heartbeat_ns || !has_role(rule, processes[i].role))
            continue;
        beating++;
        if (!is_old(processes[i].heartbeat_ns, app->at_ns, rule->max_age_ns))
            continue;
        hung++;
        if (!longest || processes[i].heartbeat_ns < longest->heartbeat_ns)
            longest = &processes[i];
    }
    out->status = !hung ? HEALTH_OK : hung < beating ? HEALTH_DEGRADED : HEALTH_FAILED;
    if (longest)
        snprintf(
            out->why, sizeof out->why,
            "%zu of %zu%s%.32s processes without a heartbeat for %g s, number %u for the longest",
            hung, beating, rule->role ? " " : "", rule->role ? rule->role : "",
            (double)rule->max_age_ns / 1e9, (unsigned)longest->worker);
}

/* Where nothing lives, or nothing is known, only that is to be said: workers are missing. */
static void judge_rule(const struct health_app *app, const struct health_rule *rule,
                       struct health_finding *out)
{
    *out = (struct health_finding){.rule = rule, .status = HEALTH_OK};
    if (rule->kind == HEALTH_WORKERS)
        judge_workers(app, rule, out);
    else if (app->n_live && rule->kind == HEALTH_HEARTBEAT)
        judge_heartbeats(app, rule, out);
    else if (app->n_live)
        health_judge_metric(app->source.reader, rule, out);
}

static void judge_rules(struct health_app *app, const struct health_rules *rules)
{
    for (size_t i = 0; i < rules->n; i++)
        if (is_for(&rules->at[i], app))
            judge_rule(app, &rules->at[i], &app->findings[app->n_findings++]);
}

/* The worst of a critical thing is a failure, of another one a degradation. */
static void weigh(struct health_app *app, enum health_status status, bool critical)
{
    enum health_status weight = critical                   ? status
                                : status > HEALTH_DEGRADED ? HEALTH_DEGRADED
                                                           : status;
    if (weight > app->status)
        app->status = weight;
}

static void decide(struct health_app *app)
{
    bool hangs = false;
    for (size_t i = 0; app->n_live && i < app->n_checks; i++)
        weigh(app, app->checks[i].status, app->checks[i].info->critical);
    for (size_t i = 0; i < app->n_findings; i++) {
        const struct health_finding *finding = &app->findings[i];
        weigh(app, finding->status, finding->rule->critical);
        hangs = hangs || (finding->rule->kind == HEALTH_HEARTBEAT && finding->rule->critical &&
                          finding->status == HEALTH_FAILED);
    }
    app->live = app->n_live && !hangs;
    app->ready = app->n_live && app->status <= HEALTH_DEGRADED;
    if (!app->n_live)
        app->status = app->status == HEALTH_OK ? HEALTH_STOPPED : HEALTH_FAILED;
}

/* That the agent cannot read a segment is no reason to start its application anew. */
static void judge_app(struct health_app *app, const struct health_rules *rules)
{
    const bool known = app->source.reader != NULL;
    const bool there = known || app->source.path;
    if (known) {
        count_processes(app, rules);
        judge_checks(app);
    }
    if (known || !there)
        judge_rules(app, rules);
    decide(app);
    if (known || !there)
        return;
    app->status = HEALTH_UNKNOWN;
    app->live = true;
}

static bool is_known(const struct health *h, const struct health_rule *rule)
{
    for (size_t i = 0; i < h->n; i++)
        if (is_for(rule, &h->apps[i]))
            return true;
    return false;
}

/* The array, with room for n; what was in it is lost. NULL without memory. */
static void *reserve(void *array, size_t *room, size_t n, size_t size)
{
    if (n <= *room)
        return array;
    free(array);
    *room = 0;
    array = calloc(n, size);
    if (array)
        *room = n;
    return array;
}

static int reserve_all(struct health *h, const struct health_input *in)
{
    size_t roles = 0, checks = 0;
    const size_t apps = in->n + in->rules.n;
    for (size_t i = 0; i < in->n; i++) {
        const struct smx_segment_info *info =
            in->sources[i].reader ? smx_reader_info(in->sources[i].reader) : NULL;
        if (!info)
            continue;
        roles += info->n_live < HEALTH_ROLES_MAX ? info->n_live : HEALTH_ROLES_MAX;
        checks += info->n_checks;
    }
    h->apps = reserve(h->apps, &h->room_apps, apps + 1, sizeof *h->apps);
    h->roles = reserve(h->roles, &h->room_roles, roles + 1, sizeof *h->roles);
    h->checks = reserve(h->checks, &h->room_checks, checks + 1, sizeof *h->checks);
    h->findings =
        reserve(h->findings, &h->room_findings, apps * in->rules.n + 1, sizeof *h->findings);
    return h->apps && h->roles && h->checks && h->findings ? 0 : -ENOMEM;
}

static void add_app(struct health *h, const struct health_source *source,
                    const struct health_input *in)
{
    struct health_app *app = &h->apps[h->n++];
    *app = (struct health_app){.source = *source,
                               .at_ns = in->now_ns - source->age_ns,
                               .roles = h->roles + h->n_roles,
                               .checks = h->checks + h->n_checks,
                               .findings = h->findings + h->n_findings};
    judge_app(app, &in->rules);
    h->n_roles += app->n_roles;
    h->n_checks += app->n_checks;
    h->n_findings += app->n_findings;
}

int health_evaluate(struct health *h, const struct health_input *in)
{
    h->n = h->n_roles = h->n_checks = h->n_findings = 0;
    if (reserve_all(h, in) < 0)
        return -ENOMEM;
    for (size_t i = 0; i < in->n; i++)
        add_app(h, &in->sources[i], in);
    for (size_t i = 0; i < in->rules.n; i++) {
        const struct health_rule *rule = &in->rules.at[i];
        if (rule->app && !is_known(h, rule))
            add_app(h,
                    &(struct health_source){.app = rule->app,
                                            .instance = rule->instance ? rule->instance : ""},
                    in);
    }
    return 0;
}

void health_fini(struct health *h)
{
    free(h->apps);
    free(h->roles);
    free(h->checks);
    free(h->findings);
    *h = (struct health){0};
}
