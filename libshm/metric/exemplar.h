/* SPDX-License-Identifier: MIT
 *
 * exemplar.h - exemplars: where they are kept, and what a sound one is like. seal.h says how one is
 * sealed.
 */
#ifndef SMX_EXEMPLAR_H
#define SMX_EXEMPLAR_H

#include "libshm/metric/seal.h"
#include "libshm/names.h"

/* The exemplars of a histogram: one for each of so many groups of buckets. */
static inline uint32_t smx__exemplar_groups(uint32_t n_buckets)
{
    return n_buckets < SMX__EXEMPLAR_GROUPS ? n_buckets : SMX__EXEMPLAR_GROUPS;
}

/* The group of a bucket. */
static inline uint32_t smx__exemplar_group(uint32_t bucket, uint32_t n_buckets)
{
    return (uint32_t)((uint64_t)bucket * smx__exemplar_groups(n_buckets) / n_buckets);
}

/* Names of an exemplar's labels have the old alphabet: they are escaped nowhere. */
static inline bool smx__exemplar_is_name(const char *at, size_t length)
{
    return smx__is_unit(at, length) && !(length >= 2 && at[0] == '_' && at[1] == '_');
}

/* Keep an exemplar of n ticks in the series whose row 0 is at `base`, in a group of n_groups, in
 * the place of the one before. labels: name, value, ..., NULL. What cannot be kept is counted. */
void smx__exemplar_keep(const uint64_t *base, uint32_t n_groups, uint32_t group, uint64_t n,
                        const char *const labels[]);

#endif
