/* SPDX-License-Identifier: MIT
 *
 * listener.h - the listening socket that all workers share.
 */
#ifndef SMX_DEMO_LISTENER_H
#define SMX_DEMO_LISTENER_H

#include <stddef.h>

/* Room for "[address]:port". */
enum { LISTENER_NAME = 80 };

/* Listen at "127.0.0.1:8080", "[::1]:8080" or "localhost:0" (port 0: any that is free). name gets
 * what was bound. Returns: a non-blocking descriptor; or -1, and *reason says why. */
int listener_open(const char *address, char name[LISTENER_NAME], const char **reason);

#endif
