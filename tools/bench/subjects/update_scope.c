/* SPDX-License-Identifier: MIT
 *
 * update_scope.c - a timed scope beside an empty one, and beside what reading the clock twice
 * takes. In a loop of nothing else the next scope's time stamp counter is not read before it is
 * known where the last one has counted: two readings and an add at a place which they choose are
 * the least that anything can take which counts durations. So also around work.
 */
#include "run/segment.h"
#include "subjects/subjects.h"

#include <errno.h>
#include <smx/scope.h>
#include <time.h>

/* Steps of work in one scope: about a hundred nanoseconds. */
enum { STEPS = 80 };

/* Of the least that a histogram can be. */
enum { BINS = 64 };

static int start(struct load *l, const struct bench_place *place, struct bench_result *result)
{
    int code = segment_open(&(struct segment_plan){.histograms = 1}, place, &l->segment, result);
    return code == 0 ? segment_histograms(l->segment, &l->histogram, 1, false, result) : code;
}

static uint64_t count(struct load *l, uint64_t expected)
{
    (void)expected;
    return smx_histogram_count(l->histogram);
}

/* A chain of multiplications, in which memory has no part. */
static inline void work(uint64_t number)
{
    for (unsigned i = 0; i < STEPS; i++)
        number = number * 6364136223846793005u + 1442695040888963407u;
    __asm__ __volatile__("" : : "r"(number));
}

static inline void timed(struct load *l)
{
    SMX_TIME_SCOPE(l->histogram);
    LOAD_BARRIER();
}

static inline void timed_work(struct load *l, uint64_t i)
{
    SMX_TIME_SCOPE(l->histogram);
    work(i);
}

static inline void read_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    __asm__ __volatile__("" : : "r"(now.tv_nsec) : "memory");
}

static inline uint64_t read_counter(void)
{
    uint64_t now = smx__tsc();
    __asm__ __volatile__("" : "+r"(now));
    return now;
}

static inline void sort_duration(struct load *l)
{
    uint64_t start = read_counter();
    l->cells[(read_counter() - start) / 8 % BINS]++;
}

LOAD_LOOP(scope_loop, timed(l))
LOAD_LOOP(empty_loop, LOAD_BARRIER())
LOAD_LOOP(work_scope_loop, timed_work(l, i))
LOAD_LOOP(work_loop, work(i))
LOAD_LOOP(clock_loop, read_clock(); read_clock())
LOAD_LOOP(counter_loop, read_counter(); read_counter())
LOAD_LOOP(bins_loop, sort_duration(l))

static const struct subject timed_scope = {
    .name = "timed_scope",
    .exact = true,
    .series = {1},
    .reach = {20},
    .start = start,
    .loop = scope_loop,
    .baseline = empty_loop,
    .counted = count,
};

static const struct subject work_timed_scope = {
    .name = "work_timed_scope",
    .exact = true,
    .series = {1},
    .start = start,
    .loop = work_scope_loop,
    .baseline = work_loop,
    .counted = count,
};

static int start_nothing(struct load *l, const struct bench_place *place,
                         struct bench_result *result)
{
    (void)l;
    (void)place;
    (void)result;
    return 0;
}

static const struct subject clock_twice = {
    .name = "clock_gettime_twice",
    .series = {1},
    .alone = true,
    .start = start_nothing,
    .loop = clock_loop,
    .baseline = empty_loop,
    .counted = load_count_nothing,
};

#if defined(__x86_64__)
static const struct subject counter_twice = {
    .name = "rdtsc_twice",
    .series = {1},
    .alone = true,
    .start = start_nothing,
    .loop = counter_loop,
    .baseline = empty_loop,
    .counted = load_count_nothing,
};

static int start_bins(struct load *l, const struct bench_place *place, struct bench_result *result)
{
    (void)place;
    l->cells = load_share(BINS * sizeof *l->cells);
    return l->cells ? 0 : bench_fail(result, -ENOMEM, "no memory for %d bins", BINS);
}

static uint64_t count_bins(struct load *l, uint64_t expected)
{
    (void)expected;
    uint64_t sum = 0;
    for (unsigned i = 0; i < BINS; i++)
        sum += l->cells[i];
    return sum;
}

static const struct subject counter_bins = {
    .name = "rdtsc_add",
    .exact = true,
    .series = {1},
    .alone = true,
    .start = start_bins,
    .loop = bins_loop,
    .baseline = empty_loop,
    .counted = count_bins,
};
const struct subject *const peers_clock[] = {&clock_twice, &counter_twice, &counter_bins, NULL};
#else
const struct subject *const peers_clock[] = {&clock_twice, NULL};
#endif

const struct subject *const update_scope[] = {&timed_scope, NULL};
const struct subject *const work_scope[] = {&work_timed_scope, NULL};
