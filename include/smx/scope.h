/* SPDX-License-Identifier: MIT
 *
 * scope.h - timers, and macros that measure the block they stand in: its duration, that it is
 * being executed, and whether it failed. Each acts on every way out of the block (return, break,
 * goto, a C++ exception), by the `cleanup` attribute of gcc and clang. longjmp() and pthread_exit()
 * in C do not run cleanups. No state but the variable on the stack.
 *
 *       int handle(struct request *r)
 *       {
 *           SMX_TIME_SCOPE(duration);
 *           SMX_ACTIVE_SCOPE(in_flight);
 *           SMX_FAIL_SCOPE(outcome, failures);
 *           if (parse(r) < 0)
 *               return -1;              // counted as failed
 *           smx_scope_ok(&outcome);
 *           return 0;
 *       }
 */
#ifndef SMX_SCOPE_H
#define SMX_SCOPE_H

#include <smx/update.h>

#ifdef __cplusplus
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast" /* as in update.h */
extern "C" {
#endif
#pragma GCC visibility push(default)

/* A running timer; belongs to the caller. */
typedef struct smx_timer {
    smx_histogram histogram;
    uint64_t start; /* of the time stamp counter, or nanoseconds if scale is 0 */
    uint64_t scale;
} smx_timer;

/* Nanoseconds of the monotonic clock. Context: threads=any fork=any signal=safe blocks=never. */
uint64_t smx_now_ns(void);

/* Nanoseconds * 2^32 that a tick of the CPU's time stamp counter lasts. 0 where the counter is not
 * known to be steady and the kernel's own clock, and for the first 20 ms after smx_open(), while
 * libshm measures it: timers then use the clock. libshm alone writes it. */
extern uint64_t smx_tsc_scale;

static inline uint64_t smx__tsc(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#else
    return 0;
#endif
}

/* Start timing into a histogram whose unit is seconds. Context: as smx_counter_add. */
static inline smx_timer smx_timer_start(smx_histogram histogram)
{
    /* Relaxed: it is set once, and the timer keeps the value that it began with. */
    uint64_t scale = __atomic_load_n(&smx_tsc_scale, __ATOMIC_RELAXED);
    smx_timer t = {histogram, scale ? smx__tsc() : smx_now_ns(), scale};
    return t;
}

/* Nanoseconds since the start. Context: as smx_counter_add. */
static inline uint64_t smx_timer_elapsed_ns(const smx_timer *timer)
{
    __extension__ typedef unsigned __int128 wide;
    int64_t passed = (int64_t)((timer->scale ? smx__tsc() : smx_now_ns()) - timer->start);
    if (passed < 0) /* counters of two CPUs may be a few ticks apart */
        return 0;
    return timer->scale ? (uint64_t)(((wide)passed * timer->scale) >> 32) : (uint64_t)passed;
}

/* Record the time since the start. May be called again: each call records.
 * Returns: the nanoseconds. Context: as smx_counter_add. */
static inline uint64_t smx_timer_stop(const smx_timer *timer)
{
    uint64_t ns = smx_timer_elapsed_ns(timer);
    if (timer->histogram.base) {
        uint64_t per_tick = timer->histogram.hist->ns_per_tick;
        smx_histogram_record(timer->histogram, per_tick > 1 ? ns / per_tick : ns);
    }
    return ns;
}

/* What a fail scope remembers; belongs to the caller. */
typedef struct smx_outcome {
    smx_counter failures;
    int ok;
} smx_outcome;

/* Say that the block succeeded; without it, leaving the block counts as a failure. */
static inline void smx_scope_ok(smx_outcome *outcome)
{
    outcome->ok = 1;
}

static inline void smx__end_timer(smx_timer *timer)
{
    (void)smx_timer_stop(timer);
}
static inline void smx__end_active(smx_gauge *gauge)
{
    smx_gauge_dec(*gauge);
}
static inline void smx__end_outcome(smx_outcome *outcome)
{
    if (!outcome->ok)
        smx_counter_inc(outcome->failures);
}
static inline smx_gauge smx__begin_active(smx_gauge gauge)
{
    smx_gauge_inc(gauge);
    return gauge;
}
static inline smx_outcome smx__begin_outcome(smx_counter failures)
{
    smx_outcome o = {failures, 0};
    return o;
}

#define SMX__JOIN_(a, b) a##b
#define SMX__JOIN(a, b)  SMX__JOIN_(a, b)
#define SMX__ON_EXIT(f)  __attribute__((cleanup(f), unused))

/* Time the rest of the enclosing block into a histogram. */
#define SMX_TIME_SCOPE(histogram)                                                                  \
    smx_timer SMX__JOIN(smx__timer_, __LINE__) SMX__ON_EXIT(smx__end_timer) =                      \
        smx_timer_start(histogram)

/* Count the rest of the enclosing block as active in a gauge. */
#define SMX_ACTIVE_SCOPE(gauge)                                                                    \
    smx_gauge SMX__JOIN(smx__active_, __LINE__) SMX__ON_EXIT(smx__end_active) =                    \
        smx__begin_active(gauge)

/* Count the rest of the enclosing block as failed, unless smx_scope_ok(&name) is called in it. */
#define SMX_FAIL_SCOPE(name, counter)                                                              \
    smx_outcome name SMX__ON_EXIT(smx__end_outcome) = smx__begin_outcome(counter)

#pragma GCC visibility pop
#ifdef __cplusplus
}
#pragma GCC diagnostic pop
#endif
#endif
