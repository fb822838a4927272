/* SPDX-License-Identifier: MIT
 *
 * main.c - smx-dump: show one segment to a person or a script. Options, exit status, and which of
 * the other files does the work.
 */
#include "dump.h"
#include "common/plain.h"
#include "common/target.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { EXIT_FINE = 0, EXIT_DAMAGED = 1, EXIT_USAGE = 2 };

static const char usage[] =
    "Usage: smx-dump [OPTIONS] PATH|APPLICATION[@INSTANCE]\n"
    "       smx-dump [OPTIONS]\n"
    "Show a segment: header, usage, metrics with their values, checks, processes.\n"
    "An argument with a slash is a file, any other the name of an application.\n"
    "Without an argument list the segments there are.\n"
    "\n"
    "  -d, --directory=DIR  look for segments in DIR (default: $SMX_DIR if set,\n"
    "                       else /run/smx and /dev/shm/smx-<uid>)\n"
    "  -f, --family=NAME    show this family only (may be repeated)\n"
    "  -p, --processes      show the processes only (with --family: too)\n"
    "  -j, --json           write JSON, as smx-dump(1) describes it\n"
    "  -l, --lint           show what breaks the naming conventions instead\n"
    "  -h, --help           show this text\n"
    "  -V, --version        show the version\n"
    "\n"
    "Exit status: 0 fine, 1 damaged, not readable, or --lint found something, 2 usage.\n";

bool dump_wants_segment(const struct dump_options *options)
{
    return options->n_families == 0 && !options->processes;
}

bool dump_wants_families(const struct dump_options *options)
{
    return options->n_families > 0 || !options->processes;
}

bool dump_wants_processes(const struct dump_options *options)
{
    return options->processes || options->n_families == 0;
}

static bool is_named(const char *name, const struct smx_family_info *family)
{
    return strlen(name) == family->name.length &&
           memcmp(name, family->name.at, family->name.length) == 0;
}

bool dump_wants_family(const struct dump_options *options, const struct smx_family_info *family)
{
    for (size_t i = 0; i < options->n_families; i++)
        if (is_named(options->families[i], family))
            return true;
    return options->n_families == 0;
}

uint64_t dump_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Families that were asked for and are not there. */
static size_t report_missing(smx_reader *reader, const struct dump_options *options)
{
    size_t missing = 0;
    for (size_t i = 0; i < options->n_families; i++) {
        bool found = false;
        for (size_t k = 0; k < smx_reader_info(reader)->n_families && !found; k++)
            found = is_named(options->families[i], smx_reader_family(reader, k));
        if (!found)
            plain_error(options->families[i], "no such family: ");
        missing += !found;
    }
    return missing;
}

static int write_snapshot(smx_reader *reader, const struct dump_options *options)
{
    const struct smx_segment_info *info = smx_reader_info(reader);
    size_t wrong = report_missing(reader, options);
    int result;
    if (options->lint)
        result = lint_write(stdout, reader, options, &wrong);
    else if (options->json)
        result = json_write(stdout, reader, options);
    else
        result = text_write(stdout, reader, options);
    if (result < 0)
        plain_error(smx_strerror(result), "cannot write the dump: ");
    for (unsigned i = 0; i < SMX_UNSOUND_COUNT; i++)
        if (info->unsound[i])
            plain_error(info->path, "records left out as unsound (%s): %ju of ",
                        smx_unsound_name(i), (uintmax_t)info->unsound[i]);
    return result < 0 || wrong > 0 || info->errors > 0 ? EXIT_DAMAGED : EXIT_FINE;
}

static int dump_segment(const char *argument, const struct dump_options *options)
{
    char path[PATH_MAX];
    struct smx_diag diag = {0};
    smx_reader *reader = NULL;
    int status = EXIT_DAMAGED;
    if (target_find(argument, options->directory, path, &diag) == 0 &&
        smx_reader_open(path, &reader, &diag) == 0 && smx_reader_update(reader, &diag) == 0)
        status = write_snapshot(reader, options);
    else
        plain_error(diag.text, "%s", "");
    smx_reader_close(reader);
    return status;
}

static int list_segments(const struct dump_options *options)
{
    if (options->n_families > 0 || options->processes || options->lint) {
        plain_error("", "--family, --processes and --lint need a segment");
        return EXIT_USAGE;
    }
    size_t damaged = 0;
    if (list_write(stdout, options, &damaged) < 0 || damaged > 0)
        return EXIT_DAMAGED;
    return EXIT_FINE;
}

/* Returns: -1 to go on, else the exit status. */
static int parse(int argc, char **argv, struct dump_options *options, const char **names)
{
    static const struct option long_options[] = {
        {"directory", required_argument, NULL, 'd'},
        {"family", required_argument, NULL, 'f'},
        {"processes", no_argument, NULL, 'p'},
        {"json", no_argument, NULL, 'j'},
        {"lint", no_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {0},
    };
    for (int c; (c = getopt_long(argc, argv, "d:f:pjlhV", long_options, NULL)) != -1;) {
        if (c == 'd')
            options->directory = optarg;
        else if (c == 'f')
            names[options->n_families++] = optarg;
        else if (c == 'p')
            options->processes = true;
        else if (c == 'j')
            options->json = true;
        else if (c == 'l')
            options->lint = true;
        else if (c == 'h')
            return fputs(usage, stdout), EXIT_FINE;
        else if (c == 'V')
            return printf("smx-dump %s\n", smx_version()), EXIT_FINE;
        else
            return fputs("Try 'smx-dump --help'.\n", stderr), EXIT_USAGE;
    }
    options->families = names;
    if (argc - optind > 1) {
        plain_error(argv[optind + 1], "more than one segment: ");
        return EXIT_USAGE;
    }
    return -1;
}

/* What was printed has arrived: a full disk and a closed pipe show only here. */
static int finish(int status)
{
    if (fflush(stdout) != 0 || ferror(stdout) || fclose(stdout) != 0) {
        plain_error(strerror(errno), "cannot write the output: ");
        return EXIT_DAMAGED;
    }
    return status;
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    const char **names = calloc((size_t)argc + 1, sizeof *names);
    if (!names) {
        plain_error(strerror(ENOMEM), "%s", "");
        return EXIT_DAMAGED;
    }
    struct dump_options options = {0};
    int status = parse(argc, argv, &options, names);
    if (status < 0)
        status = optind < argc ? dump_segment(argv[optind], &options) : list_segments(&options);
    free(names);
    return finish(status);
}
