/* SPDX-License-Identifier: MIT
 *
 * agent.c - the wiring: directories and requests make a scrape, a scrape is update, gather, encode.
 *
 * The segments are read at most once a turn of the loop, and so is each format encoded: requests
 * that the loop found together share the bytes. No snapshot outlives its turn. Where scrapers take
 * their answers so slowly that these hold much memory, the next ones share the last for a second.
 */
#include "agent/agent.h"
#include "agent/descriptors.h"
#include "agent/segments/dirwatch.h"
#include "agent/gather/gather.h"
#include "agent/http/http.h"
#include "agent/http/listen.h"
#include "agent/once.h"
#include "agent/page.h"
#include "agent/http/routes.h"
#include "agent/sandbox.h"
#include "agent/segments/segments.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NEVER     UINT64_MAX
#define SETTLE_NS UINT64_C(20000000)   /* let a burst of changes in a directory pass */
#define DRAIN_NS  UINT64_C(5000000000) /* what a request in flight gets after SIGTERM */
#define SHARE_NS  UINT64_C(1000000000) /* how old a shared scrape may be */

/* Of a connection, and of all of them. */
#define REQUEST_NS UINT64_C(30000000000)
#define ANSWER_NS  UINT64_C(60000000000)
enum { ANSWER_BYTES = 64 << 20 };

struct agent {
    const struct options *options;
    const struct log *log;
    struct loop *loop;
    struct segments *segments;
    struct dirwatch *dirwatch; /* NULL: inotify was refused, only scrapes look */
    struct loop_timer settle_timer;
    bool unwatched; /* said that a watch was refused */

    struct gather *gather;
    struct gather_source *sources;
    const struct snapshot *snapshot;
    struct page pages[EXPOSITION_COUNT][ESCAPING_COUNT];
    bool messages, escapings[ESCAPING_COUNT]; /* gathered, too */
    uint64_t read_turn, gathered_turn;        /* or NEVER */
    struct self_stats self;
    struct once conflicts;

    struct routes routes;
    struct http *http;
    struct listen_socket sockets[HTTP_LISTEN_MAX];
    size_t n_sockets;
    struct sandbox sandbox;
    uint64_t started_ns; /* CLOCK_MONOTONIC */
    bool draining;
};

static void forget_reader(void *context, smx_reader *reader)
{
    struct agent *agent = context;
    gather_forget(agent->gather, reader);
}

static void expire(struct agent *agent)
{
    agent->read_turn = NEVER;
    agent->gathered_turn = NEVER;
    for (size_t i = 0; i < EXPOSITION_COUNT; i++)
        for (size_t k = 0; k < ESCAPING_COUNT; k++)
            agent->pages[i][k].made_ns = 0;
}

static void arm_watches(struct agent *agent)
{
    int rc = agent->dirwatch ? dirwatch_arm(agent->dirwatch) : 0;
    if (rc == 0 || agent->unwatched)
        return;
    agent->unwatched = true;
    LOG_WARN(agent->log, "a directory cannot be watched, it is looked at when scraped", "reason",
             strerror(-rc), "do",
             rc == -ENOSPC ? "raise fs.inotify.max_user_watches"
                           : "give the agent read permission");
}

/* Update the readers, unless that has happened in this turn. What was gathered from them is then
 * no longer valid. */
static void read_segments(struct agent *agent)
{
    if (agent->read_turn == loop_turns(agent->loop))
        return;
    expire(agent);
    arm_watches(agent);
    uint64_t begin = loop_now_ns();
    segments_update(agent->segments);
    agent->self.phase_ns[SELF_UPDATE] = loop_now_ns() - begin;
    agent->read_turn = loop_turns(agent->loop);
}

static void log_conflicts(struct agent *agent)
{
    size_t n;
    const struct gather_conflict *list = gather_conflicts(agent->gather, &n);
    for (size_t i = 0; i < n; i++) {
        char key[512];
        snprintf(key, sizeof key, "%s %s %s %s", list[i].name, list[i].app, list[i].instance,
                 list[i].reason);
        if (once_is_new(&agent->conflicts, key))
            LOG_WARN(agent->log, "family left out", "family", list[i].name, "app", list[i].app,
                     "instance", list[i].instance[0] ? list[i].instance : NULL, "reason",
                     list[i].why, "do", "rename it in one of the applications, or make it smaller");
    }
}

static int collect_sources(struct agent *agent, size_t *n)
{
    size_t n_segments;
    const struct segment *list = segments_list(agent->segments, &n_segments);
    struct gather_source *sources =
        realloc(agent->sources, (n_segments + 1) * sizeof *agent->sources);
    if (!sources)
        return -ENOMEM;
    agent->sources = sources;
    *n = 0;
    for (size_t i = 0; i < n_segments; i++)
        if (list[i].state == SEGMENT_SERVED)
            sources[(*n)++].reader = list[i].reader;
    return 0;
}

