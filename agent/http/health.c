/* SPDX-License-Identifier: MIT
 *
 * health.c - /health and /health/ready: the agent, the directories and the segments; what is known
 * of the applications is added by applications.c.
 */
#include "agent/http/health.h"
#include "agent/http/applications.h"
#include "agent/http/json.h"

/* Whether the agent does its work, as far as it has got. */
static bool is_available(const struct status *status, const char **why)
{
    size_t n;
    const struct directory *directories = segments_directories(status->segments, &n);
    if (status->draining || status->n_sockets == 0) {
        *why = "shutting down";
        return false;
    }
    for (size_t i = 0; i < n; i++)
        /* Or else any user could make the agent unready, by a directory in /dev/shm. */
        if (!status_directory_ok(&directories[i]) && !directories[i].foreign) {
            *why = "a directory of segments cannot be read, see /health";
            return false;
        }
    return true;
}

bool health_ready(const struct status *status, const char **why)
{
    if (!is_available(status, why))
        return false;
    *why = "starting: the segments are read for the first time";
    return status->looked;
}

static const char *agent_status(const struct status *status)
{
    if (status->draining || status->n_sockets == 0)
        return "unavailable";
    return status->looked ? "ok" : "starting";
}

static json_t *agent_part(const struct status *status, bool *failed)
{
    json_t *part = json_object(), *sandbox = json_object(), *listening = json_array();
    for (size_t i = 0; i < status->n_sockets; i++)
        json_push(listening, json_from_text(status->sockets[i].name), failed);
    json_put(part, "status", json_string(agent_status(status)), failed);
    json_put(part, "loop", json_string(status->loop), failed);
    json_put(sandbox, "seccomp", json_from_text(status->sandbox->seccomp), failed);
    json_put(sandbox, "landlock", json_from_text(status->sandbox->landlock), failed);
    json_put(part, "sandbox", sandbox, failed);
    json_put(part, "uptime_seconds", json_real((double)status->uptime_ns / 1e9), failed);
    json_put(part, "draining", json_boolean(status->draining), failed);
    json_put(part, "listening", listening, failed);
    json_put(part, "segments_left_out", json_from_number(segments_left_out(status->segments)),
             failed);
    return part;
}

static json_t *directory_part(const struct directory *directory, bool *failed)
{
    json_t *part = json_object();
    json_put(part, "status", json_string(status_directory_ok(directory) ? "ok" : "unavailable"),
             failed);
    json_put(part, "path", json_from_text(directory->path), failed);
    json_put(part, "state", json_string(directory_state_name(directory->state)), failed);
    if (directory->why[0])
        json_put(part, "reason", json_from_text(directory->why), failed);
    return part;
}

static void add_info(json_t *part, const struct smx_segment_info *info, bool *failed)
{
    json_t *dropped = json_object();
    for (unsigned i = 0; i < SMX_LOST_COUNT; i++)
        json_put(dropped, smx_lost_name(i), json_from_number(info->lost[i]), failed);
    json_put(part, "app", json_from_text(info->app.at), failed);
    json_put(part, "instance", json_from_text(info->instance.at ? info->instance.at : ""), failed);
    json_put(part, "live_processes", json_from_number(info->n_live), failed);
    json_put(part, "families", json_from_number(info->n_families), failed);
    json_put(part, "series", json_from_number(info->n_series), failed);
    json_put(part, "max_bytes", json_from_number(info->max_bytes), failed);
    json_put(part, "allocated_bytes", json_from_number(info->allocated_bytes), failed);
    json_put(part, "reserved_bytes", json_from_number(info->reserved_bytes), failed);
    json_put(part, "errors", json_from_number(info->errors), failed);
    json_put(part, "dropped", dropped, failed);
}

/* Of which processes numbers are missing, and why. */
static json_t *hidden_part(const uint32_t counts[HIDDEN_COUNT], bool *failed)
{
    json_t *list = json_array();
    for (unsigned i = HIDDEN_NOTHING + 1; i < HIDDEN_COUNT; i++) {
        if (counts[i] == 0)
            continue;
        json_t *part = json_object();
        json_put(part, "reason", json_string(workers_hidden_name(i)), failed);
        json_put(part, "why", json_string(workers_hidden_text(i)), failed);
        json_put(part, "processes", json_from_number(counts[i]), failed);
        json_push(list, part, failed);
    }
    return list;
}

static void add_hidden(json_t *part, const struct status *status,
                       const struct smx_segment_info *info, bool *failed)
{
    const uint32_t *counts =
        status->workers ? workers_hidden(status->workers, info->app, info->instance) : NULL;
    if (counts)
        json_put(part, "hidden_processes", hidden_part(counts, failed), failed);
}

static json_t *segment_part(const struct status *status, const struct segment *segment,
                            bool *failed)
{
    json_t *part = json_object();
    const struct smx_segment_info *info = segment_info(segment);
    json_put(part, "status", json_string(segment_ok(segment) ? "ok" : "degraded"), failed);
    json_put(part, "path", json_from_text(segment->path), failed);
    json_put(part, "owner", json_from_number(segment->owner), failed);
    json_put(part, "state", json_string(segment_state_name(segment->state)), failed);
    if (segment->why[0])
        json_put(part, "reason", json_from_text(segment->why), failed);
    if (info)
        add_info(part, info, failed);
    if (info && segment->state == SEGMENT_SERVED)
        add_hidden(part, status, info, failed);
    return part;
}

static const char *overall(const struct status *status)
{
    const char *why;
    size_t n;
    const struct segment *list = segments_list(status->segments, &n);
    if (!is_available(status, &why))
        return "unavailable";
    for (size_t i = 0; i < n; i++)
        if (!segment_ok(&list[i]))
            return "degraded";
    const struct directory *directories = segments_directories(status->segments, &n);
    for (size_t i = 0; i < n; i++)
        if (!status_directory_ok(&directories[i]))
            return "degraded";
    return segments_left_out(status->segments) > 0 || applications_degraded(status->health)
               ? "degraded"
               : "ok";
}

static json_t *document(const struct status *status, bool *failed)
{
    size_t n_directories, n_segments;
    const struct directory *directory = segments_directories(status->segments, &n_directories);
    const struct segment *segment = segments_list(status->segments, &n_segments);
    json_t *root = json_object(), *components = json_object();
    json_t *directories = json_array(), *segments = json_array();
    for (size_t i = 0; i < n_directories; i++)
        json_push(directories, directory_part(&directory[i], failed), failed);
    for (size_t i = 0; i < n_segments; i++)
        json_push(segments, segment_part(status, &segment[i], failed), failed);
    json_put(components, "agent", agent_part(status, failed), failed);
    json_put(components, "applications", applications_array(status->health, failed), failed);
    json_put(components, "directories", directories, failed);
    json_put(components, "segments", segments, failed);
    json_put(root, "status", json_string(overall(status)), failed);
    json_put(root, "version", json_string(SMX_VERSION), failed);
    json_put(root, "components", components, failed);
    return root;
}

int health_encode(const struct status *status, struct buffer *out)
{
    bool failed = false;
    json_t *root = document(status, &failed);
    return json_finish(root, failed, out);
}
