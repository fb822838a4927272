/* SPDX-License-Identifier: MIT
 *
 * listen.h - listening sockets from addresses as text. Knows nothing of what is served.
 *
 *   HOST:PORT   a name or a numeric address; the first that it resolves to
 *   [IPV6]:PORT
 *   :PORT       every address of the machine, IPv6 and IPv4
 *   unix:PATH   a socket in the file system, for its owner alone; who else may connect follows as
 *               ?mode=OCTAL&group=NAME
 *
 * Port 0 lets the kernel choose; listen_socket.name says what it chose.
 */
#ifndef SMX_AGENT_LISTEN_H
#define SMX_AGENT_LISTEN_H

#include <stddef.h>
#include <sys/types.h>

enum { LISTEN_WHY_SIZE = 256, LISTEN_NAME_SIZE = 160 };

/* From where it can be reached. */
enum listen_scope { LISTEN_FILE_SYSTEM, LISTEN_LOOPBACK, LISTEN_NETWORK };

struct listen_socket {
    int fd;
    enum listen_scope scope;
    char name[LISTEN_NAME_SIZE]; /* what it is bound to, in the syntax above */
    dev_t device;                /* of a unix: socket's file, to be removed with it */
    ino_t inode;
};

/* Check the syntax of an address. Returns: 0, -EINVAL with the rule in why. */
int listen_check(const char *address, char why[LISTEN_WHY_SIZE]);

/* Bind and listen, not blocking and not inherited. A unix: socket that nobody listens on any more
 * is replaced. Returns: 0, or a negative errno with the reason and what to do in why. */
int listen_open(const char *address, struct listen_socket *out, char why[LISTEN_WHY_SIZE]);

/* Take a socket that somebody else has bound and listens at: it is made not to block and not to be
 * inherited, and its file stays when it is closed. Returns: as listen_open(). */
int listen_adopt(int fd, struct listen_socket *out, char why[LISTEN_WHY_SIZE]);

/* The path of a unix: socket that is removed when it is closed, NULL for another. */
const char *listen_path(const struct listen_socket *socket);

/* Close, and remove the file of a unix: socket if it is still ours. */
void listen_close(struct listen_socket *socket);

#endif
