/* SPDX-License-Identifier: MIT
 *
 * connections.h - the table of connections: how many there may be, how long each may take, and
 * whose goes when another comes. Reads and writes no byte, knows no HTTP.
 *
 * Nobody is turned away at the door, for then whoever came first and left his connections open
 * would keep all others out: the one that has waited longest goes. To drop a connection is to shut
 * its socket down; who reads it then finds its end, closes it, and takes it out of the table.
 */
#ifndef SMX_AGENT_CONNECTIONS_H
#define SMX_AGENT_CONNECTIONS_H

#include "agent/gather/self.h"
#include "agent/http/body.h"
#include "agent/http/peer.h"
#include "agent/http/tls.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* So many may be in the table beside the others while they are dropped. */
enum { CONNECTIONS_SLACK = 16 };

enum connections_reason {
    CONNECTIONS_FULL,         /* another came */
    CONNECTIONS_ADDRESS,      /* another came from the same address */
    CONNECTIONS_SLOW_REQUEST, /* no request came in time, or not all of it */
    CONNECTIONS_SLOW_ANSWER,  /* the answer was not taken in time */
    CONNECTIONS_MEMORY,       /* it held on to the bytes of an old answer */
    CONNECTIONS_DESCRIPTORS,  /* none was left for one that came */
    CONNECTIONS_REASONS,
};

struct connections_limits {
    size_t connections;  /* at a time; three quarters of them from one address */
    uint64_t request_ns; /* from the end of an answer to that of the next request */
    uint64_t answer_ns;  /* to take an answer */
    size_t answer_bytes; /* of all answers being sent; never less than four of the largest */
};

struct connection {
    int fd; /* -1: a free place */
    bool answering, dropped;
    uint64_t since_ns; /* when it began to answer, or to wait for a request */
    struct peer peer;
    struct body *body; /* while it is answering; NULL as long as that is made */
    struct tls_handshake handshake;
};

struct connections;

/* Make a table. Returns: 0, -ENOMEM. */
int connections_new(const struct connections_limits *limits, struct connections **out);
void connections_free(struct connections *connections);

/* Enter an accepted connection, dropping another if there are too many. The descriptor stays the
 * caller's. Returns NULL if too many that were dropped are still here. */
struct connection *connections_add(struct connections *connections, int fd, const struct peer *peer,
                                   uint64_t now_ns);

/* Its descriptor is about to be closed. */
void connections_remove(struct connections *connections, struct connection *connection);

/* A request has come whose answer is yet to be made. */
void connections_begin(struct connection *connection, uint64_t now_ns);

/* An answer begins. Others' answers go, the oldest first, if they hold too much memory. */
void connections_answer(struct connections *connections, struct connection *connection,
                        struct body *body, uint64_t now_ns);

/* The answer is sent; the next request is waited for. */
void connections_wait(struct connections *connections, struct connection *connection,
                      uint64_t now_ns);

/* Drop those that took too long. Returns: when to ask again, UINT64_MAX: when there is another. */
uint64_t connections_expire(struct connections *connections, uint64_t now_ns);

/* No descriptor is left for another. Returns: whether one that waited for a request was dropped. */
bool connections_yield(struct connections *connections);

/* Whether the answers being sent take half of the memory that they may. */
bool connections_strained(const struct connections *connections);

/* The pointer in it holds as long as the table. */
struct self_connections connections_count(const struct connections *connections);

#endif
