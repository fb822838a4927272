/* SPDX-License-Identifier: MIT
 *
 * activation.h - listening sockets that whoever started us has opened, as systemd does for a socket
 * unit: sd_listen_fds(3), without its library.
 */
#ifndef SMX_AGENT_ACTIVATION_H
#define SMX_AGENT_ACTIVATION_H

#include "agent/http/listen.h"

enum { ACTIVATION_NAME_SIZE = 64 };

struct activation {
    struct listen_socket socket;
    char name[ACTIVATION_NAME_SIZE]; /* FileDescriptorName= of its unit, or "" */
};

/* Take what there is, at most so many, and forget that there was any. Returns: how many; or
 * -EINVAL with what is wrong in why, and they stay open. */
int activation_take(struct activation out[], size_t most, char why[LISTEN_WHY_SIZE]);

#endif
