/* SPDX-License-Identifier: MIT
 *
 * scrape.c - smx-agent itself, the program beside this one: a scrape over loopback HTTP, by a
 * client that keeps its connection, as it is and compressed; by 40 clients at once, until the last
 * has its answer; a small one beside others that scrape everything, on and on, of which the 99th
 * percentile counts; the CPU time that live processes add to a scrape; and the anonymous memory
 * that the agent takes, after some scrapes.
 */
#include "run/limit.h"
#include "run/page.h"
#include "run/sample.h"
#include "run/segment.h"
#include "tables/tables.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MIB = 1 << 20, LINE_BYTES = 160, SPARE_BYTES = 1 << 16 };
enum { WORKER_LINES = 10 }; /* of a process, and some of all of them */
enum { CROWD = 40, SMALL_SCRAPES = 300, SMALL_PAUSE_US = 5000 };

#define REQUEST(query, header) "GET /metrics" query " HTTP/1.1\r\nHost: localhost\r\n" header "\r\n"

static const char whole[] = REQUEST("", ""),
                  compressed[] = REQUEST("", "Accept-Encoding: gzip\r\n"),
                  small[] = REQUEST("?name[]=smx_agent_build_info", "");

struct visit {
    pid_t agent;
    int port;
    int connection;
    const char *request;
    struct limit_page limit;
    char *answer; /* of the last scrape, with a NUL */
    size_t room;
};

/* In the child: become the agent of this program's directory. option: one more. */
static void become_agent(const struct bench_place *place, const char *option, int out)
{
    char path[PATH_MAX];
    char segments[PATH_MAX + 32];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 16);
    if (length <= 0)
        _exit(127);
    path[length] = '\0';
    strcpy(strrchr(path, '/') + 1, "smx-agent");
    snprintf(segments, sizeof segments, "--segments.dir=%s", place->directory);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (dup2(out, STDERR_FILENO) >= 0)
        execl(path, path, "--web.listen-address=127.0.0.1:0", "--scrape.max-age=0", option,
              segments, (char *)NULL);
    _exit(127);
}

/* Start it and learn its port from what it logs. */
static int start_agent(struct visit *v, const struct bench_place *place, const char *option,
                       struct bench_result *result)
{
    int ends[2];
    char line[1024];
    if (pipe(ends) < 0)
        return bench_fail_errno(result, "pipe");
    v->agent = fork();
    if (v->agent == 0)
        become_agent(place, option, ends[1]);
    close(ends[1]);
    FILE *log = fdopen(ends[0], "r");
    while (v->agent > 0 && log && !v->port && fgets(line, sizeof line, log)) {
        const char *address = strstr(line, "address=127.0.0.1:");
        v->port = address ? atoi(strrchr(address, ':') + 1) : 0;
    }
    /* The descriptor stays open with this process: the agent must not meet a closed pipe. */
    return v->port ? 0 : bench_fail(result, -ENOTSUP, "smx-agent is not beside smx-bench");
}

static int connect_to(const struct visit *v, int *out, struct bench_result *result)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)v->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    *out = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (*out < 0 || connect(*out, (const struct sockaddr *)&address, sizeof address) < 0)
        return bench_fail_errno(result, "cannot connect to the agent");
    return 0;
}

/* Whether the answer is complete: its head says how long its body is. */
static bool is_whole(const char *answer, size_t have)
{
    const char *body = strstr(answer, "\r\n\r\n");
    const char *length = strcasestr(answer, "\r\nContent-Length:");
    return body && length && length < body &&
           have == (size_t)(body + 4 - answer) + strtoull(length + 17, NULL, 10);
}

