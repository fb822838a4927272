/* SPDX-License-Identifier: MIT
 *
 * report.c - what the table and the Markdown have in common: ratios, and numbers as text.
 */
#include "report/report.h"

#include <string.h>

static bool is_one_cell(const struct bench_case *bench)
{
    return bench->unit == BENCH_NS && bench->procs > 0 && bench->procs <= REPORT_PROCS_MAX;
}

void report_keep(struct report *report, const struct bench_case *bench,
                 const struct bench_result *result)
{
    if (is_one_cell(bench) && bench->series == 1 && strcmp(bench->name, "lock_xadd") == 0)
        report->lock_xadd[bench->procs] = result->median;
}

double report_ratio(const struct report *report, const struct bench_case *bench,
                    const struct bench_result *result)
{
    if (!is_one_cell(bench) || report->lock_xadd[bench->procs] <= 0)
        return 0;
    return result->median / report->lock_xadd[bench->procs];
}

void report_value(char text[REPORT_VALUE_SIZE], double value, enum bench_unit unit)
{
    static const char *const units[] = {
        [BENCH_NS] = "ns", [BENCH_MS] = "ms", [BENCH_BYTES] = "bytes"};
    double size = value < 0 ? -value : value;
    int decimals = size < 9.995 ? 2 : size < 99.95 ? 1 : 0;
    if (unit == BENCH_MS && size < 0.0995)
        decimals = 4;
    snprintf(text, REPORT_VALUE_SIZE, "%.*f %s", unit == BENCH_BYTES ? 0 : decimals, value,
             units[unit]);
}

void report_range(char text[REPORT_RANGE_SIZE], const struct bench_result *result,
                  enum bench_unit unit)
{
    char min[REPORT_VALUE_SIZE], max[REPORT_VALUE_SIZE];
    report_value(min, result->min, unit);
    report_value(max, result->max, unit);
    snprintf(text, REPORT_RANGE_SIZE, "%.*s .. %s", (int)strcspn(min, " "), min, max);
}

void report_details(char *text, size_t size, const struct bench_case *bench,
                    const struct bench_result *result)
{
    size_t n = 0;
    text[0] = '\0';
    if (result->rows && n < size)
        n += (size_t)snprintf(text + n, size - n, ", %u rows", result->rows);
    if (bench->segments && n < size)
        n += (size_t)snprintf(text + n, size - n, ", %u segments", bench->segments);
    if (bench->gauges && n < size)
        n += (size_t)snprintf(text + n, size - n, ", %ju gauges", (uintmax_t)bench->gauges);
    if (bench->kind && !strstr(bench->name, bench->kind) && n < size)
        snprintf(text + n, size - n, ", %s", bench->kind);
}
