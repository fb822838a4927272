/* SPDX-License-Identifier: MIT
 *
 * loop.c - the event loop's half that needs no kernel interface of its own: the table of watches,
 * the list of timers, the turn. Owns the back end and the signalfd. Runs in the agent's one thread.
 */
#include "agent/loop/loop.h"
#include "agent/loop/loop_backend.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

struct watch {
    int fd; /* -1: the slot is free */
    uint32_t generation;
    void (*ready)(void *context);
    void *context;
};

struct loop {
    struct loop_backend *backend;
    struct watch watches[LOOP_WATCHES_MAX];
    struct loop_timer *timers; /* the earliest first; there are never more than a handful */
    uint64_t turns;
    bool stopped;
    int signal_fd;
    void (*caught)(void *context, int signal);
    void *caught_context;
};

uint64_t loop_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int open_backend(enum loop_kind kind, struct loop_backend **out)
{
    if (kind == LOOP_EPOLL)
        return loop_epoll_open(out);
    int rc = loop_uring_open(out);
    return rc < 0 && kind == LOOP_AUTO ? loop_epoll_open(out) : rc;
}

int loop_new(enum loop_kind kind, struct loop **out)
{
    struct loop *loop = calloc(1, sizeof *loop);
    if (!loop)
        return -ENOMEM;
    int rc = open_backend(kind, &loop->backend);
    if (rc < 0) {
        free(loop);
        return rc;
    }
    for (size_t i = 0; i < LOOP_WATCHES_MAX; i++)
        loop->watches[i].fd = -1;
    loop->signal_fd = -1;
    *out = loop;
    return 0;
}

void loop_free(struct loop *loop)
{
    if (!loop)
        return;
    loop->backend->close(loop->backend);
    if (loop->signal_fd >= 0)
        close(loop->signal_fd);
    free(loop);
}

const char *loop_name(const struct loop *loop)
{
    return loop->backend->name;
}

uint64_t loop_turns(const struct loop *loop)
{
    return loop->turns;
}

/* The slot that watches fd, or a free one for fd = -1; LOOP_WATCHES_MAX if there is none. */
static uint32_t find_slot(const struct loop *loop, int fd)
{
    uint32_t slot = 0;
    while (slot < LOOP_WATCHES_MAX && loop->watches[slot].fd != fd)
        slot++;
    return slot;
}

static uint64_t tag_of(const struct loop *loop, uint32_t slot)
{
    return (uint64_t)loop->watches[slot].generation << 32 | slot;
}

int loop_watch(struct loop *loop, int fd, void (*ready)(void *context), void *context)
{
    if (find_slot(loop, fd) < LOOP_WATCHES_MAX)
        return -EEXIST;
    uint32_t slot = find_slot(loop, -1);
    if (slot == LOOP_WATCHES_MAX)
        return -ENOSPC;
    struct watch *watch = &loop->watches[slot];
    watch->generation = watch->generation == UINT32_MAX ? 1 : watch->generation + 1;
    int rc = loop->backend->watch(loop->backend, fd, tag_of(loop, slot));
    if (rc < 0)
        return rc;
    watch->fd = fd;
    watch->ready = ready;
    watch->context = context;
    return 0;
}

void loop_unwatch(struct loop *loop, int fd)
{
    uint32_t slot = fd < 0 ? LOOP_WATCHES_MAX : find_slot(loop, fd);
    if (slot == LOOP_WATCHES_MAX)
        return;
    loop->backend->unwatch(loop->backend, fd, tag_of(loop, slot));
    loop->watches[slot].fd = -1;
}

void loop_timer_cancel(struct loop *loop, struct loop_timer *timer)
{
    if (!timer->set)
        return;
    struct loop_timer **link = &loop->timers;
    while (*link != timer)
        link = &(*link)->next;
    *link = timer->next;
    timer->set = false;
}

void loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t delay_ns)
{
    loop_timer_cancel(loop, timer);
    timer->due_ns = loop_now_ns() + delay_ns;
    struct loop_timer **link = &loop->timers;
    while (*link && (*link)->due_ns <= timer->due_ns)
        link = &(*link)->next;
    timer->next = *link;
    timer->set = true;
    *link = timer;
}

/* Fire what is due as of now: a timer that sets itself to 0 runs again in the next turn, not in a
 * loop here that would starve the descriptors. */
static void fire_timers(struct loop *loop)
{
    uint64_t now = loop_now_ns();
    while (loop->timers && loop->timers->due_ns <= now) {
        struct loop_timer *timer = loop->timers;
        loop_timer_cancel(loop, timer);
        timer->fire(timer->context);
    }
}

static void dispatch(struct loop *loop, const uint64_t *tags, int n)
{
    for (int i = 0; i < n; i++) {
        uint32_t slot = loop_tag_slot(tags[i]);
        const struct watch *watch = &loop->watches[slot];
        if (watch->fd >= 0 && tag_of(loop, slot) == tags[i])
            watch->ready(watch->context);
    }
}

static uint64_t time_to_wait(const struct loop *loop, uint64_t max_ns)
{
    if (!loop->timers)
        return max_ns;
    uint64_t now = loop_now_ns(), due = loop->timers->due_ns;
    uint64_t left = due > now ? due - now : 0;
    return left < max_ns ? left : max_ns;
}

int loop_turn(struct loop *loop, uint64_t max_ns)
{
    uint64_t tags[LOOP_WATCHES_MAX];
    int n = loop->backend->wait(loop->backend, time_to_wait(loop, max_ns), tags);
    if (n < 0)
        return n;
    loop->turns++;
    dispatch(loop, tags, n);
    fire_timers(loop);
    return 0;
}

int loop_run(struct loop *loop)
{
    int rc = 0;
    loop->stopped = false;
    while (!loop->stopped && rc == 0)
        rc = loop_turn(loop, UINT64_MAX);
    return rc;
}

void loop_stop(struct loop *loop)
{
    loop->stopped = true;
}

static void read_signal(void *context)
{
    struct loop *loop = context;
    struct signalfd_siginfo info;
    if (read(loop->signal_fd, &info, sizeof info) == (ssize_t)sizeof info)
        loop->caught(loop->caught_context, (int)info.ssi_signo);
}

int loop_signals(struct loop *loop, const sigset_t *set, void (*caught)(void *context, int signal),
                 void *context)
{
    if (loop->signal_fd >= 0)
        return -EALREADY;
    int fd = signalfd(-1, set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    int rc = loop_watch(loop, fd, read_signal, loop);
    if (rc < 0) {
        close(fd);
        return rc;
    }
    sigprocmask(SIG_BLOCK, set, NULL);
    loop->signal_fd = fd;
    loop->caught = caught;
    loop->caught_context = context;
    return 0;
}
