/* SPDX-License-Identifier: MIT
 *
 * memory.c - the bytes of a segment that a series takes, all told: record, strings, index and its
 * cells of all rows. The name has 20 bytes, a counter two label values of 8, a histogram one.
 */
#include "run/segment.h"
#include "tables/tables.h"

#include <smx/reader.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Bytes in use, and how many rows there are. */
static int look(const smx_segment *segment, uint64_t *bytes, unsigned *rows,
                struct bench_result *result)
{
    struct smx_diag diag;
    smx_reader *reader = NULL;
    int code = smx_reader_open(smx_path(segment), &reader, &diag);
    if (code == 0)
        code = smx_reader_update(reader, &diag);
    if (code == 0) {
        *bytes = smx_reader_info(reader)->allocated_bytes;
        *rows = smx_reader_info(reader)->rows;
    }
    smx_reader_close(reader);
    return code < 0 ? bench_fail(result, code, "%s", diag.text) : 0;
}

static int add_series(const struct bench_case *bench, smx_segment *segment,
                      struct bench_result *result)
{
    int code;
    if (strcmp(bench->name, "memory_histogram") == 0) {
        smx_histogram *histograms = calloc(bench->series, sizeof *histograms);
        code = histograms ? segment_histograms(segment, histograms, bench->series, false, result)
                          : bench_fail(result, -ENOMEM, "no memory for the handles");
        free(histograms);
    } else {
        smx_counter *counters = calloc(bench->series, sizeof *counters);
        code = counters ? segment_counters(segment, counters, bench->series, result)
                        : bench_fail(result, -ENOMEM, "no memory for the handles");
        free(counters);
    }
    return code;
}

static int run(const struct bench_case *bench, const struct bench_place *place,
               struct bench_result *result)
{
    smx_segment *segment;
    uint64_t before = 0;
    uint64_t after = 0;
    bool histogram = strcmp(bench->name, "memory_histogram") == 0;
    bool whole = strcmp(bench->name, "memory_segment") == 0;
    const struct segment_plan plan = {
        .counters = histogram ? 0 : bench->series,
        .histograms = histogram ? bench->series : 0,
        .rows = bench->rows,
        .kind = strcmp(bench->kind, "striped") == 0 ? SMX_KIND_STRIPED : SMX_KIND_PERCPU,
    };
    int code = segment_open(&plan, place, &segment, result);
    if (code == 0)
        code = look(segment, &before, &result->rows, result);
    if (code == 0)
        code = add_series(bench, segment, result);
    if (code == 0)
        code = look(segment, &after, &result->rows, result);
    if (code < 0)
        return code;
    double bytes = whole ? (double)after : (double)(after - before) / (double)bench->series;
    result->median = result->min = result->max = bytes;
    return 0;
}

#define MEMORY(name_, series_, rows_, kind_, reach_)                                               \
    {                                                                                              \
        .group = "memory", .name = (name_), .unit = BENCH_BYTES, .when = BENCH_QUICK,              \
        .series = (series_), .rows = (rows_), .kind = (kind_), .reach = (reach_), .run = run       \
    }

const struct bench_case memory_cases[] = {
    MEMORY("memory_counter", 10000, 2, "percpu", 160),
    MEMORY("memory_counter", 10000, 64, "percpu", 0),
    MEMORY("memory_counter", 10000, 192, "percpu", 0),
    MEMORY("memory_counter", 10000, 0, "striped", 0),
    MEMORY("memory_histogram", 100, 2, "percpu", 0),
    MEMORY("memory_histogram", 100, 64, "percpu", 0),
    MEMORY("memory_histogram", 100, 192, "percpu", 0),
    MEMORY("memory_histogram", 100, 0, "striped", 0),
    MEMORY("memory_segment", 10000, 2, "percpu", 2 << 20),
    {0},
};
