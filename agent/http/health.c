/* SPDX-License-Identifier: MIT
 *
 * health.c - /health and /health/ready. JSON by jansson; every value that comes from a file is
 * made valid UTF-8 first.
 */
#include "agent/http/health.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

bool health_ready(const struct status *status, const char **why)
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

/* A file's name may be any bytes; those past ASCII are replaced if they are not UTF-8. */
static json_t *text(const char *bytes)
{
    json_t *value = json_string(bytes);
    if (value)
        return value;
    char *copy = strdup(bytes);
    if (!copy)
        return NULL;
    for (char *c = copy; *c; c++)
        if ((unsigned char)*c >= 0x80)
            *c = '?';
    value = json_string(copy);
    free(copy);
    return value;
}

static json_t *number(uint64_t n)
{
    return json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);
}

/* json_object_set_new and json_array_append_new take NULL for a value and report it; whether one
 * failed is asked once, of the whole document: an incomplete one is not sent. */
static void set(json_t *object, const char *name, json_t *value, bool *failed)
{
    if (json_object_set_new(object, name, value) < 0)
        *failed = true;
}

static void append(json_t *array, json_t *value, bool *failed)
{
    if (json_array_append_new(array, value) < 0)
        *failed = true;
}

static json_t *agent_part(const struct status *status, bool *failed)
{
    json_t *part = json_object(), *sandbox = json_object(), *listening = json_array();
    bool serving = !status->draining && status->n_sockets > 0;
    for (size_t i = 0; i < status->n_sockets; i++)
        append(listening, text(status->sockets[i].name), failed);
    set(part, "status", json_string(serving ? "ok" : "unavailable"), failed);
    set(part, "loop", json_string(status->loop), failed);
    set(sandbox, "seccomp", text(status->sandbox->seccomp), failed);
    set(sandbox, "landlock", text(status->sandbox->landlock), failed);
    set(part, "sandbox", sandbox, failed);
    set(part, "uptime_seconds", json_real((double)status->uptime_ns / 1e9), failed);
    set(part, "draining", json_boolean(status->draining), failed);
    set(part, "listening", listening, failed);
    set(part, "segments_left_out", number(segments_left_out(status->segments)), failed);
    return part;
}

static json_t *directory_part(const struct directory *directory, bool *failed)
{
    json_t *part = json_object();
    set(part, "status", json_string(status_directory_ok(directory) ? "ok" : "unavailable"), failed);
    set(part, "path", text(directory->path), failed);
    set(part, "state", json_string(directory_state_name(directory->state)), failed);
    if (directory->why[0])
        set(part, "reason", text(directory->why), failed);
    return part;
}

static void add_info(json_t *part, const struct smx_segment_info *info, bool *failed)
{
    json_t *dropped = json_object();
    for (unsigned i = 0; i < SMX_LOST_COUNT; i++)
        set(dropped, smx_lost_name(i), number(info->lost[i]), failed);
    set(part, "app", text(info->app.at), failed);
    set(part, "instance", text(info->instance.at ? info->instance.at : ""), failed);
    set(part, "live_processes", number(info->n_live), failed);
    set(part, "families", number(info->n_families), failed);
    set(part, "series", number(info->n_series), failed);
    set(part, "max_bytes", number(info->max_bytes), failed);
    set(part, "allocated_bytes", number(info->allocated_bytes), failed);
    set(part, "reserved_bytes", number(info->reserved_bytes), failed);
    set(part, "errors", number(info->errors), failed);
    set(part, "dropped", dropped, failed);
}

/* Of which processes numbers are missing, and why. */
static json_t *hidden_part(const uint32_t counts[HIDDEN_COUNT], bool *failed)
{
    json_t *list = json_array();
    for (unsigned i = HIDDEN_NOTHING + 1; i < HIDDEN_COUNT; i++) {
        if (counts[i] == 0)
            continue;
        json_t *part = json_object();
        set(part, "reason", json_string(workers_hidden_name(i)), failed);
        set(part, "why", json_string(workers_hidden_text(i)), failed);
        set(part, "processes", number(counts[i]), failed);
        append(list, part, failed);
    }
    return list;
}

static void add_hidden(json_t *part, const struct status *status,
                       const struct smx_segment_info *info, bool *failed)
{
    const uint32_t *counts =
        status->workers ? workers_hidden(status->workers, info->app, info->instance) : NULL;
    if (counts)
        set(part, "hidden_processes", hidden_part(counts, failed), failed);
}

static json_t *segment_part(const struct status *status, const struct segment *segment,
                            bool *failed)
{
    json_t *part = json_object();
    const struct smx_segment_info *info = segment_info(segment);
    set(part, "status", json_string(segment_ok(segment) ? "ok" : "degraded"), failed);
    set(part, "path", text(segment->path), failed);
    set(part, "owner", number(segment->owner), failed);
    set(part, "state", json_string(segment_state_name(segment->state)), failed);
    if (segment->why[0])
        set(part, "reason", text(segment->why), failed);
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
    if (!health_ready(status, &why))
        return "unavailable";
    for (size_t i = 0; i < n; i++)
        if (!segment_ok(&list[i]))
            return "degraded";
    const struct directory *directories = segments_directories(status->segments, &n);
    for (size_t i = 0; i < n; i++)
        if (!status_directory_ok(&directories[i]))
            return "degraded";
    return segments_left_out(status->segments) > 0 ? "degraded" : "ok";
}

static json_t *document(const struct status *status, bool *failed)
{
    size_t n_directories, n_segments;
    const struct directory *directory = segments_directories(status->segments, &n_directories);
    const struct segment *segment = segments_list(status->segments, &n_segments);
    json_t *root = json_object(), *components = json_object();
    json_t *directories = json_array(), *segments = json_array();
    for (size_t i = 0; i < n_directories; i++)
        append(directories, directory_part(&directory[i], failed), failed);
    for (size_t i = 0; i < n_segments; i++)
        append(segments, segment_part(status, &segment[i], failed), failed);
    set(components, "agent", agent_part(status, failed), failed);
    set(components, "directories", directories, failed);
    set(components, "segments", segments, failed);
    set(root, "status", json_string(overall(status)), failed);
    set(root, "version", json_string(SMX_VERSION), failed);
    set(root, "components", components, failed);
    return root;
}

int health_encode(const struct status *status, struct buffer *out)
{
    bool failed = false;
    json_t *root = document(status, &failed);
    char *json = failed ? NULL : json_dumps(root, JSON_INDENT(2));
    json_decref(root);
    if (!json)
        return -ENOMEM;
    buffer_puts(out, json);
    buffer_puts(out, "\n");
    free(json);
    return out->failed ? -ENOMEM : 0;
}
