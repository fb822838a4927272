/* SPDX-License-Identifier: MIT
 *
 * hosts.h - whether a request's Host is a name that this server goes by. A page of a stranger can
 * have a browser ask any address under the stranger's own name (DNS rebinding), and would read what
 * is answered.
 */
#ifndef SMX_AGENT_HOSTS_H
#define SMX_AGENT_HOSTS_H

#include <stdbool.h>
#include <stddef.h>

/* Whether a header Host is an address, localhost or below it, or one of the names; its port does
 * not matter. */
bool hosts_know(const char *host, const char *const names[], size_t n);

/* Whether a name may be in such a list. */
bool hosts_check(const char *name);

#endif
