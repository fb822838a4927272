/* SPDX-License-Identifier: MIT
 *
 * slice.c - cuts parts into runs of series. The values are not copied: a run points into the
 * reader's array and into the rendered bytes.
 */
#include "agent/encode/slice.h"

/* Some ten thousand bytes, a fraction of a millisecond. */
enum { LINES = 2048, BUCKETS_PER_LINE = 4 };

/* About how many lines a series takes, in time. */
static size_t lines_of(const struct part *p, size_t k)
{
    const struct smx_family_info *f = p->family;
    if (f->type == SMX_HISTOGRAM)
        return p->rendered->edges.n + 2 + f->n_buckets / BUCKETS_PER_LINE;
    size_t states = f->type == SMX_STATESET ? f->n_states : 1;
    return states * (f->mode == SMX_EACH ? 1 + f->series[k].each.n : 1);
}

/* Where a slice that begins at a series ends. */
static size_t end_of(const struct part *p, size_t from)
{
    size_t k = from;
    for (size_t lines = 0; k < p->family->n_series && lines < LINES; k++)
        lines += lines_of(p, k);
    return k;
}

static void cut(struct kept_bytes *bytes, size_t from)
{
    if (!bytes->ends || from == 0)
        return;
    bytes->begin = bytes->ends[from - 1];
    bytes->ends += from;
}

/* The first exemplar of a series or of one behind it. */
static size_t exemplar_at(const struct smx_family_info *f, size_t series)
{
    size_t low = 0, high = f->n_exemplars;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (f->exemplars[middle].series < series)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void point(struct slice *out, const struct part *p, size_t from, size_t to)
{
    out->info = *p->family;
    out->info.series += from;
    out->info.n_series = to - from;
    const size_t exemplars = exemplar_at(p->family, from);
    if (exemplars)
        out->info.exemplars += exemplars;
    out->info.n_exemplars = exemplar_at(p->family, to) - exemplars;
    out->rendered = *p->rendered;
    out->rendered.n_series = to - from;
    cut(&out->rendered.text, from);
    cut(&out->rendered.message, from);
    out->some = (struct part){.family = &out->info,
                              .rendered = &out->rendered,
                              .created_ns = p->created_ns,
                              .first = from};
    out->part = &out->some;
}

bool slice_next(const struct snapshot *snapshot, struct progress *at, struct slice *out)
{
    if (at->family == snapshot->n)
        return false;
    out->family = &snapshot->families[at->family];
    out->first = !at->part;
    out->part = NULL;
    const struct part *part = at->part ? at->part : out->family->first;
    if (part) {
        struct part spelt = part_as(part, snapshot->escaping);
        size_t to = end_of(&spelt, at->series);
        point(out, &spelt, at->series, to);
        at->series = to;
        if (to == part->family->n_series) {
            part = part->next;
            at->series = 0;
        }
    }
    at->part = part;
    out->last = !part;
    at->family += out->last;
    return true;
}
