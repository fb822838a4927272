/* SPDX-License-Identifier: MIT
 *
 * landing.c - the page at /, as HTML. Everything that is not a literal here is escaped: names come
 * from files that other users write.
 */
#include "agent/http/landing.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>smx-agent</title>\n"
    "<style>body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:70em;padding:0 1em}"
    "table{border-collapse:collapse;margin:.5em 0 1.5em}"
    "th,td{text-align:left;padding:.2em .8em;border-bottom:1px solid #8884}"
    ".n{text-align:right}.bad{color:#b00}</style></head>\n<body><h1>smx-agent</h1>\n"
    "<p><a href=\"/metrics\">Metrics</a> &middot; <a href=\"/health\">Health</a> &middot; "
    "<a href=\"/health/live\">Live</a> &middot; <a href=\"/health/ready\">Ready</a></p>\n";

static void escape(struct buffer *out, const char *text)
{
    for (const char *c = text; *c; c++) {
        switch (*c) {
        case '&':
            buffer_puts(out, "&amp;");
            break;
        case '<':
            buffer_puts(out, "&lt;");
            break;
        case '>':
            buffer_puts(out, "&gt;");
            break;
        case '"':
            buffer_puts(out, "&quot;");
            break;
        case '\'':
            buffer_puts(out, "&#39;");
            break;
        default:
            buffer_put(out, c, 1);
        }
    }
}

static void cell(struct buffer *out, const char *text)
{
    buffer_puts(out, "<td>");
    escape(out, text);
    buffer_puts(out, "</td>");
}

static void number_cell(struct buffer *out, uint64_t n)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, n);
    buffer_puts(out, "<td class=\"n\">");
    buffer_puts(out, text);
    buffer_puts(out, "</td>");
}

static void state_cell(struct buffer *out, const char *state, const char *why, bool fine)
{
    buffer_puts(out, fine ? "<td>" : "<td class=\"bad\">");
    escape(out, state);
    if (why[0]) {
        buffer_puts(out, ": ");
        escape(out, why);
    }
    buffer_puts(out, "</td>");
}

static uint64_t total_lost(const struct smx_segment_info *info)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < SMX_LOST_COUNT; i++)
        total += info->lost[i];
    return total;
}

static void segment_row(struct buffer *out, const struct segment *segment)
{
    const struct smx_segment_info *info = segment_info(segment);
    buffer_puts(out, "<tr>");
    cell(out, segment->path);
    state_cell(out, segment_state_name(segment->state), segment->why, segment_ok(segment));
    if (info) {
        number_cell(out, info->n_live);
        number_cell(out, info->n_series);
        number_cell(out, info->allocated_bytes);
        number_cell(out, info->max_bytes);
        number_cell(out, total_lost(info));
        number_cell(out, info->errors);
    } else {
        buffer_puts(out, "<td colspan=\"6\"></td>");
    }
    buffer_puts(out, "</tr>\n");
}

static void put_segments(struct buffer *out, const struct status *status)
{
    size_t n;
    const struct segment *list = segments_list(status->segments, &n);
    buffer_puts(out, "<h2>Segments</h2>\n");
    if (n == 0) {
        buffer_puts(out, "<p>None yet. An application appears here when it opens its segment.</p>");
        return;
    }
    buffer_puts(out, "<table><tr><th>file</th><th>state</th><th>live processes</th><th>series</th>"
                     "<th>bytes</th><th>of</th><th>dropped</th><th>unsound</th></tr>\n");
    for (size_t i = 0; i < n; i++)
        segment_row(out, &list[i]);
    buffer_puts(out, "</table>\n");
    if (segments_left_out(status->segments) > 0)
        buffer_puts(out, "<p class=\"bad\">There are more, which are not looked at: the log says "
                         "which.</p>\n");
}

static void put_directories(struct buffer *out, const struct status *status)
{
    size_t n;
    const struct directory *list = segments_directories(status->segments, &n);
    buffer_puts(out, "<h2>Directories</h2>\n<table><tr><th>path</th><th>state</th></tr>\n");
    for (size_t i = 0; i < n; i++) {
        buffer_puts(out, "<tr>");
        cell(out, list[i].path);
        state_cell(out, directory_state_name(list[i].state), list[i].why,
                   status_directory_ok(&list[i]));
        buffer_puts(out, "</tr>\n");
    }
    buffer_puts(out, "</table>\n");
}

static void conflict_row(struct buffer *out, const char *family, const char *app, const char *why)
{
    buffer_puts(out, "<tr>");
    cell(out, family);
    cell(out, app);
    cell(out, why);
    buffer_puts(out, "</tr>\n");
}

/* Of a family that is unsound, or one of whose series is. */
static size_t put_unsound(struct buffer *out, const struct segment *list, size_t n)
{
    size_t rows = 0;
    for (size_t i = 0; i < n; i++) {
        const struct smx_segment_info *info = segment_info(&list[i]);
        for (size_t k = 0; info && k < info->n_unsound_named; k++, rows++) {
            char why[64];
            snprintf(why, sizeof why, "a record of it is unsound: %s",
                     smx_unsound_name(info->unsound_named[k].reason));
            if (out)
                conflict_row(out, info->unsound_named[k].family, info->app.at, why);
        }
    }
    return rows;
}

static void put_conflicts(struct buffer *out, const struct status *status)
{
    size_t n;
    const struct segment *list = segments_list(status->segments, &n);
    if (status->n_conflicts == 0 && put_unsound(NULL, list, n) == 0)
        return;
    buffer_puts(out, "<h2>Families left out, or series of them</h2>\n"
                     "<table><tr><th>family</th><th>application</th><th>because</th></tr>\n");
    for (size_t i = 0; i < status->n_conflicts; i++)
        conflict_row(out, status->conflicts[i].name, status->conflicts[i].app,
                     status->conflicts[i].why);
    put_unsound(out, list, n);
    buffer_puts(out, "</table>\n");
}

int landing_encode(const struct status *status, struct buffer *out)
{
    buffer_puts(out, head);
    put_segments(out, status);
    put_directories(out, status);
    put_conflicts(out, status);
    buffer_puts(out, "<p>smx-agent " SMX_VERSION ", loop on ");
    escape(out, status->loop);
    buffer_puts(out, ".</p>\n</body></html>\n");
    return out->failed ? -ENOMEM : 0;
}
