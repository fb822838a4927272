/* SPDX-License-Identifier: MIT
 *
 * known.h - the families that this process has registered, in memory of its own: what a struct
 * smx_family leads to. How an update finds its row and its bucket follows from the description that
 * the caller gave, and from the header as it was checked; from a series' record only its cell is
 * taken, and checked against the family's span. So nobody who writes to the mapping can send an
 * update elsewhere, and the update has nothing to check.
 */
#ifndef SMX_KNOWN_H
#define SMX_KNOWN_H

#include "libshm/metric/draft.h"
#include "libshm/segment/space.h"

struct smx__known {
    struct smx__family
        family;          /* as it was when it was checked; first, for it is what is asked for */
    uint64_t at;         /* of its record in the segment */
    uint64_t seed;       /* what the values of its series are hashed from */
    uint64_t span;       /* from a series' cell to the end of its last row */
    uint64_t cell_limit; /* atomic: what smx__cell_number() must be below */
    const struct smx_hist *hist;
    const struct smx__known *next;
};

/* log2 of what a cell's offset is a multiple of. */
static inline unsigned smx__cell_shift(enum smx_type type)
{
    return SMX__HAS_GAUGE_CELLS(type) ? 4 : 3;
}

/* A cell's offset from the header's end, counted in its alignment; huge for what lies in the header
 * or between two places. One comparison then says all. */
static inline uint64_t smx__cell_number(uint64_t cell, enum smx_type type)
{
    unsigned shift = smx__cell_shift(type);
    uint64_t distance = cell - SMX__PAGE;
    return distance >> shift | distance << (64 - shift);
}

/* What a handle leads to; NULL for a handle of a refused family. */
static inline struct smx__known *smx__known(smx_family handle)
{
    return (struct smx__known *)(uintptr_t)handle.record;
}

/* The family at an offset, if this process knows it, and as one of this shape. */
const struct smx__known *smx__known_find(const struct smx_segment *segment, uint64_t at,
                                         const struct smx__family *family);

/* The address of a series' cell, whose rows are then known to be reserved; NULL if they cannot lie
 * there. */
void *smx__known_cell(struct smx_segment *segment, struct smx__known *known, uint64_t cell);

/* Remember a family: a copy of its record that was found to be the draft's. NULL without memory. */
const struct smx__known *smx__known_add(struct smx_segment *segment, uint64_t at,
                                        const struct smx__family *family,
                                        const struct smx__draft *draft);

/* The descriptor that a histogram draft has in this segment, but for its entries and thresholds. */
void smx__known_plan(const struct smx_segment *segment, const struct smx__draft *draft,
                     struct smx_hist *plan);

/* Write them behind a descriptor of this plan, which is not asked again. */
void smx__known_fill(const struct smx_hist *plan, const struct smx__draft *draft,
                     struct smx_hist *hist);

#endif
