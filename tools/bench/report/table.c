/* SPDX-License-Identifier: MIT
 *
 * table.c - rows for people, each as soon as it is known, with the ratio to lock_xadd of as
 * many processes and a bar: ten marks are one lock_xadd.
 */
#include "report/report.h"
#include "report/machine.h"

#include <string.h>

enum { BAR_ONE = 10, BAR_MAX = 30 };

static void begin(struct report *report)
{
    char machine[MACHINE_SIZE];
    machine_describe(machine);
    fprintf(report->out, "%s\n%-34s %5s %8s %12s  %-21s %9s %7s\n", machine, "", "procs", "series",
            "median", "min .. max", "lost", "x lock");
}

static void put_lost(struct report *report, const struct bench_result *result)
{
    if (result->counts)
        fprintf(report->out, " %9jd", (intmax_t)result->lost);
    else
        fprintf(report->out, " %9s", "");
}

static void put_bar(struct report *report, double ratio)
{
    char bar[BAR_MAX + 1];
    size_t n = (size_t)(ratio * BAR_ONE + 0.5);
    bool longer = n > BAR_MAX;
    n = longer ? BAR_MAX : n;
    memset(bar, '=', n);
    bar[n] = '\0';
    if (longer)
        bar[BAR_MAX - 1] = '>';
    fprintf(report->out, " %7.2f %s", ratio, bar);
}

static void put_number(struct report *report, int width, uint64_t number)
{
    if (number)
        fprintf(report->out, " %*ju", width, (uintmax_t)number);
    else
        fprintf(report->out, " %*s", width, "");
}

static void row(struct report *report, const struct bench_case *bench,
                const struct bench_result *result)
{
    char details[64], label[96];
    char median[REPORT_VALUE_SIZE], range[REPORT_RANGE_SIZE];
    if (!report->group || strcmp(report->group, bench->group) != 0)
        fprintf(report->out, "%s\n", bench->group);
    report_details(details, sizeof details, bench, result);
    snprintf(label, sizeof label, "  %s%s", bench->name, details);
    report_value(median, result->median, bench->unit);
    report_range(range, result, bench->unit);
    fprintf(report->out, "%-34s", label);
    put_number(report, 5, bench->procs);
    put_number(report, 8, bench->series);
    fprintf(report->out, " %12s  %-21s", median, range);
    put_lost(report, result);
    double ratio = report_ratio(report, bench, result);
    if (ratio > 0)
        put_bar(report, ratio);
    fputc('\n', report->out);
}

const struct report_format report_table = {.begin = begin, .row = row};
