/* SPDX-License-Identifier: MIT
 *
 * agent.c - smx-agent itself, the program beside this one: a scrape over loopback HTTP, by a client
 * that keeps its connection, and the anonymous memory that it takes, after some scrapes.
 */
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

enum { LINE_BYTES = 160, SPARE_BYTES = 1 << 16 };

struct visit {
    pid_t agent;
    int port;
    int connection;
    char *answer; /* of the last scrape, with a NUL */
    size_t room;
};

/* In the child: become the agent of this program's directory. */
static void become_agent(const struct bench_place *place, int out)
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
        execl(path, path, "--web.listen-address=127.0.0.1:0", "--scrape.max-age=0", segments,
              (char *)NULL);
    _exit(127);
}

/* Start it and learn its port from what it logs. */
static int start_agent(struct visit *v, const struct bench_place *place,
                       struct bench_result *result)
{
    int ends[2];
    char line[1024];
    if (pipe(ends) < 0)
        return bench_fail_errno(result, "pipe");
    v->agent = fork();
    if (v->agent == 0)
        become_agent(place, ends[1]);
    close(ends[1]);
    FILE *log = fdopen(ends[0], "r");
    while (v->agent > 0 && log && !v->port && fgets(line, sizeof line, log)) {
        const char *address = strstr(line, "address=127.0.0.1:");
        v->port = address ? atoi(strrchr(address, ':') + 1) : 0;
    }
    /* The descriptor stays open with this process: the agent must not meet a closed pipe. */
    return v->port ? 0 : bench_fail(result, -ENOTSUP, "smx-agent is not beside smx-bench");
}

static int connect_to(struct visit *v, struct bench_result *result)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)v->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    v->connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (v->connection < 0 ||
        connect(v->connection, (const struct sockaddr *)&address, sizeof address) < 0)
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

/* One scrape. Returns: milliseconds by the clock, or a negative errno. */
static double scrape(struct visit *v)
{
    static const char request[] = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    size_t have = 0;
    uint64_t start = sample_now_ns();
    if (send(v->connection, request, sizeof request - 1, MSG_NOSIGNAL) < 0)
        return -errno;
    v->answer[0] = '\0';
    do {
        ssize_t n = recv(v->connection, v->answer + have, v->room - have - 1, 0);
        if (n <= 0)
            return n < 0 ? -errno : -EPIPE;
        have += (size_t)n;
        v->answer[have] = '\0';
    } while (!is_whole(v->answer, have));
    return (double)(sample_now_ns() - start) / 1e6;
}

static int scrape_often(struct visit *v, unsigned repeats, struct sample *sample,
                        struct bench_result *result)
{
    /* The first one renders the names, which are kept. */
    for (unsigned i = 0; i <= repeats; i++) {
        double ms = scrape(v);
        if (ms < 0)
            return bench_fail(result, (int)ms, "a scrape failed: %s", strerror((int)-ms));
        if (i > 0)
            sample_put(sample, ms);
    }
    return 0;
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
    int code = bench->series ? fill(bench, place, &total, result) : 0;
    if (code == 0)
        code = start_agent(v, place, result);
    if (code == 0)
        code = connect_to(v, result);
    if (code == 0)
        code = scrape_often(v, place->repeats, &sample, result);
    if (code < 0)
        return code;
    result->counts = true;
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
    if (v.connection >= 0)
        close(v.connection);
    if (v.agent > 0) {
        kill(v.agent, SIGTERM);
        waitpid(v.agent, NULL, 0);
    }
    free(v.answer);
    return code;
}

const struct bench_case agent_cases[] = {
    {"agent", "scrape_http", BENCH_MS, .exact = true, .series = 10000, .run = run},
    {"agent", "scrape_http", BENCH_MS, .exact = true, .series = 100000, .run = run},
    {"agent", "agent_memory", BENCH_BYTES, .run = run},
    {"agent", "agent_memory", BENCH_BYTES, .exact = true, .series = 10000, .run = run},
    {0},
};
