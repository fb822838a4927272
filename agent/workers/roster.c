/* SPDX-License-Identifier: MIT
 *
 * roster.c - keeps the list of applications beside that of the segments.
 */
#include "agent/workers/roster.h"

#include <string.h>
#include <unistd.h>

static bool is_of(const struct application *a, struct smx_str app, struct smx_str instance)
{
    return a->shown.app.length == app.length && a->shown.instance.length == instance.length &&
           memcmp(a->shown.app.at, app.at, app.length) == 0 &&
           memcmp(a->shown.instance.at, instance.at, instance.length) == 0;
}

/* Mostly it is where it was, the next one. */
size_t roster_find(struct application *const list[], size_t n, size_t from, struct smx_str app,
                   struct smx_str instance)
{
    for (size_t step = 0; step < n; step++) {
        size_t i = (from + step) % n;
        if (list[i] && is_of(list[i], app, instance))
            return i;
    }
    return n;
}

static bool is_served(const struct segment *segment)
{
    return segment->state == SEGMENT_SERVED && segment->read_ns;
}

/* Two segments of one application would have the same labels: the first has them. */
static struct application *make(const struct smx_segment_info *info,
                                struct application *const met[], size_t n_met)
{
    bool twice = roster_find(met, n_met, 0, info->app, info->instance) < n_met;
    return twice ? NULL : application_new(info);
}

size_t roster_take(struct application *known[], size_t n_known, const struct segment *segments,
                   size_t n_segments, struct application *out[])
{
    size_t n = 0, from = 0;
    for (size_t i = 0; i < n_segments; i++) {
        if (!is_served(&segments[i]))
            continue;
        const struct smx_segment_info *info = smx_reader_info(segments[i].reader);
        size_t at = roster_find(known, n_known, from, info->app, info->instance);
        struct application *a = at < n_known ? known[at] : make(info, out, n);
        if (!a)
            continue;
        if (at < n_known) {
            known[at] = NULL;
            from = at + 1;
        }
        a->owner = info->owner;
        a->due = a->read_ns != segments[i].read_ns && application_take(a, segments[i].reader) == 0;
        a->read_ns = segments[i].read_ns;
        out[n++] = a;
    }
    return n;
}

bool roster_is_stranger(uid_t owner)
{
    return owner != 0 && owner != geteuid();
}

/* How many processes of an application there is time for, behind those before it. */
static size_t quota(struct application *const list[], size_t index, size_t most)
{
    const struct application *a = list[index];
    const size_t most_owner = roster_is_stranger(a->owner) ? most - most / 4 : most;
    size_t of_all = 0, of_owner = 0;
    for (size_t i = 0; i < index; i++) {
        of_all += list[i]->n_looked_at;
        of_owner += list[i]->owner == a->owner ? list[i]->n_looked_at : 0;
    }
    size_t left = of_all < most ? most - of_all : 0;
    size_t left_owner = of_owner < most_owner ? most_owner - of_owner : 0;
    return left < left_owner ? left : left_owner;
}

/* Those that are not looked at anyway take nothing of it. */
void roster_apply_quotas(struct application *const list[], size_t n, size_t most)
{
    for (size_t i = 0; i < n; i++) {
        struct application *a = list[i];
        size_t left = quota(list, i, most);
        a->n_looked_at = 0;
        for (size_t k = 0; k < a->n; k++) {
            struct worker *w = &a->workers[k];
            if (w->hidden)
                continue;
            if (a->n_looked_at == left)
                w->hidden = HIDDEN_TOO_MANY;
            else
                a->n_looked_at++;
        }
    }
}
