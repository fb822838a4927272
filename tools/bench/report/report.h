/* SPDX-License-Identifier: MIT
 *
 * report.h - what was found, as a table for people, as lines of JSON, or as Markdown.
 */
#ifndef SMX_BENCH_REPORT_H
#define SMX_BENCH_REPORT_H

#include "bench.h"

#include <stdio.h>

enum { REPORT_PROCS_MAX = 64 };

struct report {
    FILE *out;
    const char *group;                      /* of the row before */
    double lock_xadd[REPORT_PROCS_MAX + 1]; /* ns on one cell, by processes; 0: not measured */
};

/* How a format shows a run. Each may be NULL. */
struct report_format {
    void (*begin)(struct report *);
    void (*row)(struct report *, const struct bench_case *, const struct bench_result *);
    void (*end)(struct report *);
};

extern const struct report_format report_table, report_json, report_markdown;

/* How many times an uncontended or contended lock_xadd this is; 0 if it cannot be said. */
double report_ratio(const struct report *report, const struct bench_case *bench,
                    const struct bench_result *result);

/* Keep what later rows are compared with. */
void report_keep(struct report *report, const struct bench_case *bench,
                 const struct bench_result *result);

/* "0.31 ns"; up to 3 significant digits. */
enum { REPORT_VALUE_SIZE = 32 };
void report_value(char text[REPORT_VALUE_SIZE], double value, enum bench_unit unit);

/* "0.30 .. 0.35 ns" */
enum { REPORT_RANGE_SIZE = 2 * REPORT_VALUE_SIZE + 4 };
void report_range(char text[REPORT_RANGE_SIZE], const struct bench_result *result,
                  enum bench_unit unit);

/* What tells rows of one name apart besides processes and series: ", 192 rows, striped". */
void report_details(char *text, size_t size, const struct bench_case *bench,
                    const struct bench_result *result);

#endif
