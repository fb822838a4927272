/* SPDX-License-Identifier: MIT
 *
 * table.c - rows for people, each as soon as it is known, with the ratio to the limit, what ratio
 * is wanted and whether it is reached, and a bar: a mark for each limit.
 */
#include "report/report.h"
#include "report/machine.h"

#include <string.h>

enum { BAR_MAX = 24 };

static void begin(struct report *report)
{
    char machine[MACHINE_SIZE];
    machine_describe(machine);
    fprintf(report->out, "%s\n%-34s %5s %8s %12s  %-21s %9s %8s %11s\n", machine, "", "procs",
            "series", "median", "min .. max", "lost", "x limit", "wanted");
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
    size_t n = ratio > 0 ? (size_t)(ratio + 0.5) : 0;
    bool longer = n > BAR_MAX;
    n = longer ? BAR_MAX : n;
    memset(bar, '=', n);
    bar[n] = '\0';
    if (longer)
        bar[BAR_MAX - 1] = '>';
    fprintf(report->out, " %s", bar);
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
    char ratio[REPORT_VALUE_SIZE], reach[REPORT_VALUE_SIZE];
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
    report_ratio(ratio, result->ratio);
    report_reach(reach, bench, result);
    fprintf(report->out, " %8s %11s %-3s", ratio, reach, report_verdict(bench, result));
    put_bar(report, result->ratio);
    fputc('\n', report->out);
}

static void end(struct report *report)
{
    fprintf(report->out,
            "\nx limit: the ratio to what runs in turn with it: a plain add to a word of one's "
            "own; of\n"
            "scrapes, memory_to_text. A mark of the bar for each. wanted: at most this ratio.\n");
    if (report->aimed)
        fprintf(report->out, "%u of %u have what is wanted.\n", report->reached, report->aimed);
}

const struct report_format report_table = {.begin = begin, .row = row, .end = end};
