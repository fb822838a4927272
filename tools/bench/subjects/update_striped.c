/* SPDX-License-Identifier: MIT
 *
 * update_striped.c - counters and histograms of both kinds of segment: striped, where every add is
 * atomic, which is what an application pays that has a few of many CPUs; and per-CPU with as many
 * rows as a larger machine has. What of either costs memory is in tables/memory.c.
 */
#include "run/segment.h"
#include "subjects/subjects.h"

static int start(struct load *l, const struct bench_place *place, struct bench_result *result)
{
    const struct segment_plan plan = {
        .counters = 1,
        .histograms = 1,
        .rows = l->rows,
        .kind = l->rows ? SMX_KIND_PERCPU : SMX_KIND_STRIPED,
    };
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

#define SUBJECT(name_, when_, kind_, rows_, loop_, counted_)                                       \
    {                                                                                              \
        .name = (name_), .when = (when_), .exact = true, .kind = (kind_), .rows = (rows_),         \
        .series = {1}, .start = start, .loop = (loop_), .counted = (counted_)                      \
    }

static const struct subject subjects[] = {
    SUBJECT("counter_add_striped", BENCH_QUICK, "striped", 0, add, count_adds),
    SUBJECT("histogram_exp_striped", BENCH_QUICK, "striped", 0, record, count_records),
    SUBJECT("counter_add_percpu", BENCH_NORMAL, "percpu", 2, add, count_adds),
    SUBJECT("histogram_exp_percpu", BENCH_NORMAL, "percpu", 2, record, count_records),
    SUBJECT("counter_add_percpu", BENCH_NORMAL, "percpu", 64, add, count_adds),
    SUBJECT("histogram_exp_percpu", BENCH_NORMAL, "percpu", 64, record, count_records),
    SUBJECT("counter_add_percpu", BENCH_NORMAL, "percpu", 192, add, count_adds),
    SUBJECT("histogram_exp_percpu", BENCH_NORMAL, "percpu", 192, record, count_records),
};

const struct subject *const update_striped[] = {
    &subjects[0], &subjects[1], &subjects[2], &subjects[3], &subjects[4],
    &subjects[5], &subjects[6], &subjects[7], NULL,
};
