/* SPDX-License-Identifier: MIT
 *
 * applications.c - what was found of applications, in the words of the documents that
 * health.schema.json describes.
 */
#include "agent/http/applications.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* As of the look; null where there is no such time. A clock that was set back makes an age of 0. */
static json_t *age(uint64_t then_ns, uint64_t at_ns)
{
    if (then_ns == 0)
        return json_null();
    return json_from_ns(at_ns > then_ns ? at_ns - then_ns : 0);
}

static json_t *role_part(const struct health_role *role, uint64_t at_ns, bool *failed)
{
    json_t *part = json_object();
    json_put(part, "role", json_from_text(role->name), failed);
    json_put(part, "live", json_from_number(role->live), failed);
    json_put(part, "hung", json_from_number(role->hung), failed);
    json_put(part, "newest_heartbeat_age_seconds", age(role->last_beat_ns, at_ns), failed);
    json_put(part, "oldest_heartbeat_age_seconds", age(role->oldest_beat_ns, at_ns), failed);
    return part;
}

static json_t *processes_part(const struct health_app *app, bool *failed)
{
    json_t *part = json_object(), *roles = json_array();
    for (size_t i = 0; i < app->n_roles; i++)
        json_push(roles, role_part(&app->roles[i], app->at_ns, failed), failed);
    json_put(part, "live", json_from_number(app->n_live), failed);
    json_put(part, "hung", json_from_number(app->n_hung), failed);
    json_put(part, "newest_heartbeat_age_seconds", age(app->last_beat_ns, app->at_ns), failed);
    json_put(part, "roles", roles, failed);
    return part;
}

static json_t *check_part(const struct health_check *check, uint64_t at_ns, bool *failed)
{
    const struct smx_check_info *info = check->info;
    const struct smx_check_result *result = &check->result;
    json_t *part = json_object();
    json_put(part, "name", json_from_text(info->name.at), failed);
    json_put(part, "status", json_string(smx_check_state_name(result->state)), failed);
    json_put(part, "critical", json_boolean(info->critical), failed);
    if (info->help.length)
        json_put(part, "help", json_from_text(info->help.at), failed);
    if (result->message)
        json_put(part, "message", json_from_text(result->message->text.at), failed);
    if (result->by)
        json_put(part, "worker", json_from_number(result->by->worker), failed);
    json_put(part, "interval_seconds",
             info->interval_ns ? json_from_ns(info->interval_ns) : json_null(), failed);
    json_put(part, "newest_report_age_seconds", age(result->newest_ns, at_ns), failed);
    json_put(part, "reports", json_from_number(info->n_reports), failed);
    json_put(part, "reports_that_hold", json_from_number(result->n_holding), failed);
    return part;
}

static json_t *finding_part(const struct health_finding *finding, bool *failed)
{
    json_t *part = json_object();
    json_put(part, "name", json_from_text(finding->rule->name), failed);
    json_put(part, "kind", json_string(health_kind_name(finding->rule->kind)), failed);
    json_put(part, "status", json_string(health_status_name(finding->status)), failed);
    json_put(part, "critical", json_boolean(finding->rule->critical), failed);
    if (finding->why[0])
        json_put(part, "message", json_from_text(finding->why), failed);
    return part;
}

static void push_reason(json_t *list, bool *failed, const char *format, const char *name,
                        const char *state, const char *why)
{
    char text[HEALTH_WHY_SIZE + SMX_CHECK_MESSAGE_MAX + 128];
    snprintf(text, sizeof text, format, name, state, why[0] ? ": " : "", why);
    json_push(list, json_from_text(text), failed);
}

static void push_check(json_t *list, bool *failed, const struct health_check *check, uint64_t at_ns)
{
    const struct smx_check_result *result = &check->result;
    const char *why = result->message ? result->message->text.at : "";
    char silence[96];
    if (result->state == SMX_CHECK_SILENT && result->newest_ns && at_ns > result->newest_ns)
        snprintf(silence, sizeof silence, "last reported %.1f s ago, a report holds %g s",
                 (double)(at_ns - result->newest_ns) / 1e9, (double)check->info->interval_ns / 1e9);
    else
        snprintf(silence, sizeof silence, "no process that lives has reported");
    push_reason(list, failed, "check %.64s is %s%s%s", check->info->name.at,
                smx_check_state_name(result->state),
                result->state == SMX_CHECK_SILENT ? silence : why);
}

