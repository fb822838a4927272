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

/* The key of a value as described at struct smx_hist, key_bits = 52 - shift; ticks < 2^53. */
uint32_t smx__key(uint64_t ticks, unsigned key_bits);

/* Values from here on are searched for: their double may be another value. */
#define SMX__KEY_LIMIT (UINT64_C(1) << 53)

/* Bytes of a descriptor with its thresholds and start table, a multiple of 8. */
uint64_t smx__hist_size(uint32_t n_buckets, uint32_t key_count);

/* Choose shift, key_base, key_count, start_at and steps for ascending thresholds, whose last is
 * UINT64_MAX. */
void smx__hist_plan(struct smx_hist *hist, const uint64_t threshold[], unsigned min_bits,
                    unsigned max_bits);

/* Fill the start table behind the descriptor's thresholds. */
void smx__hist_fill(struct smx_hist *hist);

#endif