static int gather(struct agent *agent)
{
    size_t n;
    read_segments(agent);
    if (agent->gathered_turn == agent->read_turn)
        return 0;
    int rc = collect_sources(agent, &n);
    if (rc < 0)
        return rc;
    uint64_t begin = loop_now_ns();
    agent->self.segments = segments_by_state(agent->segments, &agent->self.n_segments);
    agent->self.errors = segments_errors(agent->segments, &agent->self.n_errors);
    agent->self.segments_left_out = segments_left_out(agent->segments);
    if (agent->http)
        agent->self.connections = http_connections(agent->http);
    self_measure(&agent->self.process);
    rc = gather_run(agent->gather, agent->sources, n, &agent->self, &agent->snapshot);
    if (rc < 0)
        return rc;
    agent->self.phase_ns[SELF_GATHER] = loop_now_ns() - begin;
    agent->gathered_turn = agent->read_turn;
    log_conflicts(agent);
    return 0;
}

static struct page *page_of(struct agent *agent, const struct accepted *accepted)
{
    return &agent->pages[accepted->format][accepted->escaping];
}

static int encode(struct agent *agent, const struct accepted *accepted)
{
    struct page *page = page_of(agent, accepted);
    uint64_t begin = loop_now_ns();
    int rc = page_encode(page, accepted, agent->snapshot);
    if (rc < 0)
        return rc;
    agent->self.phase_ns[SELF_ENCODE] = loop_now_ns() - begin;
    page->turn = agent->gathered_turn;
    page->made_ns = begin;
    return 0;
}

static bool may_share(const struct agent *agent, const struct page *page)
{
    return page->made_ns > 0 && agent->http && http_strained(agent->http) &&
           loop_now_ns() - page->made_ns < SHARE_NS;
}

/* What has not been asked for before is not in what was gathered in this turn. */
static void want(struct agent *agent, const struct accepted *accepted)
{
    if (accepted->format == EXPOSITION_PROTOBUF && !agent->messages) {
        gather_messages(agent->gather);
        agent->messages = true;
        agent->gathered_turn = NEVER;
    }
    if (accepted->escaping != ESCAPING_UNDERSCORES && !agent->escapings[accepted->escaping]) {
        gather_escaping(agent->gather, accepted->escaping);
        agent->escapings[accepted->escaping] = true;
        agent->gathered_turn = NEVER;
    }
}

static int prepare(struct agent *agent, const struct accepted *accepted)
{
    const struct page *page = page_of(agent, accepted);
    if (may_share(agent, page))
        return 0;
    want(agent, accepted);
    int rc = gather(agent);
    if (rc == 0 && (page->made_ns == 0 || page->turn != agent->gathered_turn))
        rc = encode(agent, accepted);
    return rc;
}

static int pack(struct agent *agent, struct page *page)
{
    uint64_t begin = loop_now_ns();
    if (page->packed)
        return 0;
    int rc = page_pack(page);
    agent->self.phase_ns[SELF_COMPRESS] = loop_now_ns() - begin;
    return rc;
}

static struct body *scrape(void *context, const struct accepted *accepted, struct codings codings,
                           bool *gzip)
{
    struct agent *agent = context;
    struct page *page = page_of(agent, accepted);
    int rc = prepare(agent, accepted);
    *gzip = rc == 0 && page_wants_gzip(page, codings);
    if (*gzip)
        rc = pack(agent, page);
    if (rc < 0) {
        LOG_ERROR(agent->log, "scrape failed", "reason", strerror(-rc));
        return NULL;
    }
    agent->self.scrapes[accepted->format]++;
    return body_ref(*gzip ? page->gzip : page->plain);
}

static void describe(void *context, struct status *out)
{
    struct agent *agent = context;
    read_segments(agent);
    *out = (struct status){.loop = loop_name(agent->loop),
                           .sandbox = &agent->sandbox,
                           .uptime_ns = loop_now_ns() - agent->started_ns,
                           .draining = agent->draining,
                           .sockets = agent->sockets,
                           .n_sockets = agent->n_sockets,
                           .segments = agent->segments};
    if (agent->gathered_turn == agent->read_turn || gather(agent) == 0)
        out->conflicts = gather_conflicts(agent->gather, &out->n_conflicts);
}

static void directories_changed(void *context)
{
    struct agent *agent = context;
    if (!agent->settle_timer.set)
        loop_timer_set(agent->loop, &agent->settle_timer, SETTLE_NS);
}

static void look_again(void *context)
{
    read_segments(context);
}

