/* SPDX-License-Identifier: MIT
 *
 * update_histogram.c - smx_histogram_record() of values that change each time, into one histogram
 * and many.
 */
#include "run/segment.h"
#include "subjects/subjects.h"

#include <errno.h>
#include <stdlib.h>

static int start(struct load *l, const struct bench_place *place, struct bench_result *result,
                 bool bounds11)
{
    int code =
        segment_open(&(struct segment_plan){.histograms = l->series}, place, &l->segment, result);
    if (code < 0)
        return code;
    l->histograms = calloc(l->series, sizeof *l->histograms);
    if (!l->histograms)
        return bench_fail(result, -ENOMEM, "no memory for the handles");
    code = segment_histograms(l->segment, l->histograms, l->series, bounds11, result);
    l->histogram = l->histograms[0];
    return code;
}

static int start_exp(struct load *l, const struct bench_place *place, struct bench_result *result)
{
    return start(l, place, result, false);
}

static int start_bounds11(struct load *l, const struct bench_place *place,
                          struct bench_result *result)
{
    return start(l, place, result, true);
}

LOAD_LOOP(one, smx_histogram_record(l->histogram, l->ticks[i % LOAD_BATCH]))
LOAD_LOOP(many,
          smx_histogram_record(l->histograms[load_pick(i, l->series)], l->ticks[i % LOAD_BATCH]))

static void loop(struct load *l, uint64_t n)
{
    (l->series > 1 ? many : one)(l, n);
}

static uint64_t count_events(const struct load *l)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < l->series; i++)
        count += smx_histogram_count(l->histograms[i]);
    return count;
}

/* The sum has to be exact, too: one that is not costs a count here. */
static uint64_t count_records(struct load *l, uint64_t expected)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < l->series; i++)
        sum += smx_histogram_sum(l->histograms[i]);
    return count_events(l) - (sum != expected / LOAD_BATCH * l->ticks_sum);
}

static void stop(struct load *l)
{
    free(l->histograms);
}

static const struct subject histogram_exp = {
    .name = "histogram_exp",
    .exact = true,
    .series = {1, 64, 1024},
    .reach = {2.5},
    .start = start_exp,
    .loop = loop,
    .counted = count_records,
    .stop = stop,
};

static const struct subject histogram_bounds11 = {
    .name = "histogram_bounds11",
    .exact = true,
    .series = {1, 64, 1024},
    .reach = {3},
    .start = start_bounds11,
    .loop = loop,
    .counted = count_records,
    .stop = stop,
};

const struct subject *const update_histogram[] = {
    &histogram_exp,
    &histogram_bounds11,
    NULL,
};
