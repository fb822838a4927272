/* SPDX-License-Identifier: MIT
 *
 * intake.c - accept(2) in batches, so that those who are being served have their turn between.
 */
#include "agent/http/intake.h"

#include <errno.h>

#define PAUSE_NS UINT64_C(100000000)

/* What intake_drain() takes from a socket at most: as many as a kernel's queue holds by default. */
enum { LAST_MOST = 4096 };

static void take(void *context);

static void watch_again(void *context)
{
    struct intake *intake = context;
    const struct intake_options *options = &intake->options;
    for (size_t i = 0; i < intake->n; i++) {
        int rc = loop_watch(options->loop, intake->doors[i].fd, take, &intake->doors[i]);
        if (rc < 0 && rc != -EEXIST)
            loop_timer_set(options->loop, &intake->pause, PAUSE_NS);
    }
}

static void pause_all(struct intake *intake)
{
    for (size_t i = 0; i < intake->n; i++)
        loop_unwatch(intake->options.loop, intake->doors[i].fd);
    loop_timer_set(intake->options.loop, &intake->pause, PAUSE_NS);
}

static bool is_exhaustion(int code)
{
    return code == EMFILE || code == ENFILE || code == ENOBUFS || code == ENOMEM;
}

/* Returns: whether more may have come. Without a descriptor accept(2) fails also when nobody waits:
 * only at the first does the loop know that somebody does. Other errors than those named are of the
 * connection that was to be accepted, and it is gone with them. */
static bool take_batch(struct intake_door *door)
{
    struct intake *intake = door->intake;
    const struct intake_options *options = &intake->options;
    for (size_t i = 0; i < options->batch; i++) {
        struct sockaddr_storage address = {0};
        socklen_t length = sizeof address;
        int fd =
            accept4(door->fd, (struct sockaddr *)&address, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            options->accepted(options->context, fd, door->scope, (const struct sockaddr *)&address,
                              length);
        } else if (errno == EAGAIN) {
            return false;
        } else if (is_exhaustion(errno)) {
            if (i == 0 && !options->exhausted(options->context))
                pause_all(intake);
            return false;
        }
    }
    return true;
}

static void take(void *context)
{
    struct intake_door *door = context;
    const struct intake_options *options = &door->intake->options;
    take_batch(door);
    options->done(options->context);
}

int intake_open(struct intake *intake, const struct listen_socket *socket)
{
    if (intake->n == INTAKE_MAX)
        return -ENOSPC;
    struct intake_door *door = &intake->doors[intake->n];
    intake->pause.fire = watch_again;
    intake->pause.context = intake;
    *door = (struct intake_door){.intake = intake, .fd = socket->fd, .scope = socket->scope};
    int rc = loop_watch(intake->options.loop, socket->fd, take, door);
    if (rc == 0)
        intake->n++;
    return rc;
}

void intake_drain(struct intake *intake)
{
    const struct intake_options *options = &intake->options;
    for (size_t i = 0; i < intake->n; i++)
        for (size_t n = 0; n < LAST_MOST && take_batch(&intake->doors[i]); n += options->batch)
            options->done(options->context);
    options->done(options->context);
}

void intake_close(struct intake *intake)
{
    for (size_t i = 0; i < intake->n; i++)
        loop_unwatch(intake->options.loop, intake->doors[i].fd);
    loop_timer_cancel(intake->options.loop, &intake->pause);
    intake->n = 0;
}
