/* SPDX-License-Identifier: MIT
 *
 * markdown.c - the table of a README, with the date and the machine above it.
 */
#include "report/report.h"
#include "report/machine.h"

static void begin(struct report *report)
{
    char date[MACHINE_SIZE], machine[MACHINE_SIZE];
    machine_date(date);
    machine_describe(machine);
    fprintf(report->out,
            "Measured on %s by `smx-bench --markdown` on %s.\n"
            "Medians; x limit is the ratio to what runs in turn with it: a plain add to a word of\n"
            "one's own, of scrapes `memory_to_text`.\n"
            "\n"
            "| what | processes | series | median | min .. max | x limit | wanted | | lost |\n"
            "|---|--:|--:|--:|--:|--:|--:|---|--:|\n",
            date, machine);
}

static void put_number(struct report *report, uint64_t number)
{
    if (number)
        fprintf(report->out, " %ju |", (uintmax_t)number);
    else
        fprintf(report->out, " |");
}

static void row(struct report *report, const struct bench_case *bench,
                const struct bench_result *result)
{
    char details[64];
    char median[REPORT_VALUE_SIZE], range[REPORT_RANGE_SIZE];
    char ratio[REPORT_VALUE_SIZE], reach[REPORT_VALUE_SIZE];
    report_details(details, sizeof details, bench, result);
    report_value(median, result->median, bench->unit);
    report_range(range, result, bench->unit);
    fprintf(report->out, "| %s%s |", bench->name, details);
    put_number(report, bench->procs);
    put_number(report, bench->series);
    fprintf(report->out, " %s | %s |", median, range);
    report_ratio(ratio, result->ratio);
    report_reach(reach, bench, result);
    fprintf(report->out, " %s | %s | %s |", ratio, reach, report_verdict(bench, result));
    if (result->counts)
        fprintf(report->out, " %jd |\n", (intmax_t)result->lost);
    else
        fprintf(report->out, " |\n");
}

const struct report_format report_markdown = {.begin = begin, .row = row};
