/* SPDX-License-Identifier: MIT
 *
 * lifecycle.c - what is not the hot path: registering series, attaching to a segment that has many,
 * and fork() of a process that has one.
 */
#include "run/limit.h"
#include "run/load.h"
#include "run/sample.h"
#include "run/segment.h"
#include "tables/tables.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FAMILIES = 5, FORKS = 40 };

static smx_family numbered_family(smx_segment *segment, const char *stem, unsigned i,
                                  uint64_t max_series)
{
    char name[64];
    snprintf(name, sizeof name, "%s_%u_total", stem, i);
    const struct smx_metric metric = {
        .name = name,
        .help = "Requests served.",
        .labels = {"method", "route"},
        .max_series = (uint32_t)max_series,
    };
    return smx_counter_family(segment, &metric, NULL);
}

/* New series of one family after the other; their labels are made before. */
static int run_register(const struct bench_case *bench, const struct bench_place *place,
                        struct bench_result *result)
{
    smx_segment *segment;
    struct sample sample = {0};
    const struct segment_plan plan = {.counters = bench->series * FAMILIES};
    int code = segment_open(&plan, place, &segment, result);
    char(*routes)[SEGMENT_LABEL_SIZE] = calloc(bench->series, sizeof *routes);
    if (code == 0 && !routes)
        code = bench_fail(result, -ENOMEM, "no memory for the labels");
    for (uint64_t i = 0; i < bench->series && code == 0; i++)
        segment_label(routes[i], i);
    for (unsigned f = 0; f < FAMILIES && code == 0; f++) {
        smx_family family = numbered_family(segment, "bench", f, bench->series);
        smx_counter c = {0};
        double limit = limit_add(place->lap_ns);
        uint64_t start = sample_cpu_ns();
        for (uint64_t i = 0; i < bench->series; i++)
            c = smx_counter_with(family, SMX_VALUES("PROPFIND", routes[i]));
        sample_put(&sample, (double)(sample_cpu_ns() - start) / (double)bench->series, limit);
        if (!c.base)
            code = bench_fail(result, -ENOSPC, "no room for the counters");
    }
    free(routes);
    if (code == 0)
        sample_conclude(&sample, result);
    return code;
}

static int fill(smx_segment *segment, uint64_t series, struct bench_result *result)
{
    smx_counter *counters = calloc(series, sizeof *counters);
    if (!counters)
        return bench_fail(result, -ENOMEM, "no memory for the handles");
    int code = segment_counters(segment, counters, series, result);
    free(counters);
    return code;
}

/* The process that holds the segment, so that the others attach. It says 0 when it is ready. */
static pid_t start_holder(const struct bench_case *bench, const struct bench_place *place,
                          int ready, struct bench_result *shared)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    smx_segment *segment;
    const struct segment_plan plan = {.counters = bench->series};
    int code = segment_open(&plan, place, &segment, shared);
    if (code == 0)
        code = fill(segment, bench->series, shared);
    if (write(ready, &code, sizeof code) != sizeof code)
        _exit(1);
    for (;;)
        pause();
}

/* A process that attaches, and takes the time. */
static int attach_once(const struct bench_place *place, double *ms)
{
    pid_t pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0) {
        smx_segment *segment;
        const struct smx_options options = {.app = "bench", .directory = place->directory};
        uint64_t start = sample_cpu_ns();
        int code = smx_open(&options, &segment, NULL);
        *ms = (double)(sample_cpu_ns() - start) / 1e6;
        _exit(code == 0 ? 0 : 1);
    }
    int status;
    return waitpid(pid, &status, 0) < 0 ? -errno : status == 0 ? 0 : -ECHILD;
}

static int attach_often(const struct bench_place *place, struct bench_result *result)
{
    struct sample sample = {0};
    double *ms = load_share(sizeof *ms);
    if (!ms)
        return bench_fail(result, -ENOMEM, "no memory to share");
    for (unsigned i = 0; i < place->repeats; i++) {
        int code = attach_once(place, ms);
        if (code < 0)
            return bench_fail(result, code, "a process could not attach");
        sample_put(&sample, *ms, 0);
    }
    sample_conclude(&sample, result);
    return 0;
}

static int run_attach(const struct bench_case *bench, const struct bench_place *place,
                      struct bench_result *result)
{
    int ends[2];
    int code;
    struct bench_result *shared = load_share(sizeof *shared);
    if (!shared || pipe(ends) < 0)
        return bench_fail(result, -ENOMEM, "no memory to share");
    pid_t holder = start_holder(bench, place, ends[1], shared);
    close(ends[1]);
    if (holder < 0)
        return bench_fail_errno(result, "cannot fork");
    if (read(ends[0], &code, sizeof code) != sizeof code)
        code = bench_fail(result, -ECHILD, "the process with the segment failed");
    else if (code < 0)
        bench_fail(result, code, "%s", shared->note);
    else
        code = attach_often(place, result);
    kill(holder, SIGKILL);
    waitpid(holder, NULL, 0);
    close(ends[0]);
    return code;
}

/* CPU time of this process and of the children that it has waited for. */
static uint64_t family_cpu_ns(void)
{
    struct rusage children;
    getrusage(RUSAGE_CHILDREN, &children);
    return sample_cpu_ns() +
           (uint64_t)(children.ru_utime.tv_sec + children.ru_stime.tv_sec) * 1000000000u +
           (uint64_t)(children.ru_utime.tv_usec + children.ru_stime.tv_usec) * 1000u;
}

