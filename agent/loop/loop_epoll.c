/* SPDX-License-Identifier: MIT
 *
 * loop_epoll.c - the loop's back end on epoll(7), for where io_uring is refused. Level-triggered.
 */
#include "agent/loop/loop_backend.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

struct epoll_backend {
    struct loop_backend base;
    int fd;
};

static struct epoll_backend *of(struct loop_backend *backend)
{
    return (struct epoll_backend *)backend;
}

static int epoll_watch(struct loop_backend *backend, int fd, uint64_t tag)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = tag};
    return epoll_ctl(of(backend)->fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static void epoll_unwatch(struct loop_backend *backend, int fd, uint64_t tag)
{
    (void)tag;
    epoll_ctl(of(backend)->fd, EPOLL_CTL_DEL, fd, NULL);
}

/* Whole milliseconds, rounded up: rounded down, a timer would be polled for until it is due.
 * (epoll_pwait2, which takes nanoseconds, is newer than Linux 5.10.) */
static int milliseconds(uint64_t ns)
{
    uint64_t ms = ns / 1000000 + (ns % 1000000 != 0);
    if (ns == UINT64_MAX)
        return -1;
    return ms > 1000000000 ? 1000000000 : (int)ms;
}

static int epoll_backend_wait(struct loop_backend *backend, uint64_t timeout_ns,
                              uint64_t tags[LOOP_WATCHES_MAX])
{
    struct epoll_event events[LOOP_WATCHES_MAX];
    int n = epoll_wait(of(backend)->fd, events, LOOP_WATCHES_MAX, milliseconds(timeout_ns));
    if (n < 0)
        return errno == EINTR ? 0 : -errno;
    for (int i = 0; i < n; i++)
        tags[i] = events[i].data.u64;
    return n;
}

static void epoll_backend_close(struct loop_backend *backend)
{
    close(of(backend)->fd);
    free(backend);
}

int loop_epoll_open(struct loop_backend **out)
{
    struct epoll_backend *epoll = malloc(sizeof *epoll);
    if (!epoll)
        return -ENOMEM;
    *epoll = (struct epoll_backend){
        .base = {.name = "epoll",
                 .watch = epoll_watch,
                 .unwatch = epoll_unwatch,
                 .wait = epoll_backend_wait,
                 .close = epoll_backend_close},
        .fd = epoll_create1(EPOLL_CLOEXEC),
    };
    if (epoll->fd < 0) {
        int rc = -errno;
        free(epoll);
        return rc;
    }
    *out = &epoll->base;
    return 0;
}