static int ask(int connection, const char *request)
{
    return send(connection, request, strlen(request), MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* Take a whole answer. Returns: 0, or a negative errno. */
static int take(struct visit *v, int connection)
{
    size_t have = 0;
    v->answer[0] = '\0';
    do {
        ssize_t n = recv(connection, v->answer + have, v->room - have - 1, 0);
        if (n <= 0)
            return n < 0 ? -errno : -EPIPE;
        have += (size_t)n;
        v->answer[have] = '\0';
    } while (!is_whole(v->answer, have));
    return 0;
}

/* One scrape. Returns: milliseconds by the clock, or a negative errno. */
static double scrape(struct visit *v)
{
    uint64_t start = sample_now_ns();
    int code = ask(v->connection, v->request);
    if (code == 0)
        code = take(v, v->connection);
    return code < 0 ? code : (double)(sample_now_ns() - start) / 1e6;
}

static int scrape_often(struct visit *v, unsigned repeats, struct sample *sample,
                        struct bench_result *result)
{
    /* The first one renders the names, which are kept. */
    for (unsigned i = 0; i <= repeats; i++) {
        double limit = limit_page_write(&v->limit);
        double ms = scrape(v);
        if (ms < 0)
            return bench_fail(result, (int)ms, "a scrape failed: %s", strerror((int)-ms));
        if (i > 0)
            sample_put(sample, ms, limit);
    }
    return 0;
}

/* All ask at once; one after the other their answers are taken, which the agent sends to all. */
static int scrape_in_a_crowd(struct visit *v, unsigned repeats, struct sample *sample,
                             struct bench_result *result)
{
    int crowd[CROWD], n = 0, code = 0;
    while (n < CROWD && code == 0)
        code = connect_to(v, &crowd[n++], result);
    for (unsigned i = 0; i <= repeats && code == 0; i++) {
        double limit = limit_page_write(&v->limit);
        uint64_t start = sample_now_ns();
        for (int k = 0; k < CROWD && code == 0; k++)
            code = ask(crowd[k], whole);
        for (int k = 0; k < CROWD && code == 0; k++)
            code = take(v, crowd[k]);
        if (i > 0)
            sample_put(sample, (double)(sample_now_ns() - start) / 1e6, limit);
    }
    while (n > 0)
        close(crowd[--n]);
    return code < 0 ? bench_fail(result, code, "a scrape failed: %s", strerror(-code)) : 0;
}

/* Another process that scrapes everything, on and on. */
static pid_t start_beside(struct visit *v, struct bench_result *result)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int code = connect_to(v, &v->connection, result);
    for (unsigned i = 0; code == 0; i++) {
        v->request = i % 2 ? compressed : whole;
        code = scrape(v) < 0;
    }
    _exit(1);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int scrape_beside(struct visit *v, struct sample *sample, struct bench_result *result)
{
    double ms[SMALL_SCRAPES];
    double first = scrape(v); /* which renders the names */
    pid_t beside = first < 0 ? -1 : start_beside(v, result);
    v->request = small;
    for (int i = 0; i < SMALL_SCRAPES && beside > 0; i++) {
        ms[i] = scrape(v);
        if (ms[i] < 0)
            first = ms[i];
        usleep(SMALL_PAUSE_US);
    }
    if (beside > 0) {
        kill(beside, SIGKILL);
        waitpid(beside, NULL, 0);
    }
    if (beside < 0 || first < 0)
        return bench_fail(result, -EIO, "a scrape failed");
    qsort(ms, SMALL_SCRAPES, sizeof ms[0], by_size);
    sample_put(sample, ms[SMALL_SCRAPES * 99 / 100], 0);
    return 0;
}

/* Nanoseconds of CPU time of a process. */
static double cpu_of(pid_t pid)
{
    char path[64];
    double ns = 0;
    snprintf(path, sizeof path, "/proc/%d/schedstat", (int)pid);
    FILE *file = fopen(path, "re");
    if (file && fscanf(file, "%lf", &ns) != 1)
        ns = 0;
    if (file)
        fclose(file);
    return ns;
}

/* Processes that hold a slot each and do nothing; they end with this one. */
static int start_workers(unsigned n, struct bench_result *result)
{
    for (unsigned i = 0; i < n; i++) {
        pid_t pid = fork();
        if (pid < 0)
            return bench_fail_errno(result, "fork");
        if (pid > 0)
            continue;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            pause();
    }
    return 0;
}

/* CPU time of each scrape by an agent that tells of processes, or not, in ms. */
static int scrape_workers(struct visit *v, const struct bench_place *place, const char *detail,
                          struct sample *sample, struct bench_result *result)
{
    int code = start_agent(v, place, detail, result);
    if (code == 0)
        code = connect_to(v, &v->connection, result);
    v->request = whole;
    for (unsigned i = 0; i <= place->repeats && code == 0; i++) {
        double before = cpu_of(v->agent);
        if (scrape(v) < 0)
            code = bench_fail(result, -EIO, "a scrape failed");
        else if (i > 0)
            sample_put(sample, (cpu_of(v->agent) - before) / 1e6, 0);
    }
    return code;
}

static void end_visit(struct visit *v)
{
    if (v->connection >= 0)
        close(v->connection);
    if (v->agent > 0) {
        kill(v->agent, SIGTERM);
        waitpid(v->agent, NULL, 0);
    }
    v->connection = -1;
    v->agent = 0;
    v->port = 0;
}

/* What processes add to a scrape. */
static int run_workers(const struct bench_case *bench, const struct bench_place *place,
                       struct bench_result *result)
{
    smx_segment *segment;
    struct bench_result without = {0};
    struct sample off = {0}, each = {0};
    struct visit v = {.room = (size_t)bench->procs * WORKER_LINES * LINE_BYTES + SPARE_BYTES,
                      .connection = -1};
    v.answer = malloc(v.room);
    if (!v.answer)
        return bench_fail(result, -ENOMEM, "no memory");
    int code = segment_open(&(struct segment_plan){.rows = 2}, place, &segment, result);
    if (code == 0)
        code = start_workers(bench->procs, result);
    if (code == 0)
        code = scrape_workers(&v, place, "--workers.detail=off", &off, result);
    end_visit(&v);
    if (code == 0)
        code = scrape_workers(&v, place, "--workers.detail=each", &each, result);
    end_visit(&v);
    free(v.answer);
    if (code < 0)
        return code;
    sample_conclude(&off, &without);
    for (unsigned i = 0; i < each.n; i++)
        each.at[i] -= without.median;
    sample_conclude(&each, result);
    return 0;
}

static bool is_called(const struct bench_case *bench, const char *name)
{
    return strcmp(bench->name, name) == 0;
}

static int scrape_as(struct visit *v, const struct bench_case *bench, unsigned repeats,
                     struct sample *sample, struct bench_result *result)
{
    v->request = is_called(bench, "scrape_http_gzip") ? compressed : whole;
    if (is_called(bench, "scrape_http_40"))
        return scrape_in_a_crowd(v, repeats, sample, result);
    if (is_called(bench, "small_beside_large_p99"))
        return scrape_beside(v, sample, result);
    return scrape_often(v, repeats, sample, result);
}

/* RssAnon of the agent, in bytes. */
static double anonymous_memory(pid_t pid)
{
    char path[64];
    char line[256];
    double bytes = -1;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *status = fopen(path, "re");
    while (status && fgets(line, sizeof line, status))
        if (strncmp(line, "RssAnon:", 8) == 0)
            bytes = strtod(line + 8, NULL) * 1024;
    if (status)
        fclose(status);
    return bytes;
}

static int fill(const struct bench_case *bench, const struct bench_place *place, uint64_t *total,
                struct bench_result *result)
{
    smx_segment *segment;
    smx_counter *counters = calloc(bench->series, sizeof *counters);
    const struct segment_plan plan = {.counters = bench->series, .rows = 2};
    if (!counters)
        return bench_fail(result, -ENOMEM, "no memory for the handles");
    int code = segment_open(&plan, place, &segment, result);
    if (code == 0)
        code = segment_counters(segment, counters, bench->series, result);
    for (uint64_t i = 0; i < bench->series && code == 0; i++) {
        uint64_t n = i * 2654435761u % 100000000;
        smx_counter_add(counters[i], n);
        *total += n;
    }
    free(counters);
    return code;
}

static int visit(struct visit *v, const struct bench_case *bench, const struct bench_place *place,
                 struct bench_result *result)
{
    uint64_t total = 0;
    struct sample sample = {0};
    /* Each scrape shall be measured, and nobody's share of another; but where some share. */
    const char *option = is_called(bench, "small_beside_large_p99") ? "--scrape.max-age=100ms"
                                                                    : "--scrape.max-age=0";
    int code = limit_page_init(&v->limit, bench->series + 1);
    if (code < 0)
        return bench_fail(result, code, "no memory for the limit's page");
    if (bench->series)
        code = fill(bench, place, &total, result);
    if (code == 0)
        code = start_agent(v, place, option, result);
    if (code == 0)
        code = connect_to(v, &v->connection, result);
    if (code == 0)
        code = scrape_as(v, bench, place->repeats, &sample, result);
    if (code < 0)
        return code;
    result->counts = bench->exact;
    if (bench->exact)
        result->lost = (int64_t)(total - page_total(v->answer, "bench_requests_total{"));
    if (bench->unit == BENCH_MS)
        sample_conclude(&sample, result);
    else
        result->median = result->min = result->max = anonymous_memory(v->agent);
    return 0;
}

static int run(const struct bench_case *bench, const struct bench_place *place,
               struct bench_result *result)
{
    struct visit v = {.room = bench->series * LINE_BYTES + SPARE_BYTES, .connection = -1};
    v.answer = malloc(v.room);
    int code =
        v.answer ? visit(&v, bench, place, result) : bench_fail(result, -ENOMEM, "no memory");
    end_visit(&v);
    limit_page_fini(&v.limit);
    free(v.answer);
    return code;
}

const struct bench_case scrape_cases[] = {
    {"scrape", "scrape_http", BENCH_MS, .exact = true, .series = 10000, .reach = 1 / LIMIT_10K_MS,
     .run = run},
    {"scrape", "scrape_http", BENCH_MS, .exact = true, .series = 100000, .reach = 6 / LIMIT_100K_MS,
     .run = run},
    {"scrape", "scrape_http_gzip", BENCH_MS, .series = 100000, .run = run},
    {"scrape", "scrape_http_40", BENCH_MS, .exact = true, .series = 100000, .run = run},
    {"scrape", "small_beside_large_p99", BENCH_MS, BENCH_NORMAL, .series = 1000000, .run = run},
    {"workers", "workers_read", BENCH_MS, .procs = 1000, .reach = 20, .run = run_workers},
    {"memory", "agent_memory", BENCH_BYTES, .reach = 2 * MIB, .run = run},
    {"memory", "agent_memory", BENCH_BYTES, .exact = true, .series = 10000, .reach = 12 * MIB,
     .run = run},
    {0},
};
