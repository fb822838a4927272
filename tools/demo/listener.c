/* SPDX-License-Identifier: MIT
 *
 * listener.c - the listening socket that all workers share. Opened once, by the master, before it
 * forks.
 */
#include "listener.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 1024 };

/* Split "host:port" at the last colon; brackets around an IPv6 address are dropped. */
static int split(const char *address, char host[NI_MAXHOST], const char **port)
{
    const char *colon = strrchr(address, ':');
    if (!colon || !colon[1])
        return -1;
    const char *from = address;
    size_t length = (size_t)(colon - address);
    if (length >= 2 && from[0] == '[' && from[length - 1] == ']') {
        from++;
        length -= 2;
    }
    if (length == 0 || length >= NI_MAXHOST)
        return -1;
    memcpy(host, from, length);
    host[length] = '\0';
    *port = colon + 1;
    return 0;
}

static int listen_at(const struct addrinfo *info)
{
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(fd, info->ai_addr, info->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static void describe(int fd, char name[LISTENER_NAME])
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    char host[64] = "?", port[8] = "?";
    if (getsockname(fd, (struct sockaddr *)&address, &size) == 0)
        getnameinfo((struct sockaddr *)&address, size, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV);
    snprintf(name, LISTENER_NAME, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}

int listener_open(const char *address, char name[LISTENER_NAME], const char **reason)
{
    char host[NI_MAXHOST];
    const char *port;
    *reason = "not of the form ADDRESS:PORT";
    if (split(address, host, &port) < 0)
        return -1;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *info;
    int error = getaddrinfo(host, port, &hints, &info);
    if (error) {
        *reason = gai_strerror(error);
        return -1;
    }
    int fd = listen_at(info);
    if (fd < 0)
        *reason = strerror(errno);
    else
        describe(fd, name);
    freeaddrinfo(info);
    return fd;
}
