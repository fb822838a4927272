/* SPDX-License-Identifier: MIT
 *
 * series.c - makes series of the records. A series needs a sound family of this segment,
 * label values that are all there, cells of its own, and must be the only one with these values;
 * else it is left out and counted.
 */
#include "libshm/reader/reader.h"

#include "libshm/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The index of the family whose record is at an offset, or n_families. */
static size_t find_family(const struct smx__registry *r, uint64_t at)
{
    size_t low = 0, high = r->n_families;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (r->shapes[middle].at < at)
            low = middle + 1;
        else
            high = middle;
    }
    return low < r->n_families && r->shapes[low].at == at ? low : r->n_families;
}

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t length)
{
    const unsigned char *at = bytes;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/* Take a label value: its bytes, a NUL, zeros up to a multiple of 8. False if it is unsound. */
static bool take_value(const unsigned char **at, const unsigned char *end, const char **value,
                       size_t *length)
{
    const unsigned char *nul = memchr(*at, 0, (size_t)(end - *at));
    if (!nul)
        return false;
    *value = (const char *)*at;
    *length = (size_t)(nul - *at);
    /* A record's size is a multiple of 8, so this does not lead behind its end. */
    *at += (*length + 8) & ~(size_t)7;
    while (nul < *at && *nul == 0)
        nul++;
    return nul == *at && *length <= SMX_STRING_MAX && smx__is_utf8(*value, *length);
}

/* Check the label values and hash them. Two series of one family with equal hashes are taken for
 * the same: by accident that happens to one segment of 2^64, and on purpose it only hides one of
 * the author's own series. */
static bool hash_values(const struct smx__raw *raw, size_t n, uint64_t *key)
{
    const unsigned char *at = raw->bytes + sizeof(struct smx__series);
    const unsigned char *end = raw->bytes + raw->size;
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < n; i++) {
        const char *value;
        size_t length;
        if (!take_value(&at, end, &value, &length))
            return false;
        hash = hash_bytes(hash, &length, sizeof length);
        hash = hash_bytes(hash, value, length);
    }
    *key = hash;
    return true;
}

void smx__series_name_unsound(struct smx__registry *r, enum smx_unsound reason,
                              const struct smx__candidate *series)
{
    struct smx_str family = r->families[series->family].name;
    smx__registry_name_unsound(r, reason, family.at, family.length);
}

/* Check one record of a series. Returns 1, 0 when it is hidden, or unsound and counted. */
static int check_series(struct smx__registry *r, const struct smx__raw *raw,
                        struct smx__candidate *out)
{
    struct smx__series series;
    memcpy(&series, raw->bytes, sizeof series);
    size_t family = find_family(r, (uint64_t)series.family * 8);
    if (family == r->n_families) {
        r->unsound[SMX_UNSOUND_ORPHAN]++;
        return 0;
    }
    if (series.state & SMX__HIDDEN)
        return 0;
    *out = (struct smx__candidate){.raw = raw,
                                   .cell = series.cell,
                                   .family = (uint32_t)family,
                                   .overflow = r->shapes[family].overflow == raw->at};
    if (out->overflow || hash_values(raw, r->families[family].n_labels, &out->key))
        return 1;
    r->unsound[SMX_UNSOUND_TEXT]++;
    smx__series_name_unsound(r, SMX_UNSOUND_TEXT, out);
    return 0;
}

static int take_candidates(struct smx__build *b)
{
    struct smx__registry *r = b->registry;
    b->candidates = calloc(b->records.n + 1, sizeof *b->candidates);
    if (!b->candidates)
        return -ENOMEM;
    for (size_t i = 0; i < b->records.n; i++) {
        const struct smx__raw *raw = &b->records.raw[i];
        if (raw->kind == SMX__RECORD_SERIES) {
            int result = check_series(r, raw, &b->candidates[b->n]);
            b->n += result == 1;
        } else if (raw->kind != SMX__RECORD_FAMILY && r->header.minor <= SMX__MINOR) {
            r->unsound[SMX_UNSOUND_RECORD]++;
        }
    }
    return 0;
}

static int compare_order(const void *a, const void *b)
{
    const struct smx__order *x = a;
    const struct smx__order *y = b;
    if (x->number != y->number)
        return x->number < y->number ? -1 : 1;
    if (x->tie != y->tie)
        return x->tie < y->tie ? -1 : 1;
    return (x->candidate > y->candidate) - (x->candidate < y->candidate);
}

static void sort(struct smx__order *order, size_t n)
{
    if (n)
        qsort(order, n, sizeof *order, compare_order);
}

