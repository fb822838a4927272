/* SPDX-License-Identifier: MIT
 *
 * segment.c - segments of a case, with many series in them. The case has a process of its own, so
 * that mapping and descriptor, which stay with a process for ever, go with it.
 */
#include "run/segment.h"

#include <errno.h>
#include <stdio.h>
#include <sys/statvfs.h>

/* What a series takes, generously: the budget is only a limit, the room is only looked for. */
enum { COUNTER_BYTES = 256, HISTOGRAM_BYTES = 4096, SPARE_BYTES = 64 << 20 };

/* Files on a small /dev/shm, as in a container, shall not end half way. */
static bool has_room(const char *directory, uint64_t bytes)
{
    struct statvfs fs;
    return statvfs(directory, &fs) < 0 || fs.f_bavail * fs.f_frsize >= bytes;
}

int segment_open(const struct segment_plan *plan, const struct bench_place *place,
                 smx_segment **out, struct bench_result *result)
{
    uint64_t rows = plan->rows ? plan->rows + 8 : 16;
    uint64_t bytes =
        plan->counters * (COUNTER_BYTES + rows * 8) + plan->histograms * rows * HISTOGRAM_BYTES;
    if (!has_room(place->directory, bytes))
        return bench_fail(result, -ENOTSUP, "the tmpfs has no room for %ju MiB",
                          (uintmax_t)(bytes >> 20));
    struct smx_diag diag;
    const struct smx_options options = {
        .app = plan->app ? plan->app : "bench",
        .directory = place->directory,
        .max_bytes = bytes + SPARE_BYTES,
        .rows = plan->rows,
        .kind = plan->kind == SMX_KIND_AUTO ? SMX_KIND_PERCPU : plan->kind,
    };
    int code = smx_open(&options, out, &diag);
    return code < 0 ? bench_fail(result, code, "%s", diag.text) : 0;
}

void segment_label(char text[SEGMENT_LABEL_SIZE], uint64_t i)
{
    snprintf(text, SEGMENT_LABEL_SIZE, "l%07u", (unsigned)i);
}

smx_family segment_counter_family(smx_segment *segment, uint64_t max_series)
{
    return smx_counter_family(segment,
                              &(struct smx_metric){
                                  .name = "bench_requests_total",
                                  .help = "Requests served.",
                                  .labels = {"method", "route"},
                                  .max_series = (uint32_t)max_series,
                              },
                              NULL);
}

smx_counter segment_counter(smx_family family, uint64_t i)
{
    char route[SEGMENT_LABEL_SIZE];
    segment_label(route, i);
    return smx_counter_with(family, SMX_VALUES(i % 2 ? "PROPFIND" : "BASELINE", route));
}

int segment_counters(smx_segment *segment, smx_counter counters[], uint64_t n,
                     struct bench_result *result)
{
    smx_family family = segment_counter_family(segment, n);
    for (uint64_t i = 0; i < n; i++) {
        counters[i] = segment_counter(family, i);
        if (!counters[i].base || (i > 0 && counters[i].base == counters[i - 1].base))
            return bench_fail(result, -ENOSPC, "no room for counter %ju", (uintmax_t)i);
    }
    return 0;
}

smx_family segment_histogram_family(smx_segment *segment, uint64_t max_series, bool bounds11)
{
    static const double bounds[] = {.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10};
    struct smx_metric metric = {
        .name = "bench_duration_seconds",
        .help = "Time that a request took.",
        .unit = "seconds",
        .labels = {"route"},
        .max_series = (uint32_t)max_series,
    };
    if (bounds11) {
        metric.bounds = bounds;
        metric.n_bounds = sizeof bounds / sizeof bounds[0];
    }
    return smx_histogram_family(segment, &metric, NULL);
}

int segment_histograms(smx_segment *segment, smx_histogram histograms[], uint64_t n, bool bounds11,
                       struct bench_result *result)
{
    smx_family family = segment_histogram_family(segment, n, bounds11);
    for (uint64_t i = 0; i < n; i++) {
        char route[SEGMENT_LABEL_SIZE];
        segment_label(route, i);
        histograms[i] = smx_histogram_with(family, SMX_VALUES(route));
        if (!histograms[i].base || (i > 0 && histograms[i].base == histograms[i - 1].base))
            return bench_fail(result, -ENOSPC, "no room for histogram %ju", (uintmax_t)i);
    }
    return 0;
}
