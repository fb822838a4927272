/* SPDX-License-Identifier: MIT
 *
 * main.c - smx-demo: a small prefork HTTP server, instrumented with libshm as a model to copy from.
 * It reads the command line, opens metrics, tally and socket, and hands over to the master.
 *
 * To see how metrics are declared, read metrics.c; how a request is measured, connection.c.
 */
#include "listener.h"
#include "master.h"
#include "metrics.h"
#include "tally.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WORKERS_MAX = 1000, EXIT_USAGE = 2 };

struct arguments {
    const char *listen;
    const char *tally;
    unsigned workers;
};

static const char usage[] =
    "Usage: smx-demo [--listen ADDRESS:PORT] [--workers N] [--tally FILE]\n"
    "A small prefork HTTP server whose metrics go to the segment `demo`.\n"
    "\n"
    "  -l, --listen ADDRESS:PORT  where to serve (default 127.0.0.1:8080; port 0: a free one);\n"
    "                             the address is printed to the standard output\n"
    "  -w, --workers N            worker processes (default: one for each CPU)\n"
    "  -t, --tally FILE           keep a second account of all requests in FILE, for tests\n"
    "  -h, --help                 show this help\n"
    "  -V, --version              show the version\n"
    "\n"
    "Paths: /  /fast  /work  /error. SIGHUP reloads, SIGTERM stops, both gracefully.\n"
    "SMX_DIR names the directory of the segment.\n";

static void fail_usage(const char *what, const char *value)
{
    fprintf(stderr, "smx-demo: %s: %s (see smx-demo --help)\n", what, value);
    exit(EXIT_USAGE);
}

static unsigned parse_workers(const char *text)
{
    char *end;
    errno = 0;
    long n = strtol(text, &end, 10);
    if (errno || end == text || *end || n < 1 || n > WORKERS_MAX)
        fail_usage("--workers takes a number from 1 to 1000, not", text);
    return (unsigned)n;
}

static unsigned default_workers(void)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    return cpus < 1 ? 1 : cpus > WORKERS_MAX ? WORKERS_MAX : (unsigned)cpus;
}

static void show(const char *text)
{
    fputs(text, stdout);
    exit(EXIT_SUCCESS);
}

static struct arguments parse_arguments(int argc, char **argv)
{
    static const struct option options[] = {
        {"listen", required_argument, NULL, 'l'}, {"workers", required_argument, NULL, 'w'},
        {"tally", required_argument, NULL, 't'},  {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},      {0},
    };
    struct arguments a = {.listen = "127.0.0.1:8080", .workers = default_workers()};
    for (int c; (c = getopt_long(argc, argv, "l:w:t:hV", options, NULL)) != -1;) {
        switch (c) {
        case 'l':
            a.listen = optarg;
            break;
        case 'w':
            a.workers = parse_workers(optarg);
            break;
        case 't':
            a.tally = optarg;
            break;
        case 'h':
            show(usage);
            break;
        case 'V':
            show("smx-demo " SMX_VERSION "\n");
            break;
        default:
            exit(EXIT_USAGE);
        }
    }
    if (optind < argc)
        fail_usage("unexpected argument", argv[optind]);
    return a;
}

int main(int argc, char **argv)
{
    struct arguments arguments = parse_arguments(argc, argv);
    master_block_signals();

    char name[LISTENER_NAME];
    const char *reason;
    int listener = listener_open(arguments.listen, name, &reason);
    if (listener < 0) {
        fprintf(stderr, "smx-demo: cannot listen on %s: %s\n", arguments.listen, reason);
        return EXIT_FAILURE;
    }
    struct tally *tally = NULL;
    int error = arguments.tally ? tally_open(arguments.tally, &tally) : 0;
    if (error) {
        fprintf(stderr, "smx-demo: %s: %s\n", arguments.tally, strerror(-error));
        return EXIT_FAILURE;
    }
    struct metrics metrics;
    struct smx_diag diag;
    if (metrics_open(&metrics, &diag) < 0)
        fprintf(stderr, "smx-demo: serving without all metrics: %s\n", diag.text);

    printf("%s\n", name);
    fflush(stdout);
    return master_run(&(struct master_options){
        .workers = arguments.workers, .listener = listener, .metrics = &metrics, .tally = tally});
}
