/* SPDX-License-Identifier: MIT
 *
 * exemplar.h - exemplars: where they are kept, and how one is sealed. The writer seals with it, and
 * the reader checks.
 */
#ifndef SMX_EXEMPLAR_H
#define SMX_EXEMPLAR_H

#include "libshm/metric/value.h"
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

/* The seal of an exemplar at an offset, of which `length` is in bounds; never 0. */
static inline uint64_t smx__exemplar_seal(const struct smx__exemplar *e, uint64_t at)
{
    uint64_t hash = smx__mix(smx__mix(smx__mix(at, e->time_ns), e->value), e->length);
    for (uint64_t i = 0; i < e->length; i += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, e->labels + i, sizeof word);
        hash = smx__mix(hash, le64toh(word));
    }
    return hash | 1;
}

/* Keep an exemplar of n ticks in the series whose row 0 is at `base`, in a group of n_groups, in
 * the place of the one before. labels: name, value, ..., NULL. What cannot be kept is counted. */
void smx__exemplar_keep(const uint64_t *base, uint32_t n_groups, uint32_t group, uint64_t n,
                        const char *const labels[]);

#endif
