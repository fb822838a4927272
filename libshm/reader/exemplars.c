/* SPDX-License-Identifier: MIT
 *
 * exemplars.c - finds the places of exemplars when names are read, and reads what is in them at
 * every update. Writers go on meanwhile, as many as like: a copy counts if it fits its seal.
 */
#include "libshm/reader/reader.h"

#include "libshm/metric/exemplar.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint64_t size_of(const struct smx__exemplars *e)
{
    return e->n * sizeof(struct smx__exemplar);
}

static bool in_bounds(const struct smx__build *b, const struct smx__exemplars *e)
{
    uint64_t limit = b->cache.limit;
    return e->n >= 1 && e->n <= SMX__EXEMPLAR_GROUPS && e->at >= SMX__PAGE && e->at % 8 == 0 &&
           e->at <= limit && size_of(e) <= limit - e->at;
}

/* Whether a record's places can be those of a series of this family. What they take is charged to
 * the records' budget, so that many cannot share few bytes. */
static bool is_sound(struct smx__build *b, const struct smx__exemplars *e,
                     const struct smx_family_info *family)
{
    uint32_t n = family->type == SMX_COUNTER     ? 1
                 : family->type == SMX_HISTOGRAM ? smx__exemplar_groups((uint32_t)family->n_buckets)
                                                 : 0;
    if (e->n != n || size_of(e) > b->records.budget)
        return false;
    b->records.budget -= size_of(e);
    return true;
}