/* Of series with the same values keep the first. */
static void drop_duplicate_series(struct smx__build *b, struct smx__order *order)
{
    for (size_t i = 0; i < b->n; i++)
        order[i] =
            (struct smx__order){.number = b->candidates[i].key,
                                .tie = b->candidates[i].family * 2 + b->candidates[i].overflow,
                                .candidate = (uint32_t)i};
    sort(order, b->n);
    for (size_t i = 1; i < b->n; i++) {
        if (order[i].number == order[i - 1].number && order[i].tie == order[i - 1].tie) {
            b->candidates[order[i].candidate].dropped = true;
            b->registry->unsound[SMX_UNSOUND_DUPLICATE]++;
            smx__series_name_unsound(b->registry, SMX_UNSOUND_DUPLICATE,
                                     &b->candidates[order[i].candidate]);
        }
    }
}

/* Mark what must not be served. */
int smx__series_select(struct smx__build *b)
{
    int result = take_candidates(b);
    if (result != 0)
        return result;
    b->by_cell = calloc(b->n + 1, sizeof *b->by_cell);
    if (!b->by_cell)
        return -ENOMEM;
    drop_duplicate_series(b, b->by_cell);
    for (size_t i = 0; i < b->n; i++)
        if (!b->candidates[i].dropped)
            b->by_cell[b->n_by_cell++] =
                (struct smx__order){.number = b->candidates[i].cell, .candidate = (uint32_t)i};
    sort(b->by_cell, b->n_by_cell);
    smx__cells_check(b);
    return 0;
}

/* Copy a series' label values, which hash_values() has checked. */
static int copy_values(struct smx__registry *r, const struct smx__candidate *c,
                       struct smx_series_info *out)
{
    size_t n = r->families[c->family].n_labels;
    const unsigned char *at = c->raw->bytes + sizeof(struct smx__series);
    const unsigned char *end = c->raw->bytes + c->raw->size;
    *out = (struct smx_series_info){.id = c->raw->at, .overflow = c->overflow};
    if (c->overflow)
        return 0;
    struct smx_str *values = smx__arena_array(&r->arena, n, sizeof *values);
    for (size_t i = 0; values && i < n; i++) {
        const char *value;
        size_t length;
        if (!take_value(&at, end, &value, &length))
            return -EIO;
        if (!smx__arena_string(&r->arena, value, length, &values[i]))
            return -ENOMEM;
    }
    out->values = values;
    return values ? 0 : -ENOMEM;
}

static int add_histogram(struct smx__registry *r, uint32_t family, struct smx_series_info *series)
{
    struct smx_histogram_info *info = smx__arena_take(&r->arena, sizeof *info);
    if (!info)
        return -ENOMEM;
    info->family = &r->families[family];
    series->histogram = info;
    return 0;
}

/* Count the series of each family, and say where they begin. */
static void divide_series(struct smx__build *b)
{
    struct smx__registry *r = b->registry;
    for (size_t i = 0; i < b->n; i++)
        r->families[b->candidates[i].family].n_series += !b->candidates[i].dropped;
    for (size_t i = 0; i < r->n_families; i++) {
        r->families[i].series = r->series + r->n_series;
        r->n_series += r->families[i].n_series;
        r->families[i].n_series = 0;
    }
}

static int fill_places(struct smx__build *b)
{
    struct smx__registry *r = b->registry;
    r->places = smx__arena_array(&r->arena, r->n_series, sizeof *r->places);
    if (!r->places)
        return -ENOMEM;
    size_t n = 0;
    for (size_t i = 0; i < b->n_by_cell; i++) {
        const struct smx__candidate *c = &b->candidates[b->by_cell[i].candidate];
        if (!c->dropped)
            r->places[n++] =
                (struct smx__place){.cell = c->cell, .series = c->series, .family = c->family};
    }
    return 0;
}

/* Lay the series out by family; within a family they are in the order of creation. */
int smx__series_fill(struct smx__build *b)
{
    struct smx__registry *r = b->registry;
    r->series = smx__arena_array(&r->arena, b->n_by_cell, sizeof *r->series);
    if (!r->series)
        return -ENOMEM;
    divide_series(b);
    for (size_t i = 0; i < b->n; i++) {
        struct smx__candidate *c = &b->candidates[i];
        if (c->dropped)
            continue;
        struct smx_family_info *family = &r->families[c->family];
        c->series = (uint32_t)((size_t)(family->series - r->series) + family->n_series++);
        int result = copy_values(r, c, &r->series[c->series]);
        if (result == 0 && family->type == SMX_HISTOGRAM)
            result = add_histogram(r, c->family, &r->series[c->series]);
        if (result != 0)
            return result;
    }
    return fill_places(b);
}
