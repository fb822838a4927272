/* SPDX-License-Identifier: MIT
 *
 * update_counter.c - smx_counter_add(): one series by all processes, many series in no order, and
 * through the function of the shared library.
 */
#include "run/segment.h"
#include "subjects/subjects.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>

static int start_one(struct load *l, const struct bench_place *place, struct bench_result *result)
{
    int code = segment_open(&(struct segment_plan){.counters = 1}, place, &l->segment, result);
    if (code < 0)
        return code;
    return segment_counters(l->segment, &l->counter, 1, result);
}

static int start_many(struct load *l, const struct bench_place *place, struct bench_result *result)
{
    int code =
        segment_open(&(struct segment_plan){.counters = l->series}, place, &l->segment, result);
    if (code < 0)
        return code;
    l->counters = calloc(l->series, sizeof *l->counters);
    if (!l->counters)
        return bench_fail(result, -ENOMEM, "no memory for the handles");
    return segment_counters(l->segment, l->counters, l->series, result);
}

static int start(struct load *l, const struct bench_place *place, struct bench_result *result)
{
    return l->series > 1 ? start_many(l, place, result) : start_one(l, place, result);
}

/* As a loop that adds to one counter all the time is compiled: the handle stays in registers. */
static void held(struct load *l, uint64_t n)
{
    const smx_counter counter = l->counter;
    for (uint64_t i = 0; i < n; i++)
        smx_counter_add(counter, 1);
}

LOAD_LOOP(one, smx_counter_add(l->counter, 1))
LOAD_LOOP(many, smx_counter_add(l->counters[load_pick(i, l->series)], 1))

static void loop(struct load *l, uint64_t n)
{
    (l->series > 1 ? many : one)(l, n);
}

static uint64_t count(struct load *l, uint64_t expected)
{
    (void)expected;
    if (l->series == 1)
        return smx_counter_value(l->counter);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < l->series; i++)
        sum += smx_counter_value(l->counters[i]);
    return sum;
}

static void stop(struct load *l)
{
    free(l->counters);
}

static const struct subject counter_add = {
    .name = "counter_add",
    .exact = true,
    .series = {1, 1024, 1000000},
    .reach = {0.5},
    .start = start,
    .loop = loop,
    .counted = count,
    .stop = stop,
};

static const struct subject counter_add_held = {
    .name = "counter_add_held",
    .exact = true,
    .series = {1},
    .reach = {0.5},
    .start = start,
    .loop = held,
    .counted = count,
};

/* The program has libshm of its own, statically; from the shared one only this function is used,
 * which knows nothing but its arguments. */
static int start_fn(struct load *l, const struct bench_place *place, struct bench_result *result)
{
    void *library = dlopen("libshm.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return bench_fail(result, -ENOTSUP, "%s", dlerror());
    *(void **)(void *)&l->function = dlsym(library, "smx_counter_add_fn");
    if (!l->function)
        return bench_fail(result, -ENOTSUP, "%s", dlerror());
    return start_one(l, place, result);
}

LOAD_LOOP(one_fn, l->function(l->counter, 1))

static const struct subject counter_add_fn = {
    .name = "counter_add_fn",
    .exact = true,
    .series = {1},
    .start = start_fn,
    .loop = one_fn,
    .counted = count,
};

const struct subject *const update_counter[] = {
    &counter_add,
    &counter_add_held,
    &counter_add_fn,
    NULL,
};
