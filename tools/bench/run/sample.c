/* SPDX-License-Identifier: MIT
 *
 * sample.c - the numbers of a few repetitions, and time. The median stands for them: on a machine
 * that others use the mean says how busy those were.
 */
#include "run/sample.h"

#include <stdlib.h>
#include <time.h>

static uint64_t read_clock(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t sample_now_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t sample_cpu_ns(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

void sample_put(struct sample *sample, double value, double limit)
{
    if (sample->n >= BENCH_REPEATS_MAX)
        return;
    sample->pairs[sample->n] = (struct sample_pair){limit, limit > 0 ? value / limit : 0};
    sample->at[sample->n++] = value;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts them. */
static double median(double at[], unsigned n)
{
    qsort(at, n, sizeof at[0], compare);
    return (at[(n - 1) / 2] + at[n / 2]) / 2;
}

static int by_limit(const void *a, const void *b)
{
    return compare(&((const struct sample_pair *)a)->limit,
                   &((const struct sample_pair *)b)->limit);
}

static double ratio(struct sample *sample)
{
    double ratios[BENCH_REPEATS_MAX];
    const unsigned half = (sample->n + 1) / 2;
    qsort(sample->pairs, sample->n, sizeof sample->pairs[0], by_limit);
    for (unsigned i = 0; i < half; i++)
        ratios[i] = sample->pairs[i].ratio;
    return median(ratios, half);
}

void sample_conclude(struct sample *sample, struct bench_result *result)
{
    result->median = median(sample->at, sample->n);
    result->min = sample->at[0];
    result->max = sample->at[sample->n - 1];
    result->ratio = ratio(sample);
}