/* fork(), _exit() and wait(), as often as one repetition has them. Returns: ms for one. */
static double fork_ms(void)
{
    uint64_t start = family_cpu_ns();
    for (unsigned i = 0; i < FORKS; i++) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(0);
        if (pid > 0)
            waitpid(pid, NULL, 0);
    }
    return (double)(family_cpu_ns() - start) / 1e6 / FORKS;
}

static int set_gauges(smx_segment *segment, uint64_t n, struct bench_result *result)
{
    smx_family family = smx_gauge_family(segment,
                                         &(struct smx_metric){
                                             .name = "bench_in_flight",
                                             .help = "Requests in flight.",
                                             .labels = {"route"},
                                             .max_series = (uint32_t)n,
                                         },
                                         NULL);
    for (uint64_t i = 0; i < n; i++) {
        char route[SEGMENT_LABEL_SIZE];
        segment_label(route, i);
        smx_gauge gauge = smx_gauge_with(family, SMX_VALUES(route));
        if (!gauge.base)
            return bench_fail(result, -ENOSPC, "no room for gauge %ju", (uintmax_t)i);
        smx_gauge_set(gauge, 1);
    }
    return 0;
}

/* A gauge has a cell of 64 bytes for each of 1024 processes. */
static int open_with_gauges(const struct bench_case *bench, const struct bench_place *place,
                            smx_segment **segment, struct bench_result *result)
{
    enum { ROWS_OF_GAUGES = 600 };
    const struct segment_plan plan = {.counters = bench->series + bench->gauges * ROWS_OF_GAUGES};
    int code = segment_open(&plan, place, segment, result);
    if (code == 0 && bench->series)
        code = fill(*segment, bench->series, result);
    return code == 0 && bench->gauges ? set_gauges(*segment, bench->gauges, result) : code;
}

/* A process beside this one, without what is measured, that forks when it is asked. */
struct twin {
    pid_t pid;
    int connection;
};

static void be_twin(const struct bench_case *bench, const struct bench_place *place, int connection)
{
    char turn;
    smx_segment *segment;
    struct bench_result ignored;
    const struct segment_plan plan = {.app = "twin"};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* Many series are compared with none, and none with a process that has no segment. */
    if ((bench->series || bench->gauges) && segment_open(&plan, place, &segment, &ignored) < 0)
        _exit(1);
    while (read(connection, &turn, sizeof turn) == sizeof turn) {
        double ms = fork_ms();
        if (write(connection, &ms, sizeof ms) != sizeof ms)
            break;
    }
    _exit(1);
}

static int start_twin(struct twin *twin, const struct bench_case *bench,
                      const struct bench_place *place, struct bench_result *result)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return bench_fail_errno(result, "socketpair");
    twin->pid = fork();
    if (twin->pid == 0) {
        close(ends[0]);
        be_twin(bench, place, ends[1]);
    }
    close(ends[1]);
    twin->connection = ends[0];
    return twin->pid < 0 ? bench_fail_errno(result, "cannot fork") : 0;
}

/* Returns: ms for one of its forks, negative when it has ended. */
static double ask_twin(const struct twin *twin)
{
    double ms;
    if (write(twin->connection, "", 1) != 1 || read(twin->connection, &ms, sizeof ms) != sizeof ms)
        return -1;
    return ms;
}

static int fork_often(const struct twin *twin, const struct bench_place *place,
                      struct bench_result *result)
{
    struct sample sample = {0};
    for (unsigned i = 0; i < place->repeats; i++) {
        double limit = ask_twin(twin);
        if (limit < 0)
            return bench_fail(result, -ECHILD, "the process beside this one failed");
        sample_put(&sample, fork_ms(), limit);
    }
    sample_conclude(&sample, result);
    return 0;
}

static int run_fork(const struct bench_case *bench, const struct bench_place *place,
                    struct bench_result *result)
{
    smx_segment *segment;
    struct twin twin = {.connection = -1};
    int code = start_twin(&twin, bench, place, result);
    if (code == 0 && strcmp(bench->name, "fork_bare") != 0)
        code = open_with_gauges(bench, place, &segment, result);
    if (code == 0)
        code = fork_often(&twin, place, result);
    if (twin.pid > 0) {
        close(twin.connection);
        waitpid(twin.pid, NULL, 0);
    }
    return code;
}

/* Times of forks vary: what is the same comes out this much apart. */
#define UNCHANGED 1.2

const struct bench_case lifecycle_cases[] = {
    {"lifecycle", "register", BENCH_NS, .series = 100000, .reach = 1000 / LIMIT_ADD_NS,
     .run = run_register},
    {"lifecycle", "attach", BENCH_MS, .series = 100, .run = run_attach},
    {"lifecycle", "attach", BENCH_MS, .series = 100000, .reach = 1, .run = run_attach},
    {"lifecycle", "fork_bare", BENCH_MS, .run = run_fork},
    {"lifecycle", "fork", BENCH_MS, .run = run_fork},
    {"lifecycle", "fork", BENCH_MS, .series = 100000, .reach = UNCHANGED, .run = run_fork},
    {"lifecycle", "fork", BENCH_MS, .gauges = 10000, .when = BENCH_NORMAL, .reach = UNCHANGED,
     .run = run_fork},
    {0},
};