/* What is wrong, the critical first, in sentences; empty if nothing is. */
static void push_wrong(json_t *list, const struct health_app *app, bool critical, bool *failed)
{
    for (size_t i = 0; app->n_live && i < app->n_checks; i++) {
        const struct health_check *check = &app->checks[i];
        if (check->status != HEALTH_OK && check->info->critical == critical)
            push_check(list, failed, check, app->at_ns);
    }
    for (size_t i = 0; i < app->n_findings; i++) {
        const struct health_finding *finding = &app->findings[i];
        if (finding->status != HEALTH_OK && finding->rule->critical == critical)
            push_reason(list, failed, "rule %.100s is %s%s%s", finding->rule->name,
                        health_status_name(finding->status), finding->why);
    }
}

static json_t *reasons_part(const struct health_app *app, bool *failed)
{
    json_t *list = json_array();
    if (app->status == HEALTH_UNKNOWN)
        json_push(list,
                  json_from_text(app->source.why ? app->source.why
                                                 : "its segment is read for the first time"),
                  failed);
    else if (!app->n_live)
        json_push(list,
                  json_string(app->source.reader ? "none of its processes lives"
                                                 : "there is no segment of this name"),
                  failed);
    push_wrong(list, app, true, failed);
    push_wrong(list, app, false, failed);
    return list;
}

static json_t *verdict_part(const struct health_app *app, bool *failed)
{
    json_t *part = json_object();
    json_put(part, "app", json_from_text(app->source.app), failed);
    json_put(part, "instance", json_from_text(app->source.instance), failed);
    json_put(part, "status", json_string(health_status_name(app->status)), failed);
    json_put(part, "ready", json_boolean(app->ready), failed);
    json_put(part, "live", json_boolean(app->live), failed);
    json_put(part, "reasons", reasons_part(app, failed), failed);
    return part;
}

static json_t *application_part(const struct health_app *app, bool *failed)
{
    json_t *part = verdict_part(app, failed);
    json_t *checks = json_array(), *rules = json_array();
    for (size_t i = 0; i < app->n_checks; i++)
        json_push(checks, check_part(&app->checks[i], app->at_ns, failed), failed);
    for (size_t i = 0; i < app->n_findings; i++)
        json_push(rules, finding_part(&app->findings[i], failed), failed);
    json_put(part, "segment", app->source.path ? json_from_text(app->source.path) : json_null(),
             failed);
    json_put(part, "looked_at_age_seconds",
             app->source.reader ? json_from_ns(app->source.age_ns) : json_null(), failed);
    json_put(part, "processes", processes_part(app, failed), failed);
    json_put(part, "checks", checks, failed);
    json_put(part, "rules", rules, failed);
    return part;
}

json_t *applications_array(const struct health *health, bool *failed)
{
    json_t *list = json_array();
    for (size_t i = 0; i < health->n; i++)
        json_push(list, application_part(&health->apps[i], failed), failed);
    return list;
}

bool applications_degraded(const struct health *health)
{
    for (size_t i = 0; i < health->n; i++) {
        enum health_status status = health->apps[i].status;
        if (status == HEALTH_DEGRADED || status == HEALTH_FAILED)
            return true;
    }
    return false;
}

/* Take a name apart. False: it is none. */
static bool split(const char *name, char app[64], const char **instance)
{
    const char *at = strchr(name, '@');
    size_t length = at ? (size_t)(at - name) : strlen(name);
    if (length == 0 || length >= 64)
        return false;
    memcpy(app, name, length);
    app[length] = 0;
    *instance = at ? at + 1 : NULL;
    return true;
}

int applications_probe(const struct health *health, const char *name,
                       enum application_question question, struct buffer *out)
{
    static const char *const words[][2] = {
        [APPLICATION_READY] = {"unready", "ready"}, [APPLICATION_LIVE] = {"dead", "live"}};
    char app[64];
    const char *instance = NULL;
    bool failed = false, good = true, known = split(name, app, &instance);
    json_t *root = json_object(), *list = json_array();
    for (size_t i = 0; known && i < health->n; i++) {
        const struct health_app *one = &health->apps[i];
        if (!health_is_named(one, app, instance))
            continue;
        good = good && (question == APPLICATION_READY ? one->ready : one->live);
        json_push(list, verdict_part(one, &failed), &failed);
    }
    known = json_array_size(list) > 0;
    json_put(root, "status", json_string(known ? words[question][good] : "not found"), &failed);
    json_put(root, "applications", list, &failed);
    if (json_finish(root, failed, out) < 0)
        return -ENOMEM;
    return !known ? 404 : good ? 200 : 503;
}
