/* SPDX-License-Identifier: MIT
 *
 * main.c - smx-bench: what smx costs on this machine, beside its peers. Options, exit status, and
 * one case after the other.
 */
#include "cases.h"
#include "report/report.h"
#include "run/supervise.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include <smx/smx.h>

enum { EXIT_FINE = 0, EXIT_WRONG = 1, EXIT_USAGE = 2 };

static const char usage[] =
    "Usage: smx-bench [OPTIONS] [GROUP...]\n"
    "Measure what an update, a scrape, a process costs, beside what others do.\n"
    "Groups: peers update striped work lifecycle gather scrape workers memory; default: all.\n"
    "\n"
    "  -f, --filter=TEXT  only cases whose group/name contains TEXT, or matches\n"
    "                     it as a shell pattern (may be repeated)\n"
    "  -d, --directory=DIR\n"
    "                     make the private directory, which is removed at the end,\n"
    "                     in DIR, which has to be on a tmpfs (default: /dev/shm)\n"
    "  -q, --quick        fewer and shorter: less than 20 seconds in all\n"
    "  -F, --full         also what takes long: a million series to gather\n"
    "  -j, --json         write one JSON object a line, as smx-bench(1) has it\n"
    "  -m, --markdown     write a table for a README\n"
    "  -l, --list         list the cases instead\n"
    "  -h, --help         show this text\n"
    "  -V, --version      show the version\n"
    "\n"
    "Exit status: 0 fine; 1 smx lost an operation, or a case failed; 2 usage.\n";

struct run {
    const struct bench_options *options;
    const struct cases *cases;
};

static void list(const struct run *run)
{
    for (size_t i = 0; i < run->cases->n; i++) {
        const struct bench_case *bench = &run->cases->at[i];
        char details[64];
        if (!cases_wanted(bench, run->options))
            continue;
        report_details(details, sizeof details, bench, &(struct bench_result){.rows = bench->rows});
        printf("%s/%s", bench->group, bench->name);
        if (bench->procs)
            printf(" procs=%u", bench->procs);
        if (bench->series)
            printf(" series=%ju", (uintmax_t)bench->series);
        puts(details[0] ? details + 1 : "");
    }
}

/* Returns: whether all is well with one case. */
static bool measure(const struct bench_case *bench, const struct run *run, const char *directory,
                    const struct report_format *format, struct report *report)
{
    struct bench_result result;
    int code = cases_run(bench, run->options, directory, &result);
    if (code < 0) {
        fprintf(stderr, "smx-bench: %s/%s: %s%s\n", bench->group, bench->name,
                code == -ENOTSUP ? "left out: " : "", result.note);
        return code == -ENOTSUP;
    }
    format->row(report, bench, &result);
    report->aimed += bench->reach > 0;
    report->reached += bench->reach > 0 && report_reached(bench, &result);
    report->group = bench->group;
    fflush(report->out);
    if (!bench->exact || result.lost == 0)
        return true;
    fprintf(stderr, "smx-bench: %s/%s lost %jd operations\n", bench->group, bench->name,
            (intmax_t)result.lost);
    return false;
}

static int work(const char *directory, void *context)
{
    static const struct report_format *const formats[] = {
        [BENCH_TABLE] = &report_table,
        [BENCH_JSON] = &report_json,
        [BENCH_MARKDOWN] = &report_markdown,
    };
    const struct run *run = context;
    const struct report_format *format = formats[run->options->format];
    struct report report = {.out = stdout};
    bool fine = true;
    if (format->begin)
        format->begin(&report);
    for (size_t i = 0; i < run->cases->n; i++)
        if (cases_wanted(&run->cases->at[i], run->options))
            fine &= measure(&run->cases->at[i], run, directory, format, &report);
    if (format->end)
        format->end(&report);
    if (ferror(stdout)) {
        fprintf(stderr, "smx-bench: cannot write the results\n");
        fine = false;
    }
    return fine ? EXIT_FINE : EXIT_WRONG;
}

/* What is asked for has to exist. Returns: EXIT_FINE, EXIT_USAGE. */
static int check(const struct run *run)
{
    for (size_t i = 0; i < run->options->n_groups; i++)
        if (!cases_has_group(run->cases, run->options->groups[i])) {
            fprintf(stderr, "smx-bench: there is no group \"%s\"; see --help\n",
                    run->options->groups[i]);
            return EXIT_USAGE;
        }
    for (size_t i = 0; i < run->cases->n; i++)
        if (cases_wanted(&run->cases->at[i], run->options))
            return EXIT_FINE;
    fprintf(stderr, "smx-bench: no case is left; see --list\n");
    return EXIT_USAGE;
}

/* Returns: -1 to go on, else the exit status. */
static int parse(int argc, char **argv, struct bench_options *options, bool *listing)
{
    static const struct option long_options[] = {
        {"filter", required_argument, NULL, 'f'}, {"directory", required_argument, NULL, 'd'},
        {"quick", no_argument, NULL, 'q'},        {"full", no_argument, NULL, 'F'},
        {"json", no_argument, NULL, 'j'},         {"markdown", no_argument, NULL, 'm'},
        {"list", no_argument, NULL, 'l'},         {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},      {0},
    };
    for (int c; (c = getopt_long(argc, argv, "f:d:qFjmlhV", long_options, NULL)) != -1;) {
        if (c == 'f')
            options->filters[options->n_filters++] = optarg;
        else if (c == 'd')
            options->directory = optarg;
        else if (c == 'q' || c == 'F')
            options->when = c == 'q' ? BENCH_QUICK : BENCH_FULL;
        else if (c == 'j' || c == 'm')
            options->format = c == 'j' ? BENCH_JSON : BENCH_MARKDOWN;
        else if (c == 'l')
            *listing = true;
        else if (c == 'h')
            return fputs(usage, stdout) < 0 ? EXIT_WRONG : EXIT_FINE;
        else if (c == 'V')
            return printf("smx-bench %s\n", smx_version()) < 0 ? EXIT_WRONG : EXIT_FINE;
        else
            return EXIT_USAGE;
    }
    options->groups = argv + optind;
    options->n_groups = (size_t)(argc - optind);
    return -1;
}

static int run_all(const struct bench_options *options, bool listing)
{
    struct cases cases;
    if (cases_init(&cases) < 0) {
        fprintf(stderr, "smx-bench: no memory\n");
        return EXIT_WRONG;
    }
    struct run run = {options, &cases};
    int status = check(&run);
    if (status == EXIT_FINE && listing)
        list(&run);
    else if (status == EXIT_FINE)
        status = supervise(options->directory, work, &run);
    cases_fini(&cases);
    return status;
}

int main(int argc, char **argv)
{
    bool listing = false;
    char **filters = calloc((size_t)argc + 1, sizeof *filters);
    if (!filters) {
        fprintf(stderr, "smx-bench: no memory\n");
        return EXIT_WRONG;
    }
    struct bench_options options = {
        .when = BENCH_NORMAL, .directory = "/dev/shm", .filters = filters};
    int status = parse(argc, argv, &options, &listing);
    if (status < 0)
        status = run_all(&options, listing);
    free(filters);
    return status;
}
