/* SPDX-License-Identifier: MIT
 *
 * bounds.h - the bucket boundaries of histograms, in the exposed unit and in ticks.
 */
#ifndef SMX_BOUNDS_H
#define SMX_BOUNDS_H

#include <smx/update.h>
#include <stdbool.h>

enum { SMX__MAX_BUCKETS = 16384 };

/* 10^digits, 0 <= digits <= 19. */
uint64_t smx__power_of_ten(unsigned digits);

/* 2^(index * 2^-schema), -4 <= schema <= 8: the upper bound of bucket `index` of a Prometheus
 * native histogram (io.prometheus.client, "sparse histograms"); 0 or infinity out of range. */
double smx__bound(int schema, int index);

/* The smallest index whose bound is at least `value`, which is positive and finite. */
int smx__index_at(int schema, double value);

/* The largest number of ticks that counts as <= bound: the double nearest to ticks / 10^digits is
 * not above it. 0.3 with 9 digits is 300000000 though the double 0.3 lies below. */
uint64_t smx__threshold(double bound, unsigned digits);

/* Values from here on have no place in the index: their double needs its low 16 bits. */
#define SMX__INDEX_END (UINT64_C(1) << 36)

/* A histogram's thresholds. */
static inline uint64_t *smx__thresholds(const struct smx_hist *hist)
{
    return (uint64_t *)(uintptr_t)((const char *)hist + hist->thresholds_at);
}

/* Plan an index with this many mantissa bits in a key: sets shift, key_base, key_count and
 * thresholds_at. `highest` is the last threshold but one. */
void smx__hist_plan(struct smx_hist *hist, uint64_t highest, unsigned bits);

/* Bytes of a planned descriptor with its entries and thresholds. */
uint64_t smx__hist_size(const struct smx_hist *hist);

/* Whether at most one of these thresholds lies among the values of each key. */
bool smx__hist_serves(const struct smx_hist *hist, const uint64_t threshold[]);

/* Fill the entries of a planned descriptor from its thresholds. */
void smx__hist_fill(const struct smx_hist *plan, uint64_t entries[], const uint64_t threshold[]);

#endif
