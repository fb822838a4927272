/* SPDX-License-Identifier: MIT
 *
 * reader_registry.c - makes families and series of the records, in the order of their creation. A
 * series needs a sound family of this segment, label values that are all there, cells of its own,
 * and must be the only one with these values; else it is left out and counted.
 */
#include "libshm/reader.h"

#include "libshm/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What lives only while a registry is built. */
struct build {
    struct smx__registry *registry;
    struct smx__records records;
    struct smx__cache cache;
    struct smx__candidate *candidates;
    size_t n;
};

static int take_constant_labels(struct smx__registry *r)
{
    const unsigned char *at = r->header.labels;
    const unsigned char *end = at + r->header.labels_len;
    if (r->header.labels_len > SMX__LABELS_SIZE) {
        r->errors++;
        return 0;
    }
    /* A pair takes at least five bytes. */
    r->labels = smx__arena_array(&r->arena, r->header.labels_len / 5, sizeof *r->labels);
    if (!r->labels)
        return -ENOMEM;
    while (at < end) {
        const char *name, *value;
        size_t name_length, value_length;
        bool whole = smx__take_string(&at, end, &name, &name_length) &&
                     smx__is_label_name(name, name_length) &&
                     smx__take_string(&at, end, &value, &value_length);
        for (size_t i = 0; whole && i < r->n_labels; i++)
            whole = r->labels[i].name.length != name_length ||
                    memcmp(r->labels[i].name.at, name, name_length) != 0;
        if (!whole) {
            r->errors++;
            return 0;
        }
        struct smx_label *label = &r->labels[r->n_labels];
        if (!smx__arena_string(&r->arena, name, name_length, &label->name) ||
            !smx__arena_string(&r->arena, value, value_length, &label->value))
            return -ENOMEM;
        r->n_labels++;
    }
    return 0;
}

static int take_header(struct smx__registry *r)
{
    const struct smx__header *h = &r->header;
    if (!smx__arena_string(&r->arena, h->app, strnlen(h->app, SMX__APP_SIZE), &r->app) ||
        !smx__arena_string(&r->arena, h->instance, strnlen(h->instance, SMX__APP_SIZE),
                           &r->instance))
        return -ENOMEM;
    return take_constant_labels(r);
}

static size_t count_kind(const struct smx__records *records, uint16_t kind)
{
    size_t n = 0;
    for (size_t i = 0; i < records->n; i++)
        n += records->raw[i].kind == kind;
    return n;
}

static int compare_families(const void *a, const void *b)
{
    const struct smx_family_info *x = *(const struct smx_family_info *const *)a;
    const struct smx_family_info *y = *(const struct smx_family_info *const *)b;
    int order = strcmp(x->name.at, y->name.at);
    return order ? order : (x > y) - (x < y);
}

/* Of families with one name keep the first. */
static int drop_duplicate_families(struct smx__registry *r)
{
    const struct smx_family_info **by_name = calloc(r->n_families + 1, sizeof *by_name);
    bool *twice = calloc(r->n_families + 1, sizeof *twice);
    int result = by_name && twice ? 0 : -ENOMEM;
    size_t n = result == 0 ? r->n_families : 0;
    for (size_t i = 0; i < n; i++)
        by_name[i] = &r->families[i];
    if (n)
        qsort(by_name, n, sizeof(*by_name), compare_families);
    for (size_t i = 1; i < n; i++)
        twice[by_name[i] - r->families] = strcmp(by_name[i]->name.at, by_name[i - 1]->name.at) == 0;
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (twice[i]) {
            r->errors++;
            continue;
        }
        r->families[kept] = r->families[i];
        r->shapes[kept++] = r->shapes[i];
    }
    if (result == 0)
        r->n_families = kept;
    free(by_name);
    free(twice);
    return result;
}

static int take_families(struct build *b)
{
    struct smx__registry *r = b->registry;
    size_t n = count_kind(&b->records, SMX__RECORD_FAMILY);
    r->families = smx__arena_array(&r->arena, n, sizeof *r->families);
    r->shapes = smx__arena_array(&r->arena, n, sizeof *r->shapes);
    if (!r->families || !r->shapes)
        return -ENOMEM;
    for (size_t i = 0; i < b->records.n; i++) {
        const struct smx__raw *raw = &b->records.raw[i];
        if (raw->kind != SMX__RECORD_FAMILY)
            continue;
        int result = smx__family_parse(raw, &b->records, &b->cache, &r->header, &r->arena,
                                       &r->families[r->n_families], &r->shapes[r->n_families]);
        if (result < 0)
            return result;
        r->n_families += result == 1;
        r->errors += result == 0;
    }
    return drop_duplicate_families(r);
}

/* Overflow series are not in the hash table; their families name them. */
static int take_overflows(struct build *b)
{
    for (size_t i = 0; i < b->registry->n_families; i++) {
        uint64_t at = b->registry->shapes[i].overflow;
        int result = at ? smx__records_add(&b->records, &b->cache, at) : 0;
        if (result != 0)
            return result;
    }
    smx__records_sort(&b->records);
    return 0;
}

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
        if (!smx__take_string(&at, end, &value, &length))
            return false;
        hash = hash_bytes(hash, &length, sizeof length);
        hash = hash_bytes(hash, value, length);
    }
    *key = hash;
    return true;
}

