/* SPDX-License-Identifier: MIT
 *
 * update_striped.c - counters and histograms of a striped segment, where every add is atomic: what
 * an application pays that has a few of many CPUs.
 */
#include "run/segment.h"
#include "subjects/subjects.h"

static int start(struct load *l, const struct bench_place *place, struct bench_result *result)
{
    const struct segment_plan plan = {.counters = 1, .histograms = 1, .kind = SMX_KIND_STRIPED};
    int code = segment_open(&plan, place, &l->segment, result);
    if (code == 0)
        code = segment_counters(l->segment, &l->counter, 1, result);
    if (code == 0)
        code = segment_histograms(l->segment, &l->histogram, 1, false, result);
    return code;
}

LOAD_LOOP(add, smx_counter_add(l->counter, 1))
LOAD_LOOP(record, smx_histogram_record(l->histogram, l->ticks[i % LOAD_BATCH]))

static uint64_t count_adds(struct load *l, uint64_t expected)
{
    (void)expected;
    return smx_counter_value(l->counter);
}

/* As update_histogram.c: a sum that is not exact costs a count. */
static uint64_t count_records(struct load *l, uint64_t expected)
{
    uint64_t sum = expected / LOAD_BATCH * l->ticks_sum;
    return smx_histogram_count(l->histogram) - (smx_histogram_sum(l->histogram) != sum);
}

static const struct subject counter_add_striped = {
    .name = "counter_add_striped",
    .exact = true,
    .kind = "striped",
    .series = {1},
    .start = start,
    .loop = add,
    .counted = count_adds,
};

static const struct subject histogram_exp_striped = {
    .name = "histogram_exp_striped",
    .exact = true,
    .kind = "striped",
    .series = {1},
    .start = start,
    .loop = record,
    .counted = count_records,
};

const struct subject *const update_striped[] = {
    &counter_add_striped,
    &histogram_exp_striped,
    NULL,
};
