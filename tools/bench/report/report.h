/* SPDX-License-Identifier: MIT
 *
 * report.h - what was found, as a table for people, as lines of JSON, or as Markdown.
 */
#ifndef SMX_BENCH_REPORT_H
#define SMX_BENCH_REPORT_H

#include "bench.h"

#include <stdio.h>

struct report {
    FILE *out;
    const char *group;       /* of the row before */
    unsigned aimed, reached; /* rows of which something is wanted, and those that have it */
};

/* How a format shows a run. Each may be NULL. */
struct report_format {
    void (*begin)(struct report *);
    void (*row)(struct report *, const struct bench_case *, const struct bench_result *);
    void (*end)(struct report *);
};

extern const struct report_format report_table, report_json, report_markdown;

/* Whether a row has what is wanted of it, by its ratio if it has one. */
bool report_reached(const struct bench_case *bench, const struct bench_result *result);

/* "yes", "no", or nothing. */
const char *report_verdict(const struct bench_case *bench, const struct bench_result *result);

/* "0.31 ns"; up to 3 significant digits. */
enum { REPORT_VALUE_SIZE = 32 };
void report_value(char text[REPORT_VALUE_SIZE], double value, enum bench_unit unit);

/* "2.08", or nothing. */
void report_ratio(char text[REPORT_VALUE_SIZE], double ratio);

/* What is wanted: a ratio, "2.08", or "160 bytes"; or nothing. */
void report_reach(char text[REPORT_VALUE_SIZE], const struct bench_case *bench,
                  const struct bench_result *result);

/* "0.30 .. 0.35 ns" */
enum { REPORT_RANGE_SIZE = 2 * REPORT_VALUE_SIZE + 4 };
void report_range(char text[REPORT_RANGE_SIZE], const struct bench_result *result,
                  enum bench_unit unit);

/* What tells rows of one name apart besides processes and series: ", 192 rows, striped". */
void report_details(char *text, size_t size, const struct bench_case *bench,
                    const struct bench_result *result);

#endif