/* Check one record of a series. Returns 1, 0 when hidden, -1 when unsound. */
static int check_series(const struct smx__registry *r, const struct smx__raw *raw,
                        struct smx__candidate *out)
{
    struct smx__series series;
    memcpy(&series, raw->bytes, sizeof series);
    size_t family = find_family(r, (uint64_t)series.family * 8);
    if (family == r->n_families)
        return -1;
    if (series.state & SMX__HIDDEN)
        return 0;
    *out = (struct smx__candidate){.raw = raw,
                                   .cell = series.cell,
                                   .family = (uint32_t)family,
                                   .overflow = r->shapes[family].overflow == raw->at};
    return out->overflow || hash_values(raw, r->families[family].n_labels, &out->key) ? 1 : -1;
}

static int take_candidates(struct build *b)
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
            r->errors += result < 0;
        } else if (raw->kind != SMX__RECORD_FAMILY && r->header.minor <= SMX__MINOR) {
            r->errors++;
        }
    }
    return 0;
}

static int compare_keys(const void *a, const void *b)
{
    const struct smx__candidate *x = *(struct smx__candidate *const *)a;
    const struct smx__candidate *y = *(struct smx__candidate *const *)b;
    if (x->family != y->family)
        return x->family < y->family ? -1 : 1;
    if (x->overflow != y->overflow)
        return x->overflow ? 1 : -1;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return (x->raw->at > y->raw->at) - (x->raw->at < y->raw->at);
}

/* Of series with the same values keep the first. */
static void drop_duplicate_series(struct build *b, struct smx__candidate **order)
{
    if (b->n)
        qsort(order, b->n, sizeof *order, compare_keys);
    for (size_t i = 1; i < b->n; i++) {
        const struct smx__candidate *before = order[i - 1];
        if (order[i]->family == before->family && order[i]->key == before->key &&
            order[i]->overflow == before->overflow) {
            order[i]->dropped = true;
            b->registry->errors++;
        }
    }
}

/* Drop what must not be served, then move the rest to the front. */
static int select_candidates(struct build *b)
{
    struct smx__candidate **order = calloc(b->n + 1, sizeof *order);
    if (!order)
        return -ENOMEM;
    for (size_t i = 0; i < b->n; i++)
        order[i] = &b->candidates[i];
    drop_duplicate_series(b, order);
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++)
        if (!b->candidates[i].dropped)
            order[n++] = &b->candidates[i];
    b->registry->errors += smx__cells_check(b->registry, order, n);
    size_t kept = 0;
    for (size_t i = 0; i < b->n; i++)
        if (!b->candidates[i].dropped)
            b->candidates[kept++] = b->candidates[i];
    b->n = kept;
    free(order);
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
        if (!smx__take_string(&at, end, &value, &length))
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

static int compare_places(const void *a, const void *b)
{
    const struct smx__place *x = a;
    const struct smx__place *y = b;
    return (x->cell > y->cell) - (x->cell < y->cell);
}

/* Lay the series out by family; within a family the candidates are in the order of creation. */
static int fill_series(struct build *b)
{
    struct smx__registry *r = b->registry;
    r->series = smx__arena_array(&r->arena, b->n, sizeof *r->series);
    r->places = smx__arena_array(&r->arena, b->n, sizeof *r->places);
    if (!r->series || !r->places)
        return -ENOMEM;
    for (size_t i = 0; i < b->n; i++)
        r->families[b->candidates[i].family].n_series++;
    for (size_t i = 0, at = 0; i < r->n_families; i++) {
        r->families[i].series = r->series + at;
        at += r->families[i].n_series;
        r->families[i].n_series = 0;
    }
    for (size_t i = 0; i < b->n; i++) {
        const struct smx__candidate *c = &b->candidates[i];
        struct smx_family_info *family = &r->families[c->family];
        size_t index = (size_t)(family->series - r->series) + family->n_series++;
        int result = copy_values(r, c, &r->series[index]);
        if (result == 0 && family->type == SMX_HISTOGRAM)
            result = add_histogram(r, c->family, &r->series[index]);
        if (result != 0)
            return result;
        r->places[i] =
            (struct smx__place){.cell = c->cell, .series = (uint32_t)index, .family = c->family};
    }
    r->n_series = b->n;
    if (b->n)
        qsort(r->places, b->n, sizeof *r->places, compare_places);
    return smx__cells_group(r);
}

static int build(struct build *b)
{
    int result = take_header(b->registry);
    if (result == 0)
        result = smx__records_walk(&b->records, &b->cache, &b->registry->header);
    if (result == 0)
        result = take_families(b);
    if (result == 0)
        result = take_overflows(b);
    if (result == 0)
        result = take_candidates(b);
    if (result == 0)
        result = select_candidates(b);
    return result == 0 ? fill_series(b) : result;
}

int smx__registry_read(struct smx__registry **out, struct smx__file *file,
                       const struct smx__header *header)
{
    struct build b = {.registry = calloc(1, sizeof *b.registry)};
    if (!b.registry)
        return -ENOMEM;
    b.registry->header = *header;
    int result = smx__cache_init(&b.cache, file, header->allocated);
    if (result == 0)
        result = build(&b);
    b.registry->errors += b.records.errors;
    smx__cache_fini(&b.cache);
    smx__records_free(&b.records);
    free(b.candidates);
    if (result == 0)
        *out = b.registry;
    else
        smx__registry_free(b.registry);
    return result;
}

void smx__registry_free(struct smx__registry *registry)
{
    if (registry)
        smx__arena_free(&registry->arena);
    free(registry);
}