static int watch_directories(struct agent *agent)
{
    const char *paths[OPTIONS_DIRECTORIES_MAX];
    size_t n;
    const struct directory *list = segments_directories(agent->segments, &n);
    for (size_t i = 0; i < n && i < OPTIONS_DIRECTORIES_MAX; i++)
        paths[i] = list[i].path;
    agent->settle_timer = (struct loop_timer){.fire = look_again, .context = agent};
    int rc = dirwatch_new(agent->loop, paths, n, directories_changed, agent, &agent->dirwatch);
    if (rc < 0 && rc != -ENOMEM) {
        LOG_WARN(agent->log, "inotify refused: directories are looked at when scraped", "reason",
                 strerror(-rc), "do", "raise fs.inotify.max_user_instances");
        return 0;
    }
    return rc;
}

/* A directory that was asked for and cannot be read will not get better by waiting. */
static int check_directories(const struct agent *agent)
{
    size_t n;
    const struct directory *list = segments_directories(agent->segments, &n);
    for (size_t i = 0; i < n; i++)
        if (!list[i].by_default && list[i].state == DIRECTORY_REFUSED)
            return -EACCES; /* segments.c has logged it */
    return 0;
}

static uint64_t wall_clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int make_loop(struct agent *agent)
{
    int rc = loop_new(agent->options->loop, &agent->loop);
    if (rc < 0)
        LOG_ERROR(agent->log, "cannot make the event loop", "reason", strerror(-rc), "do",
                  agent->options->loop == LOOP_URING ? "io_uring is refused here: use --loop=auto"
                                                     : "raise the limits of the process");
    return rc;
}

static int make_parts(struct agent *agent)
{
    struct segments_options options = {.directories = agent->options->directories,
                                       .n_directories = agent->options->n_directories,
                                       .owner_bytes = agent->options->max_bytes,
                                       .most = descriptors_share().segments,
                                       .log = agent->log,
                                       .closing = forget_reader,
                                       .context = agent};
    int rc = gather_new(&agent->gather);
    if (rc == 0)
        gather_bounds(agent->gather,
                      (struct edges_wishes){agent->options->bounds, agent->options->n_bounds});
    if (rc == 0 && agent->options->created_samples)
        gather_created(agent->gather);
    if (rc == 0)
        rc = segments_new(&options, &agent->segments);
    if (rc == 0)
        rc = watch_directories(agent);
    if (rc < 0)
        LOG_ERROR(agent->log, "cannot start", "reason", strerror(-rc));
    return rc;
}

int agent_new(const struct options *options, const struct log *log, struct agent **out)
{
    struct agent *agent = calloc(1, sizeof *agent);
    if (!agent) {
        LOG_ERROR(log, "cannot start", "reason", strerror(ENOMEM));
        return -ENOMEM;
    }
    agent->options = options;
    agent->log = log;
    agent->started_ns = loop_now_ns();
    agent->self = (struct self_stats){
        .version = SMX_VERSION, .revision = SMX_REVISION, .started_ns = wall_clock_ns()};
    agent->sandbox = (struct sandbox){.seccomp = "off", .landlock = "off"};
    expire(agent);
    int rc = make_loop(agent);
    if (rc == 0)
        rc = make_parts(agent);
    if (rc == 0) {
        segments_scan(agent->segments);
        rc = check_directories(agent);
    }
    if (rc < 0) {
        agent_free(agent);
        return rc;
    }
    *out = agent;
    return 0;
}

/* The sockets are closed after http, which forgets them first. */
void agent_free(struct agent *agent)
{
    if (!agent)
        return;
    http_free(agent->http);
    for (size_t i = 0; i < agent->n_sockets; i++)
        listen_close(&agent->sockets[i]);
    dirwatch_free(agent->dirwatch);
    segments_free(agent->segments);
    gather_free(agent->gather);
    for (size_t i = 0; i < EXPOSITION_COUNT; i++)
        for (size_t k = 0; k < ESCAPING_COUNT; k++)
            page_fini(&agent->pages[i][k]);
    once_fini(&agent->conflicts);
    free(agent->sources);
    loop_free(agent->loop);
    free(agent);
}

/* An agent that was killed may still be seen for some milliseconds: its io_uring, which the kernel
 * takes down behind the process' end, has hold of the sockets. */
static int open_patiently(const char *address, struct listen_socket *out, char why[LISTEN_WHY_SIZE])
{
    enum { TRIES = 100 };
    const struct timespec pause = {.tv_nsec = 20000000};
    int rc = listen_open(address, out, why);
    for (int i = 0; rc == -EADDRINUSE && i < TRIES; i++) {
        nanosleep(&pause, NULL);
        rc = listen_open(address, out, why);
    }
    return rc;
}

