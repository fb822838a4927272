/* SPDX-License-Identifier: MIT
 *
 * vitals.c - which segment is an application: one that is served; or one that is not, and yet bears
 * the name of an application that has no other.
 */
#include "agent/vitals.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t wall_clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int reserve(struct vitals *v, size_t n)
{
    if (n <= v->room)
        return 0;
    free(v->sources);
    free(v->names);
    v->sources = calloc(n, sizeof *v->sources);
    v->names = calloc(n, sizeof *v->names);
    v->room = v->sources && v->names ? n : 0;
    return v->room ? 0 : -ENOMEM;
}

static struct health_source served(const struct segment *segment, uint64_t now_ns)
{
    const struct smx_segment_info *info = smx_reader_info(segment->reader);
    return (struct health_source){.app = info->app.at,
                                  .instance = info->instance.at ? info->instance.at : "",
                                  .path = segment->path,
                                  .reader = segment->reader,
                                  .age_ns =
                                      now_ns > info->looked_ns ? now_ns - info->looked_ns : 0};
}

/* <app>[@<instance>].v<major>.smx */
static void take_name(const struct segment *segment, struct vitals_name *out)
{
    const char *at = segment->name + strlen(segment->app);
    const char *end = strrchr(segment->name, '.');
    while (end && end > at && strncmp(end, ".v", 2) != 0)
        end--;
    int length = *at == '@' && end > at ? (int)(end - at - 1) : 0;
    snprintf(out->app, sizeof out->app, "%s", segment->app);
    snprintf(out->instance, sizeof out->instance, "%.*s", length, length ? at + 1 : "");
}

static bool is_there(const struct vitals *v, size_t n, const char *app, const char *instance)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(v->sources[i].app, app) == 0 && strcmp(v->sources[i].instance, instance) == 0)
            return true;
    return false;
}

/* A file that is no segment may have any name. */
static bool is_name(const char *name)
{
    for (const char *c = name; *c; c++)
        if (!(*c >= 'a' && *c <= 'z') && !(*c >= 'A' && *c <= 'Z') && !(*c >= '0' && *c <= '9') &&
            !strchr("_.-", *c))
            return false;
    return true;
}

/* What somebody else has put there, or what lies in another's shadow, is nobody's application. */
static bool is_promising(const struct segment *segment)
{
    return segment->state == SEGMENT_NEW || segment->state == SEGMENT_UNREADABLE ||
           segment->state == SEGMENT_DAMAGED || segment->state == SEGMENT_UNSUPPORTED ||
           (segment->state == SEGMENT_SERVED && !segment->read_ns);
}

static size_t collect(struct vitals *v, const struct segment *list, size_t n_segments,
                      uint64_t now_ns)
{
    size_t n = 0;
    for (size_t i = 0; i < n_segments; i++)
        if (list[i].state == SEGMENT_SERVED && list[i].read_ns)
            v->sources[n++] = served(&list[i], now_ns);
    for (size_t i = 0; i < n_segments; i++) {
        struct vitals_name *name = &v->names[i];
        if (!is_promising(&list[i]))
            continue;
        take_name(&list[i], name);
        if (is_name(name->app) && is_name(name->instance) &&
            !is_there(v, n, name->app, name->instance))
            v->sources[n++] = (struct health_source){.app = name->app,
                                                     .instance = name->instance,
                                                     .path = list[i].path,
                                                     .why = list[i].why[0] ? list[i].why : NULL};
    }
    return n;
}

int vitals_take(struct vitals *v, const struct segments *segments, const struct health_rules *rules)
{
    size_t n;
    const struct segment *list = segments_list(segments, &n);
    if (reserve(v, n + 1) < 0)
        return -ENOMEM;
    const uint64_t now_ns = wall_clock_ns();
    const struct health_input input = {
        .sources = v->sources, .n = collect(v, list, n, now_ns), .rules = *rules, .now_ns = now_ns};
    return health_evaluate(&v->health, &input);
}

void vitals_fini(struct vitals *v)
{
    health_fini(&v->health);
    free(v->sources);
    free(v->names);
    *v = (struct vitals){0};
}
