/* SPDX-License-Identifier: MIT
 *
 * cells.c - which bytes of the file hold the values. Cells are grouped into blocks that are
 * read as a whole. In a sound segment a cell belongs to one series for ever (invariant 4) and
 * blocks lie apart; here both are enforced, since a file in which they overlap could make the
 * reader read it many times over.
 *
 * It reads nothing itself.
 */
#include "libshm/reader/reader.h"

#include <errno.h>

enum { LINE = 1 << SMX_GAUGE_SHIFT };

static enum smx__block_kind kind_of(const struct smx_family_info *family)
{
    if (family->type == SMX_COUNTER)
        return SMX__BLOCK_COUNTERS;
    if (family->type == SMX_HISTOGRAM)
        return SMX__BLOCK_HISTOGRAM;
    return family->mode == SMX_LAST ? SMX__BLOCK_LAST : SMX__BLOCK_GAUGES;
}

static uint64_t hist_words(const struct smx_family_info *family)
{
    return SMX_HIST_BUCKETS + family->n_buckets;
}

/* The block that a cell lies in. False if the cell itself is out of place. The header's and the
 * family's numbers are small enough that nothing overflows once the cell is below `allocated`. */
static bool block_of(const struct smx__registry *registry, uint32_t family, uint64_t cell,
                     struct smx__block *out)
{
    const struct smx__header *h = &registry->header;
    uint64_t align = SMX__HAS_GAUGE_CELLS(registry->families[family].type) ? 16 : 8;
    if (cell < SMX__PAGE || cell % align || cell >= h->allocated)
        return false;
    uint64_t rows = (uint64_t)h->rows + h->counter_stripes;
    struct smx__block b = {.at = cell, .kind = kind_of(&registry->families[family])};
    switch (b.kind) {
    case SMX__BLOCK_COUNTERS:
        b.at = cell & ~(uint64_t)(SMX__PAGE - 1);
        b.end = b.at + (rows << SMX_COUNTER_SHIFT);
        break;
    case SMX__BLOCK_GAUGES:
        b.at = cell & ~(uint64_t)(LINE - 1);
        b.end = b.at + (((uint64_t)h->slots + 1) << SMX_GAUGE_SHIFT);
        break;
    case SMX__BLOCK_LAST:
        b.end = b.at + sizeof(struct smx_cell);
        break;
    case SMX__BLOCK_HISTOGRAM:
        rows = (uint64_t)h->rows + h->hist_stripes;
        b.end = b.at + (rows - 1) * registry->shapes[family].stride +
                hist_words(&registry->families[family]) * sizeof(uint64_t);
        break;
    }
    *out = b;
    return b.end <= h->allocated;
}

int smx__cells_check(struct smx__build *build)
{
    struct smx__block *last = &build->last;
    for (; build->next < build->n_by_cell; build->next++) {
        struct smx__candidate *c = &build->candidates[build->by_cell[build->next].candidate];
        struct smx__block block;
        if (!smx__build_spend(build, SMX__LOOK_BYTES))
            return 1;
        bool sound = block_of(build->registry, c->family, c->cell, &block);
        bool same = sound && block.at == last->at && block.kind == last->kind &&
                    block.kind != SMX__BLOCK_HISTOGRAM && c->cell != build->last_cell;
        if (!sound || (block.at < last->end && !same)) {
            c->dropped = true;
            enum smx_unsound reason = sound ? SMX_UNSOUND_OVERLAP : SMX_UNSOUND_CELL;
            build->registry->unsound[reason]++;
            smx__series_name_unsound(build->registry, reason, c);
            continue;
        }
        *last = block;
        build->last_cell = c->cell;
    }
    return 0;
}

static uint64_t words_of(const struct smx_family_info *family)
{
    if (family->type == SMX_COUNTER)
        return 1;
    return family->type == SMX_HISTOGRAM ? hist_words(family) : 2;
}

/* Neighbours are read in one go; gauges are not, for only the rows of live slots are read. */
static void join_runs(struct smx__registry *registry)
{
    for (size_t i = registry->n_blocks; i-- > 0;) {
        struct smx__block *b = &registry->blocks[i];
        const struct smx__block *next = b + 1;
        b->run_end = b->end;
        if (i + 1 < registry->n_blocks && next->at - b->end < SMX__PAGE &&
            b->kind != SMX__BLOCK_GAUGES && next->kind != SMX__BLOCK_GAUGES)
            b->run_end = next->run_end;
    }
}

int smx__cells_group(struct smx__build *build)
{
    struct smx__registry *registry = build->registry;
    if (!registry->blocks)
        registry->blocks =
            smx__arena_array(&registry->arena, registry->n_series, sizeof *registry->blocks);
    if (!registry->blocks)
        return -ENOMEM;
    for (; build->next < registry->n_series; build->next++) {
        if (!smx__build_spend(build, SMX__LOOK_BYTES))
            return 1;
        struct smx__place *place = &registry->places[build->next];
        const struct smx_family_info *family = &registry->families[place->family];
        struct smx__block block;
        if (!block_of(registry, place->family, place->cell, &block))
            return -EIO;
        struct smx__block *last = &registry->blocks[registry->n_blocks];
        if (registry->n_blocks == 0 || last[-1].at != block.at) {
            *last = block;
            last->first = build->next;
            registry->n_blocks++;
        } else {
            last--;
        }
        last->n++;
        place->word = registry->n_words;
        registry->n_words += words_of(family);
        registry->n_each += family->mode == SMX_EACH;
    }
    join_runs(registry);
    return 0;
}
