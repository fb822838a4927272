/* SPDX-License-Identifier: MIT
 *
 * notify.c - the protocol of sd_notify(3): a datagram of assignments to the socket of
 * $NOTIFY_SOCKET. Ours rather than libsystemd's, which would open a socket for each message, and
 * the sandbox allows none. Runs in the agent's one thread.
 */
#include "agent/system/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { MESSAGE_SIZE = 2048 };

/* A path, or an abstract name behind an '@'. */
static int set_address(const char *name, struct sockaddr_un *out, socklen_t *length)
{
    size_t n = strlen(name);
    if (name[0] != '/' && name[0] != '@')
        return -EAFNOSUPPORT;
    if (n < 2)
        return -EINVAL;
    if (n >= sizeof out->sun_path)
        return -ENAMETOOLONG;
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(out->sun_path, name, n);
    bool abstract = name[0] == '@';
    if (abstract)
        out->sun_path[0] = 0;
    *length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + !abstract);
    return 0;
}

/* A manager that does not read is waited for, as nothing may be lost, but not for ever. */
static int connect_to(const char *name)
{
    const struct timeval patience = {.tv_sec = 1};
    struct sockaddr_un address;
    socklen_t length;
    int rc = set_address(name, &address, &length);
    if (rc < 0)
        return rc;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) < 0 ||
        connect(fd, (const struct sockaddr *)&address, length) < 0) {
        rc = -errno;
        close(fd);
        return rc;
    }
    return fd;
}

static bool parse_number(const char *text, uint64_t *out)
{
    char *end;
    if (!text || text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && *end == 0;
}

/* 0 also if it is another process that is watched: the one which started us. */
static uint64_t watchdog_of_environment(void)
{
    uint64_t us, pid;
    const char *watched = getenv("WATCHDOG_PID");
    if (!parse_number(getenv("WATCHDOG_USEC"), &us) || us > UINT64_MAX / 1000)
        return 0;
    if (watched && (!parse_number(watched, &pid) || pid != (uint64_t)getpid()))
        return 0;
    return us * 1000;
}

void notify_open(struct notify *out, const struct log *log)
{
    const char *name = getenv("NOTIFY_SOCKET");
    *out = (struct notify){.fd = -1, .log = log, .watchdog_ns = watchdog_of_environment()};
    int fd = name ? connect_to(name) : -1;
    if (fd >= 0)
        out->fd = fd;
    else if (name)
        LOG_WARN(log, "the service manager cannot be told how this goes", "socket", name, "reason",
                 strerror(-fd));
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

void notify_close(struct notify *notify)
{
    if (notify->loop)
        loop_timer_cancel(notify->loop, &notify->beat);
    if (notify->fd >= 0)
        close(notify->fd);
    *notify = (struct notify){.fd = -1};
}

static void tell(const struct notify *notify, const char *message)
{
    if (notify->fd < 0)
        return;
    ssize_t n = send(notify->fd, message, strlen(message), MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR)
        n = send(notify->fd, message, strlen(message), MSG_NOSIGNAL);
    if (n < 0)
        LOG_WARN(notify->log, "the service manager does not listen", "reason", strerror(errno));
}

/* A line is one assignment, whatever the status quotes. */
static void tell_status(const struct notify *notify, const char *state, const char *status)
{
    char message[MESSAGE_SIZE];
    snprintf(message, sizeof message, "%s\nSTATUS=%s", state, status);
    for (char *c = message + strlen(state) + 1; *c; c++)
        if (*c == '\n')
            *c = ' ';
    tell(notify, message);
}

void notify_ready(struct notify *notify, const char *status)
{
    tell_status(notify, "READY=1", status);
}

void notify_reloading(struct notify *notify)
{
    char message[MESSAGE_SIZE];
    snprintf(message, sizeof message, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, loop_now_ns() / 1000);
    tell(notify, message);
}

void notify_stopping(struct notify *notify, const char *status)
{
    tell_status(notify, "STOPPING=1", status);
}

static void beat(void *context)
{
    struct notify *notify = context;
    loop_timer_set(notify->loop, &notify->beat, notify->watchdog_ns / 2);
    tell(notify, "WATCHDOG=1");
}

void notify_watchdog(struct notify *notify, struct loop *loop)
{
    if (notify->fd < 0 || notify->watchdog_ns == 0)
        return;
    notify->loop = loop;
    notify->beat = (struct loop_timer){.fire = beat, .context = notify};
    beat(notify);
}
