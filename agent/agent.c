/* SPDX-License-Identifier: MIT
 *
 * agent.c - the wiring: directories, segments and signals, the HTTP server and what makes its
 * pages.
 */
#include "agent/agent.h"
#include "agent/system/descriptors.h"
#include "agent/segments/dirwatch.h"
#include "agent/system/notify.h"
#include "agent/pages/pages.h"
#include "agent/reload.h"
#include "agent/http/routes.h"
#include "agent/system/sandbox.h"
#include "agent/segments/segments.h"
#include "agent/vitals.h"
#include "agent/web/web.h"
#include "agent/workers/workers.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SETTLE_NS UINT64_C(20000000)   /* let a burst of changes in a directory pass */
#define DRAIN_NS  UINT64_C(5000000000) /* what a request in flight gets after SIGTERM */

#define PROBE_NS UINT64_C(10000000000) /* what --once waits for the prober */

struct agent {
    const struct options *options;
    const struct log *log;
    struct loop *loop;
    struct segments *segments;
    struct workers *workers;
    struct dirwatch *dirwatch; /* NULL: inotify was refused, only scrapes look */
    struct loop_timer settle_timer;
    bool unwatched; /* said that a watch was refused */

    struct pages *pages;
    struct routes routes;
    struct web *web;
    struct vitals vitals; /* of the last request that asked */
    struct sandbox sandbox;
    struct reload reload; /* has the configuration */
    struct notify notify;
    struct loop_timer log_timer; /* set while the log has something to tell of later */
    uint64_t started_ns;         /* CLOCK_MONOTONIC */
    bool draining;
};

static void forget_reader(void *context, smx_reader *reader)
{
    struct agent *agent = context;
    pages_forget(agent->pages, reader);
}

static void arm_watches(void *context)
{
    struct agent *agent = context;
    int rc = agent->dirwatch ? dirwatch_arm(agent->dirwatch) : 0;
    if (rc == 0 || agent->unwatched)
        return;
    agent->unwatched = true;
    LOG_WARN(agent->log, "a directory cannot be watched, it is looked at when scraped", "reason",
             strerror(-rc), "do",
             rc == -ENOSPC ? "raise fs.inotify.max_user_watches"
                           : "give the agent read permission");
}

static void scrape(void *context, const struct accepted *accepted, struct codings codings,
                   const struct http_request *request, struct http_reply *reply)
{
    struct agent *agent = context;
    pages_answer(agent->pages, &(struct pages_scrape){.accepted = *accepted, .codings = codings},
                 request, reply);
}

static void describe(void *context, struct status *out)
{
    struct agent *agent = context;
    pages_refresh(agent->pages);
    /* Without memory it is of the look before; or of none, and then it is incomplete. */
    (void)vitals_take(&agent->vitals, agent->segments, &agent->reload.config->health);
    *out = (struct status){.loop = loop_name(agent->loop),
                           .sandbox = &agent->sandbox,
                           .uptime_ns = loop_now_ns() - agent->started_ns,
                           .draining = agent->draining,
                           .looked = pages_looked(agent->pages),
                           .segments = agent->segments,
                           .health = &agent->vitals.health,
                           .workers = agent->workers};
    out->sockets = web_sockets(agent->web, &out->n_sockets);
    out->conflicts = pages_conflicts(agent->pages, &out->n_conflicts);
}

static void directories_changed(void *context)
{
    struct agent *agent = context;
    if (!agent->settle_timer.set)
        loop_timer_set(agent->loop, &agent->settle_timer, SETTLE_NS);
}

static void look_again(void *context)
{
    struct agent *agent = context;
    pages_look(agent->pages);
}

