/* SPDX-License-Identifier: MIT
 *
 * find.h - looks for a series by a hash of its label values. Inline, since with.c's hot path is
 * made of it; series.c goes the same way, but compares values of any kind.
 */
#ifndef SMX_FIND_H
#define SMX_FIND_H

#include "libshm/metric/known.h"
#include "libshm/metric/registry.h"
#include "libshm/metric/value.h"

/* The parts of a lookup become one function. */
#define SMX__HOT __attribute__((always_inline)) static inline

/* What the record that is looked for is like, but for its values. */
struct smx__wanted {
    uint64_t shape;  /* kind and size, as smx__wanted_shape() reads them */
    uint64_t size;   /* in bytes */
    uint32_t family; /* ref */
    uint32_t hash;
};

/* values: the bytes of the values in a record. */
SMX__HOT struct smx__wanted smx__wanted(smx_family family, uint32_t hash, uint64_t values)
{
    uint64_t size = sizeof(struct smx__series) + values;
    return (struct smx__wanted){.shape = SMX__RECORD_SERIES | size << 32,
                                .size = size,
                                .family = smx__ref(smx__known(family)->at),
                                .hash = hash};
}

/* What the values of a family's series are hashed from. */
SMX__HOT uint64_t smx__wanted_seed(smx_family family)
{
    return smx__known(family)->seed;
}

/* Whether a record is a series of this family and size. */
SMX__HOT bool smx__wanted_shape(const struct smx__wanted *w, const struct smx__record *record)
{
    const struct smx__series *series = (const struct smx__series *)(const void *)record;
    uint64_t shape;
    memcpy(&shape, &record->kind, sizeof shape);
    return shape == w->shape && series->family == w->family;
}

/* Whether readers know of a series in this state, and are to show it. */
SMX__HOT bool smx__is_announced(uint32_t state)
{
    return (state & SMX__FLAGS) == SMX__ANNOUNCED;
}

/* Where a series' record says its cells lie. */
SMX__HOT uint64_t smx__series_cell(const struct smx__series *series)
{
    /* Relaxed: it never changes after publication; read once, for who damages it changes it. */
    return __atomic_load_n(&series->cell, __ATOMIC_RELAXED);
}

/* Whether handles of this type can be of this family. */
SMX__HOT bool smx__family_is(const struct smx__family *family, enum smx_type type, bool is_double)
{
    const uint8_t both[2] = {(uint8_t)type, is_double};
    return family && memcmp(&family->type, both, sizeof both) == 0;
}

#endif
