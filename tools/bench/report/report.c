/* SPDX-License-Identifier: MIT
 *
 * report.c - what the formats have in common: what is reached, and numbers as text.
 */
#include "report/report.h"

#include <string.h>

bool report_reached(const struct bench_case *bench, const struct bench_result *result)
{
    return (result->ratio > 0 ? result->ratio : result->median) <= bench->reach;
}

const char *report_verdict(const struct bench_case *bench, const struct bench_result *result)
{
    return bench->reach <= 0 ? "" : report_reached(bench, result) ? "yes" : "no";
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

void report_ratio(char text[REPORT_VALUE_SIZE], double ratio)
{
    text[0] = '\0';
    if (ratio > 0)
        snprintf(text, REPORT_VALUE_SIZE, "%.*f", ratio < 9.995 ? 2 : ratio < 99.95 ? 1 : 0, ratio);
}

void report_reach(char text[REPORT_VALUE_SIZE], const struct bench_case *bench,
                  const struct bench_result *result)
{
    if (result->ratio > 0 || bench->reach <= 0)
        report_ratio(text, bench->reach);
    else
        report_value(text, bench->reach, bench->unit);
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