static int watch_directories(struct agent *agent)
{
    const char *paths[SETTINGS_DIRECTORIES_MAX];
    size_t n;
    const struct directory *list = segments_directories(agent->segments, &n);
    for (size_t i = 0; i < n && i < SETTINGS_DIRECTORIES_MAX; i++)
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

static void catch_up(void *context)
{
    struct agent *agent = context;
    uint64_t next = log_catch_up(agent->log);
    if (next != UINT64_MAX)
        loop_timer_set(agent->loop, &agent->log_timer, next);
}

static void log_waits(void *context)
{
    struct agent *agent = context;
    if (!agent->log_timer.set)
        loop_timer_set(agent->loop, &agent->log_timer, FOLD_WINDOW_NS);
}

static void watch_log(struct agent *agent)
{
    agent->log_timer = (struct loop_timer){.fire = catch_up, .context = agent};
    if (agent->log->memory) {
        agent->log->memory->waiting = log_waits;
        agent->log->memory->context = agent;
    }
}

static void unwatch_log(const struct agent *agent)
{
    if (agent->log->memory)
        agent->log->memory->waiting = NULL;
}

static int make_loop(struct agent *agent)
{
    int rc = loop_new(agent->options->loop, &agent->loop);
    if (rc < 0)
        LOG_ERROR(agent->log, "cannot make the event loop", "reason", strerror(-rc), "do",
                  agent->options->loop == LOOP_URING ? "io_uring is refused here: use --loop=auto"
                                                     : "raise the limits of the process");
    else
        watch_log(agent);
    return rc;
}

static struct descriptors share(const struct agent *agent)
{
    return descriptors_share(agent->reload.config->settings.connections);
}

/* Forks the prober: early. */
static int make_workers(struct agent *agent)
{
    const struct settings *settings = &agent->reload.config->settings;
    unsigned probe =
        (settings->workers_memory ? PROBE_MEMORY : 0u) | (settings->workers_io ? PROBE_IO : 0u);
    struct workers_options options = {
        .detail = settings->workers,
        .probe = probe && agent->options->no_sandbox ? probe | PROBE_FREELY : probe,
        .kept = share(agent).processes,
        .loop = agent->loop,
        .log = agent->log};
    return workers_new(&options, &agent->workers);
}

static int make_parts(struct agent *agent)
{
    const struct config *config = agent->reload.config;
    struct segments_options options = {.directories = config->settings.directories,
                                       .n_directories = config->settings.n_directories,
                                       .owner_bytes = config->settings.max_bytes,
                                       .most = share(agent).segments,
                                       .log = agent->log,
                                       .closing = forget_reader,
                                       .context = agent};
    struct pages_options pages = {.loop = agent->loop,
                                  .log = agent->log,
                                  .max_age_ns = config->settings.max_age_ns,
                                  .rules = reload_rules(config),
                                  .config = &agent->reload.result,
                                  .looking = arm_watches,
                                  .context = agent};
    int rc = segments_new(&options, &agent->segments);
    if (rc == 0)
        rc = make_workers(agent);
    pages.segments = agent->segments;
    pages.workers = agent->workers;
    if (rc == 0)
        rc = pages_new(&pages, &agent->pages);
    if (rc == 0)
        rc = watch_directories(agent);
    agent->reload.segments = agent->segments;
    agent->reload.dirwatch = agent->dirwatch;
    agent->reload.workers = agent->workers;
    agent->reload.pages = agent->pages;
    agent->reload.sandbox = &agent->sandbox;
    if (rc < 0)
        LOG_ERROR(agent->log, "cannot start", "reason", strerror(-rc));
    return rc;
}

int agent_new(const struct options *options, struct config *config, const struct log *log,
              struct agent **out)
{
    struct agent *agent = calloc(1, sizeof *agent);
    if (!agent) {
        LOG_ERROR(log, "cannot start", "reason", strerror(ENOMEM));
        config_free(config);
        return -ENOMEM;
    }
    agent->options = options;
    reload_init(&agent->reload, options, log, config);
    agent->log = log;
    agent->started_ns = loop_now_ns();
    agent->notify.fd = -1;
    agent->sandbox = (struct sandbox){.seccomp = "off", .landlock = "off"};
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

/* Those who wait for pages are answered before their server goes. */
void agent_free(struct agent *agent)
{
    if (!agent)
        return;
    if (agent->pages)
        pages_stop(agent->pages);
    web_free(agent->web);
    dirwatch_free(agent->dirwatch);
    segments_free(agent->segments);
    pages_free(agent->pages);
    workers_free(agent->workers);
    vitals_fini(&agent->vitals);
    notify_close(&agent->notify);
    unwatch_log(agent);
    loop_free(agent->loop);
    reload_fini(&agent->reload);
    free(agent);
}

static void stop_loop(void *context)
{
    struct agent *agent = context;
    loop_stop(agent->loop);
}

/* refused: why the configuration was not taken; NULL: it was. */
static void tell_ready(struct agent *agent, const char *refused)
{
    size_t n;
    const struct listen_socket *sockets = web_sockets(agent->web, &n);
    char status[LISTEN_NAME_SIZE + CONFIG_WHY_SIZE + 64];
    snprintf(status, sizeof status, "serving%s%s%s%s%s", n > 0 ? " at " : "",
             n > 0 ? sockets[0].name : "", n > 1 ? " and others" : "",
             refused ? "; the configuration was refused: " : "", refused ? refused : "");
    notify_ready(&agent->notify, status);
}

/* What has come or gone in the directories is looked at, too. */
static int reload(void *context, char why[CONFIG_WHY_SIZE])
{
    struct agent *agent = context;
    notify_reloading(&agent->notify);
    int rc = reload_run(&agent->reload, why);
    look_again(agent);
    tell_ready(agent, rc < 0 ? why : NULL);
    return rc;
}

static void hang_up(struct agent *agent)
{
    char why[CONFIG_WHY_SIZE];
    if (!agent->draining)
        reload(agent, why);
}

/* A second signal while requests are finishing ends them. */
static void signal_caught(void *context, int signal)
{
    struct agent *agent = context;
    if (signal == SIGHUP) {
        hang_up(agent);
        return;
    }
    if (agent->draining) {
        loop_stop(agent->loop);
        return;
    }
    LOG_INFO(agent->log, "stopping: finishing what is in flight", "signal", sigabbrev_np(signal));
    agent->draining = true;
    notify_stopping(&agent->notify, "finishing what is in flight");
    web_drain(agent->web, DRAIN_NS, stop_loop, agent);
}

static void measure_web(void *web, struct self_web *out)
{
    web_measure(web, out);
}

/* Of the default nobody needs to know that it is less where descriptors are scarce. */
static size_t count_connections(const struct agent *agent)
{
    char text[24];
    const uint64_t wanted = agent->reload.config->settings.connections;
    const size_t n = share(agent).connections;
    snprintf(text, sizeof text, "%zu", n);
    if (n < wanted && wanted != SETTINGS_DEFAULT_CONNECTIONS)
        LOG_WARN(agent->log, "fewer connections than were asked for: there are not the descriptors",
                 "connections", text, "do",
                 "raise the limit of open files (LimitNOFILE=, ulimit -n), or ask for fewer");
    return n;
}

int agent_listen(struct agent *agent)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    agent->routes = (struct routes){.scrape = scrape,
                                    .status = describe,
                                    .reload = agent->options->lifecycle ? reload : NULL,
                                    .context = agent};
    struct web_options options = {.loop = agent->loop,
                                  .log = agent->log,
                                  .options = agent->options,
                                  .rate = agent->reload.config->settings.rate,
                                  .connections = count_connections(agent),
                                  .is_probe = routes_is_probe,
                                  .answer = routes_answer,
                                  .answer_probe = routes_answer_probe,
                                  .context = &agent->routes};
    int rc = web_new(&options, &agent->web);
    if (rc < 0)
        return rc;
    agent->reload.web = agent->web;
    rc = loop_signals(agent->loop, &set, signal_caught, agent);
    if (rc < 0) {
        LOG_ERROR(agent->log, "cannot start", "reason", strerror(-rc));
        return rc;
    }
    notify_open(&agent->notify, agent->log);
    pages_serve(agent->pages, web_http(agent->web), measure_web, agent->web);
    return web_listen(agent->web);
}

static void log_sandbox(const struct agent *agent)
{
    LOG_INFO(agent->log, "sandboxed", "seccomp", agent->sandbox.seccomp, "landlock",
             agent->sandbox.landlock);
    if (geteuid() == 0)
        LOG_WARN(agent->log, "running as root, keeping the right to read every file", "do",
                 "run it as a user of its own, in the group of the segments' directory");
}

/* The sandbox, as it goes up from a file, must know where from. */
static bool make_absolute(const char *path, char out[PATH_MAX])
{
    char here[PATH_MAX];
    if (path[0] == '/')
        return (size_t)snprintf(out, PATH_MAX, "%s", path) < PATH_MAX;
    return getcwd(here, sizeof here) &&
           (size_t)snprintf(out, PATH_MAX, "%s/%s", here, path) < PATH_MAX;
}

/* Those of sockets that are removed at the end. */
static size_t list_paths(const struct web *web, const char *out[2 * HTTP_LISTEN_MAX])
{
    size_t n_main, n_probes, n = 0;
    const struct listen_socket *main = web_sockets(web, &n_main);
    const struct listen_socket *probes = web_probe_sockets(web, &n_probes);
    for (size_t i = 0; i < n_main + n_probes; i++) {
        const char *path = listen_path(i < n_main ? &main[i] : &probes[i - n_main]);
        if (path)
            out[n++] = path;
    }
    return n;
}

void agent_enter_sandbox(struct agent *agent)
{
    const char *directories[SETTINGS_DIRECTORIES_MAX], *sockets[2 * HTTP_LISTEN_MAX];
    const char *files[WEB_FILES_MAX + 1];
    char file[PATH_MAX];
    struct sandbox_needs needs = {.directories = directories, .files = files, .sockets = sockets};
    size_t n;
    const struct directory *list = segments_directories(agent->segments, &n);
    while (needs.n_directories < n && needs.n_directories < SETTINGS_DIRECTORIES_MAX) {
        directories[needs.n_directories] = list[needs.n_directories].path;
        needs.n_directories++;
    }
    if (agent->web) {
        needs.n_files = web_files(agent->web, files);
        needs.n_sockets = list_paths(agent->web, sockets);
    }
    if (agent->options->config_file && make_absolute(agent->options->config_file, file))
        files[needs.n_files++] = file;
    sandbox_enter(&needs, &agent->sandbox);
    log_sandbox(agent);
}

int agent_serve(struct agent *agent)
{
    pages_look(agent->pages);
    notify_watchdog(&agent->notify, agent->loop);
    tell_ready(agent, NULL);
    int rc = loop_run(agent->loop);
    if (rc < 0)
        LOG_ERROR(agent->log, "the event loop failed", "loop", loop_name(agent->loop), "reason",
                  strerror(-rc), "do", "try the other one, --loop=epoll or uring");
    return rc;
}

/* A page of which the prober has told its part, if there is one, or too late. */
static struct body *make_page(struct agent *agent)
{
    struct accepted text = accept_choose(NULL);
    struct body *body = pages_make(agent->pages, &text);
    uint64_t now = loop_now_ns(), end = now + PROBE_NS;
    if (!body || !workers_probing(agent->workers))
        return body;
    body_unref(body);
    while (workers_probing(agent->workers) && now < end && loop_turn(agent->loop, end - now) == 0)
        now = loop_now_ns();
    return pages_make(agent->pages, &text);
}

int agent_print(struct agent *agent, int fd)
{
    struct body *body = make_page(agent);
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
