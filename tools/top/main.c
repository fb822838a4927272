/* SPDX-License-Identifier: MIT
 *
 * main.c - smx-top: what a server is doing right now. Options, and the loop: take snapshots, write
 * the view, show it on the terminal or print it.
 */
#include "common/plain.h"
#include "screen.h"
#include "view.h"
#include "watches.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_FINE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

static const char usage[] =
    "Usage: smx-top [OPTIONS] [PATH|APPLICATION[@INSTANCE]]...\n"
    "Show what segments count right now: rates, means and quantiles of the last interval;\n"
    "and what their applications' health checks say.\n"
    "An argument with a slash is a file, any other the name of an application.\n"
    "Without an argument all segments there are.\n"
    "\n"
    "  -d, --directory=DIR     look for segments in DIR (default: $SMX_DIR if set,\n"
    "                          else /run/smx and /dev/shm/smx-<uid>)\n"
    "  -i, --interval=SECONDS  refresh so often (default 1)\n"
    "  -1, --once              print one interval and end\n"
    "  -h, --help              show this text\n"
    "  -V, --version           show the version\n"
    "\n"
    "Keys: q leaves; arrows, page up, page down, home and end scroll.\n"
    "If the output is no terminal, every interval is printed as text.\n"
    "\n"
    "Exit status: 0 fine, 1 a segment or the output failed, 2 usage.\n";

struct options {
    const char *directory;
    double interval;
    bool once;
};

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t interval_ns(const struct options *options)
{
    return (uint64_t)(options->interval * 1e9);
}

static int write_views(FILE *out, const struct watches *watches)
{
    char date[64] = "";
    time_t now = time(NULL);
    struct tm parts;
    if (gmtime_r(&now, &parts))
        strftime(date, sizeof date, "%F %T UTC", &parts);
    fprintf(out, "smx-top  %s  %zu segment%s\n", date, watches->n, watches->n == 1 ? "" : "s");
    int result = 0;
    for (size_t i = 0; result == 0 && i < watches->n; i++) {
        putc('\n', out);
        result = view_write(out, &watches->at[i]);
    }
    return result;
}

static int update(struct watches *watches)
{
    int result = watches_update(watches);
    if (result < 0)
        plain_error(smx_strerror(result), "cannot look for segments: ");
    return result;
}

/* Print one view, or one after the other until the output ends. */
static int run_plain(struct watches *watches, const struct options *options)
{
    if (update(watches) < 0)
        return EXIT_FAILED;
    for (uint64_t next = now_ns();;) {
        next += interval_ns(options);
        struct timespec until = {(time_t)(next / 1000000000u), (long)(next % 1000000000u)};
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
            ;
        int result = update(watches);
        if (result == 0 && (result = write_views(stdout, watches)) < 0)
            plain_error(smx_strerror(result), "cannot show the segments: ");
        if (options->once)
            return result < 0 || watches_failed(watches) ? EXIT_FAILED : EXIT_FINE;
        putchar('\n');
        if (result < 0 || fflush(stdout) != 0)
            return EXIT_FAILED;
    }
}

/* Show the watches once. *text is what the screen borrows until the next call. */
static int refresh_screen(struct screen *screen, struct watches *watches, char **text)
{
    char *next = NULL;
    size_t size;
    int result = watches_update(watches);
    if (result < 0)
        return result;
    FILE *out = open_memstream(&next, &size);
    if (!out)
        return -ENOMEM;
    result = write_views(out, watches);
    if (fclose(out) != 0 && result == 0)
        result = -ENOMEM;
    if (result < 0) {
        free(next);
        return result;
    }
    screen_show(screen, next);
    free(*text);
    *text = next;
    return 0;
}

static int run_screen(struct watches *watches, const struct options *options)
{
    struct screen *screen;
    int result = screen_open(&screen);
    if (result < 0) {
        plain_error("", "cannot use this terminal (TERM=%s); try --once",
                    getenv("TERM") ? getenv("TERM") : "");
        return EXIT_FAILED;
    }
    char *text = NULL;
    uint64_t next = now_ns();
    do {
        result = refresh_screen(screen, watches, &text);
        next += interval_ns(options);
        if (next < now_ns())
            next = now_ns();
    } while (result == 0 && screen_wait(screen, next) == SCREEN_TIMEOUT);
    int ended_by = screen_close(screen);
    free(text);
    if (result < 0)
        plain_error(smx_strerror(result), "cannot show the segments: ");
    if (ended_by) {
        signal(ended_by, SIG_DFL);
        raise(ended_by);
    }
    return result < 0 ? EXIT_FAILED : EXIT_FINE;
}

static bool parse_interval(const char *text, double *interval)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value >= 0.01) || value > 86400)
        return false;
    *interval = value;
    return true;
}

/* Returns: -1 to go on, else the exit status. */
static int parse(int argc, char **argv, struct options *options)
{
    static const struct option long_options[] = {
        {"directory", required_argument, NULL, 'd'},
        {"interval", required_argument, NULL, 'i'},
        {"once", no_argument, NULL, '1'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {0},
    };
    for (int c; (c = getopt_long(argc, argv, "d:i:1hV", long_options, NULL)) != -1;) {
        if (c == 'd') {
            options->directory = optarg;
        } else if (c == 'i' && !parse_interval(optarg, &options->interval)) {
            plain_error(optarg, "--interval takes seconds from 0.01 to 86400, not ");
            return EXIT_USAGE;
        } else if (c == '1') {
            options->once = true;
        } else if (c == 'h') {
            return fputs(usage, stdout), EXIT_FINE;
        } else if (c == 'V') {
            return printf("smx-top %s\n", smx_version()), EXIT_FINE;
        } else if (c == '?') {
            return fputs("Try 'smx-top --help'.\n", stderr), EXIT_USAGE;
        }
    }
    return -1;
}

static int run(struct watches *watches, const struct options *options)
{
    if (!options->once && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
        return run_screen(watches, options);
    return run_plain(watches, options);
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    struct options options = {.interval = 1};
    int status = parse(argc, argv, &options);
    struct watches watches;
    if (status < 0 &&
        watches_init(&watches, argv + optind, (size_t)(argc - optind), options.directory) == 0) {
        status = run(&watches, &options);
        watches_fini(&watches);
    } else if (status < 0) {
        plain_error(smx_strerror(-ENOMEM), "%s", "");
        status = EXIT_FAILED;
    }
    if (fflush(stdout) != 0 || ferror(stdout) || fclose(stdout) != 0) {
        plain_error(strerror(errno), "cannot write the output: ");
        status = EXIT_FAILED;
    }
    return status;
}
