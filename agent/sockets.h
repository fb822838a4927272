/* SPDX-License-Identifier: MIT
 *
 * sockets.h - the addresses that the agent listens at: opens them for the HTTP server, says so.
 */
#ifndef SMX_AGENT_SOCKETS_H
#define SMX_AGENT_SOCKETS_H

#include "agent/http/http.h"
#include "agent/http/listen.h"
#include "agent/log.h"

/* All-zero is none. */
struct sockets {
    struct listen_socket at[HTTP_LISTEN_MAX];
    size_t n;
};

/* Listen at one more address, of at most HTTP_LISTEN_MAX. loop: its name, for the log.
 * Returns: 0, or a negative errno; the log then says why. */
int sockets_open(struct sockets *sockets, const char *address, struct http *http,
                 const struct log *log, const char *loop);

/* Close all, after http_drain() or http_free(). */
void sockets_close(struct sockets *sockets);

#endif
