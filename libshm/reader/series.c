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

/* Check the label values and hash them. */
static bool hash_values(const struct smx__raw *raw, size_t n, uint64_t *key)
{
    const unsigned char *at = raw->bytes + sizeof(struct smx__series);
    const unsigned char *end = raw->bytes + raw->size;
    uint64_t hash = SMX__HASH_BASIS;
    for (size_t i = 0; i < n; i++) {
        const char *value;
        size_t length;
        if (!take_value(&at, end, &value, &length))
            return false;
        hash = smx__hash_bytes(hash, &length, sizeof length);
        hash = smx__hash_bytes(hash, value, length);
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

int smx__series_take(struct smx__build *b)
{
    struct smx__registry *r = b->registry;
    if (!b->candidates)
        b->candidates = calloc(b->records.n + 1, sizeof *b->candidates);
    if (!b->candidates)
        return -ENOMEM;
    for (; b->next < b->records.n; b->next++) {
        const struct smx__raw *raw = &b->records.raw[b->next];
        if (!smx__build_spend(b, SMX__LOOK_BYTES + raw->size))
            return 1;
        if (raw->kind == SMX__RECORD_SERIES) {
            int result = check_series(r, raw, &b->candidates[b->n]);
            b->n += result == 1;
        } else if ((raw->kind == 0 || raw->kind > SMX__RECORD_LAST) &&
                   r->header.minor <= SMX__MINOR) {
            r->unsound[SMX_UNSOUND_RECORD]++;
        }
    }
    return 0;
}

/* Both orders take as much memory as one and what sorts it. */
int smx__series_by_values(struct smx__build *b)
{
    if (!b->by_values)
        b->by_values = calloc(b->n + 1, sizeof *b->by_values);
    if (!b->by_values)
        return -ENOMEM;
    for (; b->next < b->n; b->next++) {
        const struct smx__candidate *c = &b->candidates[b->next];
        if (!smx__build_spend(b, SMX__LOOK_BYTES))
            return 1;
        b->by_values[b->next] = (struct smx__order){
            .number = c->key, .tie = c->family * 2 + c->overflow, .candidate = (uint32_t)b->next};
    }
    return smx__order_sort(b, &b->by_values, b->n);
}

/* Of series with the same values keep the first. */
int smx__series_drop_duplicates(struct smx__build *b)
{
    const struct smx__order *order = b->by_values;
    for (; b->next + 1 < b->n; b->next++) {
        const struct smx__order *x = &order[b->next], *y = x + 1;
        if (!smx__build_spend(b, SMX__LOOK_BYTES))
            return 1;
        if (x->number != y->number || x->tie != y->tie)
            continue;
        b->candidates[y->candidate].dropped = true;
        b->registry->unsound[SMX_UNSOUND_DUPLICATE]++;
        smx__series_name_unsound(b->registry, SMX_UNSOUND_DUPLICATE, &b->candidates[y->candidate]);
    }
    free(b->by_values);
    b->by_values = NULL;
    return 0;
}

int smx__series_by_cell(struct smx__build *b)
{
    if (!b->by_cell)
        b->by_cell = calloc(b->n + 1, sizeof *b->by_cell);
    if (!b->by_cell)
        return -ENOMEM;
    for (; b->next < b->n; b->next++) {
        const struct smx__candidate *c = &b->candidates[b->next];
        if (!smx__build_spend(b, SMX__LOOK_BYTES))
            return 1;
        if (!c->dropped)
            b->by_cell[b->n_by_cell++] =
                (struct smx__order){.number = c->cell, .candidate = (uint32_t)b->next};
    }
    return smx__order_sort(b, &b->by_cell, b->n_by_cell);
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

static int fill(struct smx__build *b, struct smx__candidate *c)
{
    struct smx__registry *r = b->registry;
    struct smx_family_info *family = &r->families[c->family];
    c->series = (uint32_t)((size_t)(family->series - r->series) + family->n_series++);
    int result = copy_values(r, c, &r->series[c->series]);
    if (result == 0 && family->type == SMX_HISTOGRAM)
        result = add_histogram(r, c->family, &r->series[c->series]);
    return result;
}

/* Lay the series out by family; within a family they are in the order of creation. */
int smx__series_fill(struct smx__build *b)
{
    struct smx__registry *r = b->registry;
    if (!r->series) {
        r->series = smx__arena_array(&r->arena, b->n_by_cell, sizeof *r->series);
        if (!r->series)
            return -ENOMEM;
        divide_series(b);
    }
    for (; b->next < b->n; b->next++) {
        struct smx__candidate *c = &b->candidates[b->next];
        if (!smx__build_spend(b, SMX__LOOK_BYTES + c->raw->size))
            return 1;
        int result = c->dropped ? 0 : fill(b, c);
        if (result != 0)
            return result;
    }
    return 0;
}

int smx__series_place(struct smx__build *b)
{
    struct smx__registry *r = b->registry;
    if (!r->places)
        r->places = smx__arena_array(&r->arena, r->n_series, sizeof *r->places);
    if (!r->places)
        return -ENOMEM;
    for (; b->next < b->n_by_cell; b->next++) {
        const struct smx__candidate *c = &b->candidates[b->by_cell[b->next].candidate];
        if (!smx__build_spend(b, SMX__LOOK_BYTES))
            return 1;
        if (!c->dropped)
            r->places[b->n_placed++] =
                (struct smx__place){.cell = c->cell, .series = c->series, .family = c->family};
    }
    return 0;
}