static int compare_series(const void *a, const void *b)
{
    const struct smx__examples *x = a;
    const struct smx__examples *y = b;
    if (x->series != y->series)
        return x->series < y->series ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

/* Of two for one series keep the first. */
static void drop_duplicates(struct smx__registry *r)
{
    size_t kept = 0;
    if (r->n_examples)
        qsort(r->examples, r->n_examples, sizeof *r->examples, compare_series);
    for (size_t i = 0; i < r->n_examples; i++) {
        if (kept && r->examples[kept - 1].series == r->examples[i].series) {
            r->unsound[SMX_UNSOUND_DUPLICATE]++;
            continue;
        }
        r->examples[kept++] = r->examples[i];
        r->n_exemplars += r->examples[i].n;
    }
    r->n_examples = kept;
}

static void find_examples(struct smx__build *b, const struct smx__raw *raw)
{
    struct smx__registry *r = b->registry;
    struct smx__exemplars e;
    memcpy(&e, raw->bytes, sizeof e);
    const struct smx__place *place = smx__place_find(r, e.cell);
    const bool sound = in_bounds(b, &e);
    if (sound && !place)
        return; /* of a series that is hidden, or that was left out itself */
    if (sound && is_sound(b, &e, &r->families[place->family]))
        r->examples[r->n_examples++] = (struct smx__examples){
            .at = e.at, .series = place->series, .family = place->family, .n = e.n};
    else
        r->unsound[SMX_UNSOUND_EXEMPLAR]++;
}

int smx__exemplars_find(struct smx__build *b)
{
    struct smx__registry *r = b->registry;
    if (!r->examples)
        r->examples = smx__arena_array(&r->arena, b->records.n_exemplars, sizeof *r->examples);
    if (!r->examples)
        return -ENOMEM;
    for (; b->records.n_exemplars && b->next < b->records.n; b->next++) {
        const struct smx__raw *raw = &b->records.raw[b->next];
        bool here = raw->kind == SMX__RECORD_EXEMPLARS;
        if (!smx__build_spend(b, sizeof *raw + (here ? SMX__LOOK_BYTES : 0)))
            return 1;
        if (here)
            find_examples(b, raw);
    }
    drop_duplicates(r);
    return 0;
}

static int reserve(struct smx__exemplar_values *v, size_t n)
{
    if (n <= v->room)
        return 0;
    smx__exemplars_free(v);
    v->at = calloc(n, sizeof *v->at);
    v->family = calloc(n, sizeof *v->family);
    v->labels = calloc(n, SMX_LABELS_MAX * sizeof *v->labels);
    v->raw = calloc(n, sizeof *v->raw);
    v->room = v->at && v->family && v->labels && v->raw ? n : 0;
    return v->room ? 0 : -ENOMEM;
}

/* Take a string and its NUL; what it has of characters is taken off the room. */
static bool take(const struct smx__exemplar *e, size_t *at, size_t *room, struct smx_str *out)
{
    const char *nul = memchr(e->labels + *at, 0, e->length - *at);
    if (!nul)
        return false;
    *out = (struct smx_str){e->labels + *at, (size_t)(nul - (e->labels + *at))};
    *at += out->length + 1;
    size_t n = 0;
    for (size_t i = 0; i < out->length; i++)
        n += ((unsigned char)out->at[i] & 0xc0) != 0x80;
    if (n > *room || !smx__is_utf8(out->at, out->length))
        return false;
    *room -= n;
    return true;
}

/* What a label must be in an exposition; who damages a segment can make seals, too. */
static bool take_labels(const struct smx__exemplar *e, struct smx_label *labels, size_t *n)
{
    size_t at = 0, room = SMX_EXEMPLAR_CHARACTERS;
    for (*n = 0; at < e->length; ++*n) {
        struct smx_label *label = &labels[*n];
        if (*n == SMX_LABELS_MAX || !take(e, &at, &room, &label->name) || at == e->length ||
            !take(e, &at, &room, &label->value) ||
            !smx__exemplar_is_name(label->name.at, label->name.length))
            return false;
        for (size_t i = 0; i < *n; i++)
            if (strcmp(labels[i].name.at, label->name.at) == 0)
                return false;
    }
    return true;
}

/* The bucket that a number of ticks falls into, by the bounds that are exposed. */
static size_t bucket_of(const struct smx_family_info *family, uint64_t ticks)
{
    static const double scale[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};
    double value = (double)ticks / scale[family->digits];
    size_t low = 0, high = family->n_buckets - 1;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (family->upper_bounds[middle] < value)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Add what was read from one place, unless it does not belong there. */
static void add(struct smx__exemplar_values *v, const struct smx__registry *r,
                const struct smx__examples *of, uint32_t group, const struct smx__exemplar *e)
{
    const struct smx_family_info *family = &r->families[of->family];
    struct smx_exemplar *to = &v->at[v->n];
    bool histogram = family->type == SMX_HISTOGRAM;
    *to = (struct smx_exemplar){.series = of->series - (size_t)(family->series - r->series),
                                .bucket = histogram ? bucket_of(family, e->value) : 0,
                                .labels = v->labels + v->n * SMX_LABELS_MAX,
                                .value = e->value,
                                .time_ns = e->time_ns};
    if (histogram &&
        smx__exemplar_group((uint32_t)to->bucket, (uint32_t)family->n_buckets) != group)
        return;
    v->family[v->n] = of->family;
    v->n += take_labels(e, v->labels + v->n * SMX_LABELS_MAX, &to->n_labels);
}

int smx__exemplars_begin(struct smx__exemplar_values *v, const struct smx__registry *r)
{
    v->n = v->next = v->next_raw = 0;
    return reserve(v, r->n_exemplars);
}

static int read_places(struct smx__exemplar_values *v, const struct smx__registry *r,
                       const struct smx__examples *of, struct smx__source *file)
{
    struct smx__exemplar *raw = v->raw + v->next_raw;
    int result = smx__source_read(file, of->at, raw, of->n * sizeof *raw);
    for (uint32_t group = 0; result >= 0 && group < of->n; group++) {
        result = smx__source_sealed(file, of->at + group * sizeof *raw, &raw[group], sizeof *raw);
        if (result == 1)
            add(v, r, of, group, &raw[group]);
    }
    v->next_raw += of->n;
    return result < 0 ? result : 0;
}

int smx__exemplars_step(struct smx__exemplar_values *v, const struct smx__registry *r,
                        struct smx__source *file, uint64_t max_bytes)
{
    int result = 0;
    for (uint64_t done = 0; result == 0 && v->next < r->n_examples && done < max_bytes;) {
        const struct smx__examples *of = &r->examples[v->next++];
        result = read_places(v, r, of, file);
        done += of->n * sizeof *v->raw;
    }
    return result < 0 ? result : v->next < r->n_examples;
}

void smx__exemplars_show(const struct smx__exemplar_values *v, struct smx__registry *r)
{
    for (size_t i = 0; i < r->n_examples; i++)
        r->families[r->examples[i].family].n_exemplars = 0;
    for (size_t i = 0; i < v->n; i++) {
        struct smx_family_info *family = &r->families[v->family[i]];
        if (family->n_exemplars++ == 0)
            family->exemplars = &v->at[i];
    }
}

void smx__exemplars_free(struct smx__exemplar_values *v)
{
    free(v->at);
    free(v->family);
    free(v->labels);
    free(v->raw);
    *v = (struct smx__exemplar_values){0};
}
