/* SPDX-License-Identifier: MIT
 *
 * peers_mmv.c - Performance Co-Pilot's memory-mapped values, with the library of
 * libpcp-mmv1-dev and libpcp3-dev where the build found it. Its adds are not atomic: processes that
 * share a value lose counts, and the table says how many.
 */
#include "subjects/subjects.h"

#ifdef BENCH_HAVE_MMV

#include <errno.h>
#include <pcp/pmapi.h>
#include <pcp/mmv_stats.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static pmAtomValue *value_of(const struct load *l)
{
    return (pmAtomValue *)(void *)l->cells;
}

static int start_mmv(struct load *l, const struct bench_place *place, struct bench_result *result)
{
    static const mmv_metric_t metrics[] = {
        {.name = "count", .item = 1, .type = MMV_TYPE_U64, .semantics = MMV_SEM_COUNTER},
    };
    char path[PATH_MAX + 8];
    snprintf(path, sizeof path, "%s/mmv", place->directory);
    if (mkdir(path, 0700) < 0 || setenv("PCP_TMP_DIR", place->directory, 1) < 0)
        return bench_fail_errno(result, path);
    l->peer = mmv_stats_init("bench", 1, 0, metrics, 1, NULL, 0);
    if (!l->peer)
        return bench_fail(result, -ENOTSUP, "mmv_stats_init: %s", strerror(errno));
    l->cells = (uint64_t *)(void *)mmv_lookup_value_desc(l->peer, "count", "");
    return l->cells ? 0 : bench_fail(result, -ENOTSUP, "mmv_lookup_value_desc: no value");
}

LOAD_LOOP(mmv_loop, mmv_inc(l->peer, value_of(l)))

static uint64_t count_mmv(struct load *l, uint64_t expected)
{
    (void)expected;
    return value_of(l)->ull;
}

static const struct subject pcp_mmv = {
    .name = "pcp_mmv",
    .series = {1},
    .start = start_mmv,
    .loop = mmv_loop,
    .counted = count_mmv,
};

const struct subject *const peers_mmv[] = {&pcp_mmv, NULL};

#else

const struct subject *const peers_mmv[] = {NULL};

#endif
