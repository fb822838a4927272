/* SPDX-License-Identifier: MIT
 *
 * intake.h - accepts connections from listening sockets, in the loop. Knows no HTTP.
 *
 * Where accept(2) fails because descriptors or memory ran out, the listening socket stays readable:
 * it is left alone for a moment then, for a loop that tried at once would be busy with nothing.
 */
#ifndef SMX_AGENT_INTAKE_H
#define SMX_AGENT_INTAKE_H

#include "agent/http/listen.h"
#include "agent/loop/loop.h"

#include <stddef.h>
#include <sys/socket.h>

enum { INTAKE_MAX = 16 }; /* listening sockets */

struct intake_options {
    struct loop *loop;
    size_t batch; /* connections to accept from a socket in a turn, at most */
    /* Take a connection, which does not block, and came by a socket of that scope. Owns: fd. */
    void (*accepted)(void *context, int fd, enum listen_scope scope, const struct sockaddr *address,
                     socklen_t length);
    /* No descriptor is left. Returns: whether one comes free in this turn. */
    bool (*exhausted)(void *context);
    /* All that came in this turn has been taken. */
    void (*done)(void *context);
    void *context;
};

struct intake;

struct intake_door {
    struct intake *intake;
    int fd;
    enum listen_scope scope;
};

/* In the caller's memory; fill in the first, leave the rest zero. */
struct intake {
    struct intake_options options;
    struct intake_door doors[INTAKE_MAX];
    size_t n;
    struct loop_timer pause;
};

/* Accept from a listening socket, which must not block and stays the caller's.
 * Returns: 0, -ENOSPC (INTAKE_MAX), or what loop_watch() returns. */
int intake_open(struct intake *intake, const struct listen_socket *socket);

/* Accept what has come so far. */
void intake_drain(struct intake *intake);

/* Accept no more. */
void intake_close(struct intake *intake);

#endif
