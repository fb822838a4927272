/* SPDX-License-Identifier: MIT
 *
 * sample.h - the numbers of a few repetitions, each with what the limit took beside it, and time.
 */
#ifndef SMX_BENCH_SAMPLE_H
#define SMX_BENCH_SAMPLE_H

#include "bench.h"

struct sample {
    double at[BENCH_REPEATS_MAX];
    struct sample_pair {
        double limit, ratio;
    } pairs[BENCH_REPEATS_MAX];
    unsigned n;
};

/* Nanoseconds of the monotonic clock. */
uint64_t sample_now_ns(void);

/* Nanoseconds of CPU time of this process. */
uint64_t sample_cpu_ns(void);

/* Append a number, and what the limit took right before; 0: there is none for this case. What
 * exceeds BENCH_REPEATS_MAX is dropped. */
void sample_put(struct sample *sample, double value, double limit);

/* Median, smallest and largest into the result, and the ratio: the median over the half whose
 * limits were fastest. While others use the other thread of this core, twice the time is no ratio
 * of what we compare; and who is chosen by a fast limit is not flattered. The sample is sorted by
 * it, and not empty. */
void sample_conclude(struct sample *sample, struct bench_result *result);

#endif
