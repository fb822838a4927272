/* SPDX-License-Identifier: MIT
 *
 * sink.c - writes to pipes, sockets, terminals and files, none of which has to take it.
 */
#include "agent/log/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

void sink_own(int fd)
{
    struct stat st;
    char path[32];
    if (fstat(fd, &st) < 0 || (!S_ISFIFO(st.st_mode) && !isatty(fd)))
        return;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int own = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (own < 0)
        return;
    (void)dup2(own, fd);
    close(own);
}

/* For what is not our own. Of a pipe that is enough, unless others write to it: one of them may
 * take the room that we have seen. Files have room always, and a disk may take its time. */
static bool has_room(int fd)
{
    struct pollfd out = {.fd = fd, .events = POLLOUT};
    return poll(&out, 1, 0) == 1 && (out.revents & POLLOUT);
}

bool sink_write(int fd, const char *line, size_t length)
{
    ssize_t n = send(fd, line, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno == ENOTSOCK)
        n = has_room(fd) ? write(fd, line, length) : -1;
    return n == (ssize_t)length;
}
