/* SPDX-License-Identifier: MIT
 *
 * update_gauge.c - smx_gauge_set() and smx_gauge_add(). A gauge is this process' own: each reads
 * back what it wrote before it ends.
 */
#include "run/segment.h"
#include "subjects/subjects.h"

#include <errno.h>

static int start(struct load *l, const struct bench_place *place, struct bench_result *result)
{
    int code = segment_open(&(struct segment_plan){0}, place, &l->segment, result);
    if (code < 0)
        return code;
    struct smx_diag diag;
    l->gauge = smx_gauge_new(
        l->segment, &(struct smx_metric){.name = "bench_in_flight", .help = "Requests in flight."},
        &diag);
    return l->gauge.base ? 0 : bench_fail(result, diag.code, "%s", diag.text);
}

LOAD_LOOP(set, smx_gauge_set(l->gauge, (int64_t)i + 1))
LOAD_LOOP(add, smx_gauge_add(l->gauge, 1))

/* Both leave the number of this process' operations: set, as it writes how many it did. */
static uint64_t read_back(struct load *l, uint64_t expected)
{
    (void)expected;
    return (uint64_t)smx_gauge_value(l->gauge);
}

static const struct subject gauge_set = {
    .name = "gauge_set",
    .exact = true,
    .series = {1},
    .reach = {1.5},
    .start = start,
    .loop = set,
    .counted_here = read_back,
};

static const struct subject gauge_add = {
    .name = "gauge_add",
    .exact = true,
    .series = {1},
    .reach = {6},
    .start = start,
    .loop = add,
    .counted_here = read_back,
};

const struct subject *const update_gauge[] = {&gauge_set, &gauge_add, NULL};
