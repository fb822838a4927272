/* SPDX-License-Identifier: MIT
 *
 * samples.c - sample lines: kept text, number, newline. This is the hot loop of a scrape. Each
 * slice's worst case is reserved at once, and the lines are stored without a check.
 *
 * Exemplars are OpenMetrics': behind the numbers of _total and _bucket, where there are any.
 *
 * A histogram's _count and its +Inf bucket are the running sum that the buckets before were taken
 * from, so that they agree whatever the segment says.
 */
#include "agent/encode/examples.h"
#include "agent/encode/kept.h"
#include "agent/encode/number.h"
#include "agent/encode/slice.h"
#include "agent/gather/label.h"
#include "agent/gather/snapshot.h"

_Static_assert((int)RENDER_SLACK < (int)NUMBER_MAX,
               "a line has no room for what is copied too much");

/* What a worker's number follows. */
#define WORKER ",worker=\""
enum { WORKER_MAX = sizeof WORKER + NUMBER_MAX };

static char *put(char *to, const char *at, size_t n)
{
    memcpy(to, at, n);
    return to + n;
}

/* Room for n lines with `bytes` in all before their numbers. NULL when there is none. */
static char *room(struct buffer *out, size_t n, size_t bytes)
{
    if (buffer_reserve(out, bytes + n * (NUMBER_MAX + 1)) < 0)
        return NULL;
    return out->at + out->length;
}

static void done(struct buffer *out, const char *end)
{
    out->length = (size_t)(end - out->at);
}

static void put_number(struct buffer *out, uint64_t ticks, unsigned digits)
{
    char number[NUMBER_MAX];
    buffer_puts(out, " ");
    buffer_put(out, number, (size_t)(number_decimal(number, ticks, digits) - number));
}

/* Go on with a line that ends at `to`:  # {trace_id="4bf9"} 0.25 1700000000.123456789 */
static void put_exemplar(struct buffer *out, const char *to, const struct smx_family_info *f,
                         const struct smx_exemplar *e)
{
    done(out, to);
    buffer_puts(out, " # {");
    for (size_t i = 0; i < e->n_labels; i++)
        label_put(out, e->labels[i].name, e->labels[i].value);
    buffer_puts(out, "}");
    put_number(out, e->value, f->digits);
    put_number(out, e->time_ns, 9);
}

/* OpenMetrics has them for counters, not for what it takes for unknown. */
static struct examples counter_examples(const struct part *p, bool exemplars)
{
    bool has = exemplars && label_ends(p->family->name, LABEL_STR("_total"));
    return has ? examples_of(p) : (struct examples){NULL, NULL, 0};
}

/* The text of a series with another suffix. */
static char *put_suffixed(char *to, struct smx_str text, const struct rendered *r,
                          struct smx_str suffix)
{
    size_t skip = r->stem + r->suffix;
    to = put(to, text.at, r->stem);
    to = put(to, suffix.at, suffix.length);
    return put(to, text.at + skip, text.length - skip);
}

#define CREATED LABEL_STR("_created")

/* If that is wanted, each with the time since which it counts: its segment's, which knows no other.
 */
static void put_counters(const struct part *p, bool exemplars, bool created, struct buffer *out)
{
    const struct smx_family_info *f = p->family;
    struct examples examples = counter_examples(p, exemplars);
    const size_t lines = created ? 2 : 1;
    const size_t bytes = lines * kept_size(&p->rendered->text, f->n_series) +
                         (created ? f->n_series * CREATED.length : 0);
    char *to = room(out, lines * f->n_series, bytes);
    for (size_t k = 0; to && k < f->n_series; k++) {
        const struct smx_series_info *s = &f->series[k];
        if (s->overflow && s->count == 0)
            continue;
        struct smx_str text = kept_of(&p->rendered->text, k);
        if (!text.length)
            continue;
        to = kept_put(to, text.at, text.length);
        to = number_decimal(to, s->count, f->digits);
        const struct smx_exemplar *e = examples_take(&examples, k, 0);
        if (e) {
            put_exemplar(out, to, f, e);
            to = room(out, lines * (f->n_series - k), bytes);
            if (!to)
                return;
        }
        *to++ = '\n';
        if (created) {
            to = put_suffixed(to, text, p->rendered, CREATED);
            to = number_decimal(to, p->created_ns, 9);
            *to++ = '\n';
        }
    }
    if (to)
        done(out, to);
}

