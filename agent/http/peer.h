/* SPDX-License-Identifier: MIT
 *
 * peer.h - the other end of a connection, as far as limits and rules for who may ask depend on it.
 */
#ifndef SMX_AGENT_PEER_H
#define SMX_AGENT_PEER_H

#include "agent/http/listen.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct peer {
    enum listen_scope scope; /* of the socket that he came by */
    uint64_t address;        /* equal for connections from one address */
    bool local;              /* he is on this machine */
};

/* Who has connected from that address by a socket of that scope. */
struct peer peer_of(const struct sockaddr *address, enum listen_scope scope);

#endif
