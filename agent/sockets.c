/* SPDX-License-Identifier: MIT
 *
 * sockets.c - opens listening sockets, with patience for a predecessor that is not quite gone.
 */
#include "agent/sockets.h"

#include <errno.h>
#include <string.h>
#include <time.h>

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

int sockets_add(struct sockets *sockets, const struct listen_socket *socket)
{
    if (sockets->n == HTTP_LISTEN_MAX) {
        LOG_ERROR(sockets->log, "cannot listen: there are too many addresses", "address",
                  socket->name);
        return -ENOSPC;
    }
    struct listen_socket *added = &sockets->at[sockets->n++];
    *added = *socket;
    int rc = http_listen(sockets->http, added);
    if (rc < 0)
        LOG_ERROR(sockets->log, "cannot serve", "address", added->name, "reason", strerror(-rc));
    else
        LOG_INFO(sockets->log, sockets->what, "address", added->name, "loop", sockets->loop);
    return rc;
}

int sockets_open(struct sockets *sockets, const char *address)
{
    char why[LISTEN_WHY_SIZE];
    struct listen_socket socket;
    int rc = open_patiently(address, &socket, why);
    if (rc < 0) {
        LOG_ERROR(sockets->log, "cannot listen", "address", address, "reason", why);
        return rc;
    }
    return sockets_add(sockets, &socket);
}

void sockets_close(struct sockets *sockets)
{
    for (size_t i = 0; i < sockets->n; i++)
        listen_close(&sockets->at[i]);
    sockets->n = 0;
}