static bool is_zero(const struct smx_family_info *f, const struct smx_series_info *s)
{
    return f->is_double ? s->real == 0 : s->integer == 0;
}

static void put_gauges(const struct part *p, struct buffer *out)
{
    const struct smx_family_info *f = p->family;
    char *to = room(out, f->n_series, kept_size(&p->rendered->text, f->n_series));
    for (size_t k = 0; to && k < f->n_series; k++) {
        const struct smx_series_info *s = &f->series[k];
        if (!s->present || (s->overflow && is_zero(f, s)))
            continue;
        struct smx_str text = kept_of(&p->rendered->text, k);
        if (!text.length)
            continue;
        to = kept_put(to, text.at, text.length);
        to = f->is_double ? number_real(to, s->real) : number_i64(to, s->integer);
        *to++ = '\n';
    }
    if (to)
        done(out, to);
}

static void put_workers(struct smx_str text, const struct smx_each_list *list, bool is_double,
                        struct buffer *out)
{
    static const char behind[] = "\"} ";
    char *to = room(out, list->n, list->n * (text.length + WORKER_MAX + sizeof behind));
    for (size_t i = 0; to && i < list->n; i++) {
        const struct smx_each *each = &list->at[i];
        to = kept_put(to, text.at, text.length);
        to = put(to, WORKER, sizeof WORKER - 1);
        to = number_u64(to, each->worker);
        to = put(to, behind, sizeof behind - 1);
        to = is_double ? number_real(to, each->value.real) : number_i64(to, each->value.integer);
        *to++ = '\n';
    }
    if (to)
        done(out, to);
}

static void put_each(const struct part *p, struct buffer *out)
{
    const struct smx_family_info *f = p->family;
    for (size_t k = 0; k < f->n_series; k++)
        if (f->series[k].present && kept_of(&p->rendered->text, k).length)
            put_workers(kept_of(&p->rendered->text, k), &f->series[k].each, f->is_double, out);
}

/* A line for each state, on or off: text, the rest of a label's worker if there is one, state. */
static void put_states(const struct part *p, struct smx_str text, const struct smx_each *each,
                       uint64_t bits, struct buffer *out)
{
    const struct kept_bytes *states = &p->rendered->states;
    const size_t n = p->family->n_states;
    char *to = room(out, n, kept_size(states, n) + n * (text.length + WORKER_MAX));
    for (size_t i = 0; to && i < n; i++) {
        struct smx_str state = kept_of(states, i);
        to = kept_put(to, text.at, text.length);
        if (each) {
            to = put(to, WORKER, sizeof WORKER - 1);
            to = number_u64(to, each->worker);
            *to++ = '"';
        }
        to = kept_put(to, state.at, state.length);
        *to++ = (char)('0' + (bits >> i & 1));
        *to++ = '\n';
    }
    if (to)
        done(out, to);
}

static void put_statesets(const struct part *p, struct buffer *out)
{
    const struct smx_family_info *f = p->family;
    for (size_t k = 0; k < f->n_series; k++) {
        const struct smx_series_info *s = &f->series[k];
        struct smx_str text = kept_of(&p->rendered->text, k);
        const size_t n = f->mode == SMX_EACH ? s->each.n : 0;
        if (!text.length)
            continue;
        for (size_t i = 0; s->present && i < n; i++)
            put_states(p, text, &s->each.at[i], (uint64_t)s->each.at[i].value.integer, out);
        if (s->present && f->mode != SMX_EACH)
            put_states(p, text, NULL, (uint64_t)s->integer, out);
    }
}

