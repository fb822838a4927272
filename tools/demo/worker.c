/* SPDX-License-Identifier: MIT
 *
 * worker.c - a worker process: an epoll loop over the shared listening socket, its connections, and
 * a signalfd for SIGTERM. On SIGTERM it drains: accepts no more, closes idle connections, answers
 * what has begun, and gives up on slow clients after a while.
 *
 * It does not time out idle connections and speaks no TLS: it is a demonstration.
 */
#include "worker.h"

#include "connection.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS = 256, EVENTS = 64, TURN_MS = 1000, DRAIN_SECONDS = 5 };

struct worker {
    int epoll;
    int listener;
    int signals;
    bool listening;
    time_t drain_until;
    struct service service;
    unsigned n_connections;
    struct connection connections[CONNECTIONS];
};

static time_t now_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return t.tv_sec;
}

/* Not EPOLLEXCLUSIVE: it wakes the same idle worker each time, who then gets all connections. */
static int listen_on(struct worker *w)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &w->listener};
    w->listening = epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->listener, &event) == 0;
    return w->listening ? 0 : -errno;
}

static void listen_off(struct worker *w)
{
    if (w->listening)
        epoll_ctl(w->epoll, EPOLL_CTL_DEL, w->listener, NULL);
    w->listening = false;
}

static void set_connections(struct worker *w, unsigned n)
{
    w->n_connections = n;
    smx_gauge_set(w->service.metrics->connections, n);
}

static void drop(struct worker *w, struct connection *c)
{
    connection_fini(c);
    set_connections(w, w->n_connections - 1);
    if (!w->listening && !w->service.draining)
        (void)listen_on(w);
}

static struct connection *find_free(struct worker *w)
{
    for (struct connection *c = w->connections; c < w->connections + CONNECTIONS; c++)
        if (c->fd < 0)
            return c;
    return NULL;
}

/* One connection for each turn of the loop, so that the other workers get theirs. */
static void accept_one(struct worker *w)
{
    int fd = accept4(w->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    struct connection *c = find_free(w);
    connection_init(c, fd);
    set_connections(w, w->n_connections + 1);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
    if (epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        drop(w, c);
    else if (w->n_connections == CONNECTIONS)
        listen_off(w);
}

/* A request that has arrived is answered, and a client that has just connected may send its first
 * one: only connections between two requests are closed at once. */
static void drain(struct worker *w)
{
    w->service.draining = true;
    w->drain_until = now_seconds() + DRAIN_SECONDS;
    listen_off(w);
    for (struct connection *c = w->connections; c < w->connections + CONNECTIONS; c++)
        if (c->fd >= 0 && (!connection_run(c, &w->service) || connection_idle(c)))
            drop(w, c);
}

static void take_event(struct worker *w, void *source)
{
    if (source == &w->signals) {
        struct signalfd_siginfo info;
        if (read(w->signals, &info, sizeof info) == sizeof info && !w->service.draining)
            drain(w);
        return;
    }
    if (source == &w->listener) {
        if (w->listening)
            accept_one(w);
        return;
    }
    struct connection *c = source;
    if (c->fd >= 0 && !connection_run(c, &w->service))
        drop(w, c);
}

static bool finished(const struct worker *w)
{
    return w->service.draining && (w->n_connections == 0 || now_seconds() >= w->drain_until);
}

static int loop(struct worker *w)
{
    struct epoll_event events[EVENTS];
    while (!finished(w)) {
        smx_heartbeat(w->service.metrics->segment);
        int n = epoll_wait(w->epoll, events, EVENTS, TURN_MS);
        if (n < 0 && errno != EINTR)
            return -errno;
        for (int i = 0; i < n; i++)
            take_event(w, events[i].data.ptr);
    }
    return 0;
}

static int open_descriptors(struct worker *w)
{
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    w->epoll = epoll_create1(EPOLL_CLOEXEC);
    w->signals = signalfd(-1, &term, SFD_NONBLOCK | SFD_CLOEXEC);
    if (w->epoll < 0 || w->signals < 0)
        return -errno;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &w->signals};
    if (epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->signals, &event) < 0)
        return -errno;
    return listen_on(w);
}

int worker_run(const struct worker_options *options)
{
    struct worker *w = calloc(1, sizeof *w);
    int error = -ENOMEM;
    if (w) {
        w->listener = options->listener;
        w->service = (struct service){.metrics = options->metrics, .life = options->life};
        for (struct connection *c = w->connections; c < w->connections + CONNECTIONS; c++)
            c->fd = -1;
        smx_set_role(options->metrics->segment, "worker");
        set_connections(w, 0);
        error = open_descriptors(w);
        if (!error)
            error = loop(w);
    }
    if (error)
        fprintf(stderr, "smx-demo: worker %d: %s\n", (int)getpid(), strerror(-error));
    free(w);
    return error ? EXIT_FAILURE : EXIT_SUCCESS;
}
