/* SPDX-License-Identifier: MIT
 *
 * update_find.c - smx_counter_with() by two label values, and an add: always of the same series;
 * in a family of 20 series, all in use in no order, so that their lengths surprise the processor;
 * and for 64 series in use of a family of 100,000.
 */
#include "run/segment.h"
#include "subjects/subjects.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IN_USE = 64, SMALL = 20 };

static void name_small(const char *values[3], uint32_t i)
{
    static const char *const methods[] = {"GET", "POST", "PUT", "DELETE"};
    static const char *const statuses[] = {"200", "304", "404", "500", "503"};
    values[0] = methods[i % 4];
    values[1] = statuses[i % 5];
    values[2] = NULL;
}

/* The labels of series i as segment_counter() names it. */
static int name_large(const char *values[3], uint64_t i)
{
    char route[SEGMENT_LABEL_SIZE];
    segment_label(route, i);
    values[0] = i % 2 ? "PROPFIND" : "BASELINE";
    values[1] = strdup(route);
    values[2] = NULL;
    return values[1] ? 0 : -ENOMEM;
}

static uint32_t in_use(const struct load *l)
{
    return l->series > SMALL ? IN_USE : l->series;
}

/* Of a large family those in use lie far apart. */
static int name_all(struct load *l, struct bench_result *result)
{
    l->values = calloc(IN_USE, sizeof *l->values);
    if (!l->values)
        return bench_fail(result, -ENOMEM, "no memory for the labels");
    for (uint32_t i = 0; i < in_use(l); i++) {
        if (l->series <= SMALL)
            name_small(l->values[i], i);
        else if (name_large(l->values[i], (uint64_t)i * (l->series / IN_USE)) < 0)
            return bench_fail(result, -ENOMEM, "no memory for the labels");
    }
    return 0;
}

/* All series are there before: which of two processes creates one is not the question here. */
static int start(struct load *l, const struct bench_place *place, struct bench_result *result)
{
    int code =
        segment_open(&(struct segment_plan){.counters = l->series}, place, &l->segment, result);
    if (code == 0)
        code = name_all(l, result);
    if (code < 0)
        return code;
    l->family = segment_counter_family(l->segment, l->series);
    for (uint32_t i = 0; i < l->series; i++) {
        const smx_counter counter = l->series > SMALL ? segment_counter(l->family, i)
                                                      : smx_counter_with(l->family, l->values[i]);
        if (!counter.base)
            return bench_fail(result, -ENOSPC, "no room for counter %u", i);
    }
    return 0;
}

static inline void find_and_add(struct load *l, uint32_t i)
{
    smx_counter_add(smx_counter_with(l->family, l->values[i]), 1);
}
LOAD_LOOP(same, find_and_add(l, 0))
LOAD_LOOP(small, find_and_add(l, load_pick(i, SMALL)))
LOAD_LOOP(large, find_and_add(l, load_pick(i, IN_USE)))

static void loop(struct load *l, uint64_t n)
{
    (l->series > SMALL ? large : l->series > 1 ? small : same)(l, n);
}

static uint64_t count(struct load *l, uint64_t expected)
{
    (void)expected;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < in_use(l); i++)
        sum += smx_counter_value(smx_counter_with(l->family, l->values[i]));
    return sum;
}

static void stop(struct load *l)
{
    for (uint32_t i = 0; i < IN_USE && l->values && l->series > SMALL; i++)
        free((void *)l->values[i][1]);
    free(l->values);
}

static const struct subject series_find_add = {
    .name = "series_find_add",
    .exact = true,
    .series = {1, SMALL, 100000},
    .reach = {10, 10, 30},
    .start = start,
    .loop = loop,
    .counted = count,
    .stop = stop,
};

const struct subject *const update_find[] = {&series_find_add, NULL};