/* name_bucket{labels,le="0.5"} 3, in ascending order; the total is the last of them. */
static char *put_buckets(const struct part *p, size_t k, struct examples *examples,
                         struct buffer *out, uint64_t *total)
{
    const struct edges *edges = &p->rendered->edges;
    const uint64_t *buckets = p->family->series[k].histogram->buckets;
    const struct smx_str text = kept_of(&p->rendered->text, k);
    const size_t lines = edges->n + 3;
    const size_t bytes = lines * (text.length + edges->widest) + CREATED.length;
    char *to = room(out, lines, bytes);
    uint64_t sum = 0;
    size_t bucket = 0, from = 0;
    for (size_t i = 0; to && i < edges->n; i++) {
        for (; bucket <= edges->upto[i]; bucket++)
            sum += buckets[bucket];
        to = kept_put(to, text.at, text.length);
        to = kept_put(to, edges->text + from, edges->ends[i] - from);
        from = edges->ends[i];
        to = number_u64(to, sum);
        const struct smx_exemplar *e = examples_take(examples, k, edges->upto[i]);
        if (e) {
            put_exemplar(out, to, p->family, e);
            to = room(out, lines, bytes);
            if (!to)
                break;
        }
        *to++ = '\n';
    }
    *total = sum;
    return to;
}

/* name_sum{labels} or name_count{labels}, from the text of the buckets. */
static char *put_total(char *to, struct smx_str text, const struct rendered *r,
                       struct smx_str suffix)
{
    return put(put_suffixed(to, text, r, suffix), "} ", 2);
}

static void put_histogram(const struct part *p, size_t k, struct examples *examples, bool created,
                          struct buffer *out)
{
    const struct smx_family_info *f = p->family;
    const struct smx_histogram_info *h = f->series[k].histogram;
    struct smx_str text = kept_of(&p->rendered->text, k);
    uint64_t total;
    if (!text.length)
        return;
    char *to = put_buckets(p, k, examples, out, &total);
    if (!to)
        return;
    to = put_total(to, text, p->rendered, LABEL_STR("_sum"));
    to = number_decimal(to, h->sum, f->digits);
    *to++ = '\n';
    to = put_total(to, text, p->rendered, LABEL_STR("_count"));
    to = number_u64(to, total);
    *to++ = '\n';
    if (created) {
        to = put_total(to, text, p->rendered, CREATED);
        to = number_decimal(to, p->created_ns, 9);
        *to++ = '\n';
    }
    done(out, to);
}

static void put_histograms(const struct part *p, bool exemplars, bool created, struct buffer *out)
{
    const struct smx_family_info *f = p->family;
    struct examples examples = exemplars ? examples_of(p) : (struct examples){NULL, NULL, 0};
    for (size_t k = 0; k < f->n_series; k++)
        if (!f->series[k].overflow || f->series[k].histogram->count > 0)
            put_histogram(p, k, &examples, created, out);
}

static void put_part(const struct part *p, bool exemplars, bool created, struct buffer *out)
{
    const struct smx_family_info *f = p->family;
    if (f->type == SMX_COUNTER)
        put_counters(p, exemplars, created && p->rendered->suffix, out);
    else if (f->type == SMX_HISTOGRAM)
        put_histograms(p, exemplars, created, out);
    else if (f->type == SMX_STATESET)
        put_statesets(p, out);
    else if (f->mode == SMX_EACH)
        put_each(p, out);
    else
        put_gauges(p, out);
}

void families_put_name(const struct exposed *family, struct smx_str name, struct buffer *out)
{
    if (!family->as || escape_is_legacy(name, ESCAPE_METRIC)) {
        buffer_put(out, name.at, name.length);
        return;
    }
    buffer_puts(out, "\"");
    label_escape(out, name, LABEL_QUOTE_ALL);
    buffer_puts(out, "\"");
}

bool families_put(const struct snapshot *snapshot, struct progress *at,
                  void (*put_header)(const struct exposed *family, enum escaping escaping,
                                     struct buffer *out),
                  bool exemplars, struct buffer *out)
{
    struct slice slice;
    if (!slice_next(snapshot, at, &slice))
        return false;
    if (slice.first) {
        at->begin = out->length;
        put_header(slice.family, snapshot->escaping, out);
        at->body = out->length;
        buffer_put(out, slice.family->lines.at, slice.family->lines.length);
    }
    if (slice.part)
        put_part(slice.part, exemplars, snapshot->created, out);
    if (slice.last && out->length == at->body)
        out->length = at->begin;
    return true;
}