static int listen_at(struct agent *agent, const char *address)
{
    char why[LISTEN_WHY_SIZE];
    struct listen_socket *socket = &agent->sockets[agent->n_sockets];
    int rc = open_patiently(address, socket, why);
    if (rc < 0) {
        LOG_ERROR(agent->log, "cannot listen", "address", address, "reason", why);
        return rc;
    }
    agent->n_sockets++;
    rc = http_listen(agent->http, socket->fd);
    if (rc < 0) {
        LOG_ERROR(agent->log, "cannot serve", "address", address, "reason", strerror(-rc));
        return rc;
    }
    LOG_INFO(agent->log, "listening", "address", socket->name, "loop", loop_name(agent->loop));
    return 0;
}

static void stop_loop(void *context)
{
    struct agent *agent = context;
    loop_stop(agent->loop);
}

/* A second signal while requests are finishing ends them. There is no configuration to read again
 * at SIGHUP, but whoever sends it does not want the agent to end. */
static void signal_caught(void *context, int signal)
{
    struct agent *agent = context;
    if (signal == SIGHUP) {
        look_again(agent);
        return;
    }
    if (agent->draining) {
        loop_stop(agent->loop);
        return;
    }
    LOG_INFO(agent->log, "stopping: finishing what is in flight", "signal", sigabbrev_np(signal));
    agent->draining = true;
    http_drain(agent->http, DRAIN_NS, stop_loop, agent);
    for (size_t i = 0; i < agent->n_sockets; i++)
        listen_close(&agent->sockets[i]);
    agent->n_sockets = 0;
}

int agent_listen(struct agent *agent)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    agent->routes = (struct routes){.scrape = scrape, .status = describe, .context = agent};
    struct http_options options = {.loop = agent->loop,
                                   .log = agent->log,
                                   .limits = {.connections = descriptors_share().connections,
                                              .request_ns = REQUEST_NS,
                                              .answer_ns = ANSWER_NS,
                                              .answer_bytes = ANSWER_BYTES},
                                   .answer = routes_answer,
                                   .context = &agent->routes};
    int rc = http_new(&options, &agent->http);
    if (rc == 0)
        rc = loop_signals(agent->loop, &set, signal_caught, agent);
    if (rc < 0) {
        LOG_ERROR(agent->log, "cannot start", "reason", strerror(-rc));
        return rc;
    }
    for (size_t i = 0; i < agent->options->n_listen && rc == 0; i++)
        rc = listen_at(agent, agent->options->listen[i]);
    return rc;
}

static void log_sandbox(const struct agent *agent)
{
    LOG_INFO(agent->log, "sandboxed", "seccomp", agent->sandbox.seccomp, "landlock",
             agent->sandbox.landlock);
    if (geteuid() == 0)
        LOG_WARN(agent->log, "running as root, keeping the right to read every file", "do",
                 "run it as a user of its own, in the group of the segments' directory");
}

void agent_enter_sandbox(struct agent *agent)
{
    const char *directories[OPTIONS_DIRECTORIES_MAX], *sockets[HTTP_LISTEN_MAX];
    struct sandbox_needs needs = {.directories = directories, .sockets = sockets};
    size_t n;
    const struct directory *list = segments_directories(agent->segments, &n);
    while (needs.n_directories < n && needs.n_directories < OPTIONS_DIRECTORIES_MAX) {
        directories[needs.n_directories] = list[needs.n_directories].path;
        needs.n_directories++;
    }
    for (size_t i = 0; i < agent->n_sockets; i++) {
        const char *path = listen_path(&agent->sockets[i]);
        if (path)
            sockets[needs.n_sockets++] = path;
    }
    sandbox_enter(&needs, &agent->sandbox);
    log_sandbox(agent);
}

int agent_serve(struct agent *agent)
{
    read_segments(agent);
    int rc = loop_run(agent->loop);
    if (rc < 0)
        LOG_ERROR(agent->log, "the event loop failed", "loop", loop_name(agent->loop), "reason",
                  strerror(-rc), "do", "try the other one, --loop=epoll or uring");
    return rc;
}

int agent_print(struct agent *agent, int fd)
{
    bool gzip;
    struct accepted text = accept_choose(NULL);
    struct body *body = scrape(agent, &text, accept_codings(NULL), &gzip);
    if (!body)
        return -ENOMEM;
    int rc = 0;
    for (size_t sent = 0; sent < body->bytes.length && rc == 0;) {
        ssize_t n = write(fd, body->bytes.at + sent, body->bytes.length - sent);
        if (n >= 0)
            sent += (size_t)n;
        else if (errno != EINTR)
            rc = -errno;
    }
    body_unref(body);
    if (rc < 0)
        LOG_ERROR(agent->log, "cannot write the scrape", "reason", strerror(-rc));
    return rc;
}
