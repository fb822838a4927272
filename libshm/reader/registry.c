/* SPDX-License-Identifier: MIT
 *
 * registry.c - makes a registry of the records, in pieces: what the header says of the segment,
 * then the families in the order of their creation; of two with one name the first stays. The
 * series are made in series.c, their values found in cells.c.
 */
#include "libshm/reader/reader.h"

#include "libshm/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int take_constant_labels(struct smx__registry *r)
{
    const unsigned char *at = r->header.labels;
    const unsigned char *end = at + r->header.labels_len;
    if (r->header.labels_len > SMX__LABELS_SIZE) {
        r->unsound[SMX_UNSOUND_CONSTANT]++;
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
            r->unsound[SMX_UNSOUND_CONSTANT]++;
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

static int take_header(struct smx__build *b)
{
    struct smx__registry *r = b->registry;
    const struct smx__header *h = &r->header;
    if (!smx__arena_string(&r->arena, h->app, strnlen(h->app, SMX__APP_SIZE), &r->app) ||
        !smx__arena_string(&r->arena, h->instance, strnlen(h->instance, SMX__APP_SIZE),
                           &r->instance))
        return -ENOMEM;
    return take_constant_labels(r);
}

void smx__registry_name_unsound(struct smx__registry *registry, enum smx_unsound reason,
                                const char *family, size_t length)
{
    struct smx_unsound_info info = {.reason = reason};
    if (length == 0 || registry->n_named == SMX_UNSOUND_NAMED_MAX)
        return;
    const char *nul = memchr(family, 0, length);
    length = nul ? (size_t)(nul - family) : length;
    memcpy(info.family, family, length < sizeof info.family ? length : sizeof info.family - 1);
    smx__make_line(info.family);
    for (size_t i = 0; i < registry->n_named; i++)
        if (registry->named[i].reason == reason &&
            strcmp(registry->named[i].family, info.family) == 0)
            return;
    registry->named[registry->n_named++] = info;
}

/* A family's record that is unsound may have a name all the same. */
static void name_family(struct smx__registry *r, enum smx_unsound reason,
                        const struct smx__raw *raw)
{
    struct smx__family record;
    memcpy(&record, raw->bytes, sizeof record);
    size_t room = raw->size - sizeof record;
    smx__registry_name_unsound(r, reason, (const char *)raw->bytes + sizeof record,
                               record.name_len < room ? record.name_len : room);
}

static int order_families(struct smx__build *b)
{
    struct smx__registry *r = b->registry;
    if (!b->by_values)
        b->by_values = calloc(r->n_families + 1, sizeof *b->by_values);
    if (!b->by_values)
        return -ENOMEM;
    for (; b->next < r->n_families; b->next++) {
        const struct smx_str *name = &r->families[b->next].name;
        if (!smx__build_spend(b, SMX__LOOK_BYTES + name->length))
            return 1;
        b->by_values[b->next] =
            (struct smx__order){.number = smx__hash_bytes(SMX__HASH_BASIS, name->at, name->length),
                                .candidate = (uint32_t)b->next};
    }
    return smx__order_sort(b, &b->by_values, r->n_families);
}

static int mark_duplicate_families(struct smx__build *b)
{
    const struct smx__order *order = b->by_values;
    for (; b->next + 1 < b->registry->n_families; b->next++) {
        const struct smx__order *x = &order[b->next], *y = x + 1;
        if (!smx__build_spend(b, SMX__LOOK_BYTES))
            return 1;
        b->registry->shapes[y->candidate].twice = x->number == y->number;
    }
    free(b->by_values);
    b->by_values = NULL;
    return 0;
}

/* Of families with one name keep the first. */
static int drop_duplicate_families(struct smx__build *b)
{
    struct smx__registry *r = b->registry;
    for (; b->next < r->n_families; b->next++) {
        const struct smx_family_info *family = &r->families[b->next];
        if (!smx__build_spend(b, SMX__LOOK_BYTES))
            return 1;
        if (r->shapes[b->next].twice) {
            r->unsound[SMX_UNSOUND_DUPLICATE]++;
            smx__registry_name_unsound(r, SMX_UNSOUND_DUPLICATE, family->name.at,
                                       family->name.length);
            continue;
        }
        r->families[b->n_kept] = *family;
        r->shapes[b->n_kept++] = r->shapes[b->next];
    }
    r->n_families = b->n_kept;
    return 0;
}

static int take_family(struct smx__build *b, const struct smx__raw *raw)
{
    struct smx__registry *r = b->registry;
    int result = smx__family_parse(raw, &b->records, &b->cache, &r->header, &r->arena,
                                   &r->families[r->n_families], &r->shapes[r->n_families]);
    if (result < 0)
        return result;
    if (result == 0)
        name_family(r, r->shapes[r->n_families].unsound, raw);
    r->n_families += result == 1;
    return 0;
}

static int take_families(struct smx__build *b)
{
    struct smx__registry *r = b->registry;
    if (!r->families) {
        r->families = smx__arena_array(&r->arena, b->records.n_families, sizeof *r->families);
        r->shapes = smx__arena_array(&r->arena, b->records.n_families, sizeof *r->shapes);
    }
    if (!r->families || !r->shapes)
        return -ENOMEM;
    for (int result = 0; result == 0 && b->next < b->records.n; b->next++) {
        const struct smx__raw *raw = &b->records.raw[b->next];
        bool family = raw->kind == SMX__RECORD_FAMILY;
        if (!smx__build_spend(b, sizeof *raw + (family ? raw->size : 0)))
            return 1;
        result = family ? take_family(b, raw) : 0;
        if (result < 0)
            return result;
    }
    return 0;
}

/* Overflow series are not in the hash table; their families name them. */
static int take_overflows(struct smx__build *b)
{
    for (; b->next < b->registry->n_families; b->next++) {
        uint64_t at = b->registry->shapes[b->next].overflow;
        if (!smx__build_spend(b, SMX__LOOK_BYTES))
            return 1;
        int result = at ? smx__records_add(&b->records, &b->cache, at) : 0;
        if (result != 0)
            return result;
    }
    return b->records.n != b->records.n_sorted ? smx__records_sort(&b->records) : 0;
}

/* What it took may be as much as the segment: to free it at once would take its time, too. */
static int drop_cache(struct smx__build *b)
{
    for (; b->next < b->cache.n_blocks; b->next++) {
        if (!smx__build_spend(b, SMX__LOOK_BYTES))
            return 1;
        smx__cache_drop(&b->cache, b->next);
    }
    return 0;
}

static int drop_records(struct smx__build *b)
{
    for (size_t dropped = 0; smx__build_spend(b, dropped);) {
        dropped = smx__arena_drop(&b->records.arena);
        if (dropped == 0)
            return 0;
    }
    return 1;
}

static int (*const phases[])(struct smx__build *) = {
    take_header,
    smx__records_walk,
    smx__records_copy,
    take_families,
    order_families,
    mark_duplicate_families,
    drop_duplicate_families,
    take_overflows,
    smx__series_take,
    smx__series_by_values,
    smx__series_drop_duplicates,
    smx__series_by_cell,
    smx__cells_check,
    smx__series_fill,
    smx__series_place,
    smx__cells_group,
    smx__exemplars_find,
    smx__checks_find,
    drop_cache,
    drop_records,
};
enum { PHASES = sizeof phases / sizeof phases[0] };

int smx__build_new(struct smx__build **out, struct smx__source *file,
                   const struct smx__header *header)
{
    struct smx__build *b = calloc(1, sizeof *b);
    if (!b)
        return -ENOMEM;
    b->registry = calloc(1, sizeof *b->registry);
    int result = b->registry ? smx__cache_init(&b->cache, file, header->allocated) : -ENOMEM;
    if (result != 0) {
        smx__build_free(b, NULL);
        return result;
    }
    b->registry->header = *header;
    *out = b;
    return 0;
}

int smx__build_step(struct smx__build *b, uint64_t max_bytes)
{
    b->left = max_bytes;
    while (b->phase < PHASES) {
        int result = phases[b->phase](b);
        if (result != 0)
            return result;
        b->phase++;
        b->next = 0;
    }
    return 0;
}

void smx__build_free(struct smx__build *b, struct smx__registry **out)
{
    if (!b)
        return;
    smx__cache_fini(&b->cache);
    smx__records_free(&b->records);
    free(b->candidates);
    free(b->by_cell);
    free(b->by_values);
    free(b->sort.other);
    if (out)
        *out = b->registry;
    else
        smx__registry_free(b->registry);
    free(b);
}

const struct smx__place *smx__place_find(const struct smx__registry *r, uint64_t cell)
{
    size_t low = 0, high = r->n_series;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (r->places[middle].cell < cell)
            low = middle + 1;
        else
            high = middle;
    }
    return low < r->n_series && r->places[low].cell == cell ? &r->places[low] : NULL;
}

void smx__registry_free(struct smx__registry *registry)
{
    if (registry)
        smx__arena_free(&registry->arena);
    free(registry);
}
