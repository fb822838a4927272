/* SPDX-License-Identifier: MIT
 *
 * connection.h - one client connection of a worker.
 */
#ifndef SMX_DEMO_CONNECTION_H
#define SMX_DEMO_CONNECTION_H

#include "metrics.h"
#include "tally.h"

enum { CONNECTION_BUFFER = 4096 };

/* What answering a request needs besides the connection; one for each worker. */
struct service {
    const struct metrics *metrics;
    struct tally_life *life;
    bool draining; /* every answer is the last one of its connection */
};

struct connection {
    int fd;        /* non-blocking; -1: the struct is free */
    bool answered; /* at least one request */
    bool last;     /* close after what is in out */
    size_t in_used;
    size_t out_used;
    size_t out_sent;
    char in[CONNECTION_BUFFER];
    char out[CONNECTION_BUFFER];
};

/* Start with a descriptor that the connection now owns. */
void connection_init(struct connection *connection, int fd);

/* Close the descriptor. */
void connection_fini(struct connection *connection);

/* Read, answer and write until the socket would block (as edge-triggered epoll wants it).
 * Returns: false when the connection is over. */
bool connection_run(struct connection *connection, const struct service *service);

/* Between two requests: one was answered, the next has not begun. */
bool connection_idle(const struct connection *connection);

#endif
