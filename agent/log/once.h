/* SPDX-License-Identifier: MIT
 *
 * once.h - remembers what has been said, so that the log says it once.
 */
#ifndef SMX_AGENT_ONCE_H
#define SMX_AGENT_ONCE_H

#include <stdbool.h>
#include <stddef.h>

/* Past these nothing counts as new: a log must not fill a disk. */
enum { ONCE_MAX = 256 };

/* All-zero is empty. */
struct once {
    char *said[ONCE_MAX];
    size_t n;
};

/* Whether a text is new; it no longer is then. */
bool once_is_new(struct once *once, const char *text);

void once_fini(struct once *once);

#endif
