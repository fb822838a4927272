/* SPDX-License-Identifier: MIT
 *
 * python.c - Python's prometheus_client in its multi-process mode, where it is installed: a
 * script in a process of its own, which does and times what load.c does for the others.
 */
#include "run/limit.h"
#include "run/sample.h"
#include "tables/tables.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOT_INSTALLED = 3, NOT_FOUND = 127 };

/* Debian's module is for Debian's Python, which may not be the first one found.
 * Arguments: processes, repetitions, series. It prints "sample <number>" for each repetition and
 * at last "lost <number>". */
static const char common[] =
    "import os, sys, time\n"
    "debian = '/usr/bin/python3'\n"
    "try:\n"
    "    from prometheus_client import Counter, CollectorRegistry, generate_latest, multiprocess\n"
    "except ImportError:\n"
    "    if sys.executable == debian or not os.path.exists(debian): sys.exit(3)\n"
    "    os.execv(debian, [debian] + sys.orig_argv[1:])\n"
    "import multiprocessing\n"
    "procs, repeats, series = map(int, sys.argv[1:])\n"
    "cpus = len(os.sched_getaffinity(0))\n"
    "context = multiprocessing.get_context('fork')\n"
    "def collect():\n"
    "    registry = CollectorRegistry()\n"
    "    multiprocess.MultiProcessCollector(registry)\n"
    "    return registry\n";

static const char count_script[] =
    "N = 20000\n"
    "counter = Counter('bench_requests', 'Requests served.')\n"
    "barrier = context.Barrier(procs)\n"
    "times = context.Array('d', 2 * procs * repeats, lock=False)\n"
    "def work(index):\n"
    "    if procs <= cpus:\n"
    "        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[index]})\n"
    "    for r in range(repeats):\n"
    "        barrier.wait()\n"
    "        start = time.monotonic()\n"
    "        for i in range(N):\n"
    "            counter.inc()\n"
    "        times[2 * (r * procs + index)] = start\n"
    "        times[2 * (r * procs + index) + 1] = time.monotonic()\n"
    "workers = [context.Process(target=work, args=(i,)) for i in range(procs)]\n"
    "for w in workers: w.start()\n"
    "for w in workers: w.join()\n"
    "for r in range(repeats):\n"
    "    of = times[2 * r * procs : 2 * (r + 1) * procs]\n"
    "    took = max(of[1::2]) - min(of[0::2])\n"
    "    print('sample', took * 1e9 * min(procs, cpus) / (procs * N))\n"
    "total = collect().get_sample_value('bench_requests_total')\n"
    "print('lost', int(N * repeats * procs - total))\n";

static const char gather_script[] =
    "counter = Counter('bench_requests', 'Requests served.', ['method', 'route'])\n"
    "def work():\n"
    "    for i in range(series):\n"
    "        counter.labels('PROPFIND', 'l%07d' % i).inc(i)\n"
    "workers = [context.Process(target=work) for i in range(procs)]\n"
    "for w in workers: w.start()\n"
    "for w in workers: w.join()\n"
    "for r in range(repeats):\n"
    "    start = time.process_time()\n"
    "    text = generate_latest(collect())\n"
    "    print('sample', (time.process_time() - start) * 1e3)\n"
    "total = sum(float(l.rsplit(b' ')[-1]) for l in text.splitlines()\n"
    "            if l.startswith(b'bench_requests_total{'))\n"
    "print('lost', int(procs * series * (series - 1) / 2 - total))\n";

/* In the child: become Python. */
static void become_python(const struct bench_case *bench, const struct bench_place *place, int out)
{
    char script[sizeof common + sizeof gather_script + sizeof count_script];
    char procs[16], repeats[16], series[32];
    snprintf(script, sizeof script, "%s%s", common,
             bench->unit == BENCH_NS ? count_script : gather_script);
    snprintf(procs, sizeof procs, "%u", bench->procs);
    snprintf(repeats, sizeof repeats, "%u", place->repeats);
    snprintf(series, sizeof series, "%ju", (uintmax_t)bench->series);
    setenv("PROMETHEUS_MULTIPROC_DIR", place->directory, 1);
    if (dup2(out, STDOUT_FILENO) >= 0)
        execlp("python3", "python3", "-c", script, procs, repeats, series, (char *)NULL);
    _exit(NOT_FOUND);
}

static void read_lines(FILE *lines, struct sample *sample, struct bench_result *result)
{
    char line[128];
    while (fgets(line, sizeof line, lines)) {
        if (strncmp(line, "sample ", 7) == 0)
            sample_put(sample, strtod(line + 7, NULL), 0);
        if (strncmp(line, "lost ", 5) == 0) {
            result->counts = true;
            result->lost = strtoll(line + 5, NULL, 10);
        }
    }
}

static int conclude(int status, struct sample *sample, struct bench_result *result)
{
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    if (code == NOT_FOUND || code == NOT_INSTALLED)
        return bench_fail(result, -ENOTSUP, "Python's prometheus_client is not installed");
    if (code != 0 || sample->n == 0 || !result->counts)
        return bench_fail(result, -ECHILD, "the Python script failed");
    sample_conclude(sample, result);
    return 0;
}

/* The limit of what the script does; 0 without memory for it. */
static double limit_of(const struct bench_case *bench, const struct bench_place *place)
{
    if (bench->unit == BENCH_NS)
        return limit_add(place->lap_ns);
    struct limit_page page;
    double ms = limit_page_init(&page, bench->series) == 0 ? limit_page_write(&page) : 0;
    limit_page_fini(&page);
    return ms;
}

static int run_script(const struct bench_case *bench, const struct bench_place *place,
                      struct bench_result *result)
{
    int ends[2];
    int status;
    struct sample sample = {0};
    if (pipe(ends) < 0)
        return bench_fail_errno(result, "pipe");
    pid_t pid = fork();
    if (pid == 0)
        become_python(bench, place, ends[1]);
    close(ends[1]);
    FILE *lines = fdopen(ends[0], "r");
    if (pid < 0 || !lines)
        return bench_fail_errno(result, "cannot start Python");
    read_lines(lines, &sample, result);
    fclose(lines);
    if (waitpid(pid, &status, 0) < 0)
        return bench_fail_errno(result, "cannot wait for Python");
    return conclude(status, &sample, result);
}

/* Repetitions of a script cannot be taken in turn with ours: the limit before and behind it. */
static int run(const struct bench_case *bench, const struct bench_place *place,
               struct bench_result *result)
{
    double before = limit_of(bench, place);
    int code = run_script(bench, place, result);
    double limit = (before + limit_of(bench, place)) / 2;
    if (code == 0 && limit > 0)
        result->ratio = result->median / limit;
    return code;
}

#define PYTHON(procs_, when_)                                                                      \
    {                                                                                              \
        .group = "peers", .name = "python_multiprocess", .unit = BENCH_NS, .when = (when_),        \
        .procs = (procs_), .series = 1, .run = run                                                 \
    }

const struct bench_case peers_python[] = {
    PYTHON(1, BENCH_QUICK),
    PYTHON(2, BENCH_QUICK),
    PYTHON(8, BENCH_NORMAL),
    {0},
};

const struct bench_case gather_python[] = {
    {"gather", "gather_python", BENCH_MS, BENCH_NORMAL, .procs = 8, .series = 10000,
     .beside = "scrape", .run = run},
    {0},
};
