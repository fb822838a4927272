/* SPDX-License-Identifier: MIT
 *
 * segment.h - segments of a case, with many series in them.
 */
#ifndef SMX_BENCH_SEGMENT_H
#define SMX_BENCH_SEGMENT_H

#include "bench.h"

#include <smx/smx.h>

/* The longest text of segment_label(), with its NUL. */
enum { SEGMENT_LABEL_SIZE = 16 };

struct segment_plan {
    const char *app;   /* NULL: "bench" */
    uint64_t counters; /* room for these */
    uint64_t histograms;
    unsigned rows;
    enum smx_kind kind; /* SMX_KIND_AUTO: per-CPU */
};

/* Open one in the directory of the case, with a budget for what is planned and room for it on the
 * tmpfs. Returns: as bench_case.run. */
int segment_open(const struct segment_plan *plan, const struct bench_place *place,
                 smx_segment **out, struct bench_result *result);

/* Eight bytes that name series i. */
void segment_label(char text[SEGMENT_LABEL_SIZE], uint64_t i);

/* A family of counters with two labels of eight bytes each, as most have, and a name of twenty. */
smx_family segment_counter_family(smx_segment *segment, uint64_t max_series);

/* Its series i. */
smx_counter segment_counter(smx_family family, uint64_t i);

/* Fill an array with the first n of them. Returns: as bench_case.run. */
int segment_counters(smx_segment *segment, smx_counter counters[], uint64_t n,
                     struct bench_result *result);

/* The family of the histograms that are measured: of seconds, exponential by default, or with the
 * 11 bounds that Prometheus' clients start with. */
smx_family segment_histogram_family(smx_segment *segment, uint64_t max_series, bool bounds11);
int segment_histograms(smx_segment *segment, smx_histogram histograms[], uint64_t n, bool bounds11,
                       struct bench_result *result);

#endif
