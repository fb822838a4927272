/* SPDX-License-Identifier: MIT
 *
 * sockets.h - the addresses that a server of the agent listens at: opens them for it, or takes
 * those that were opened already, and says so.
 */
#ifndef SMX_AGENT_SOCKETS_H
#define SMX_AGENT_SOCKETS_H

#include "agent/http/http.h"
#include "agent/http/listen.h"
#include "agent/log/log.h"

/* Fill in the first four, leave the rest zero: there is none. */
struct sockets {
    struct http *http;
    const struct log *log;
    const char *what; /* "listening" */
    const char *loop; /* its name */
    struct listen_socket at[HTTP_LISTEN_MAX];
    size_t n;
};

/* Listen at one more address, of at most HTTP_LISTEN_MAX. Returns: 0, or a negative errno; the log
 * then says why. */
int sockets_open(struct sockets *sockets, const char *address);

/* The same at a socket that is open already, which is its own from here on. */
int sockets_add(struct sockets *sockets, const struct listen_socket *socket);

/* Close all, after http_drain() or http_free(). */
void sockets_close(struct sockets *sockets);

#endif
