/* SPDX-License-Identifier: MIT
 *
 * watches.h - the segments that smx-top shows: those named on the command line, or all there are.
 */
#ifndef SMX_TOP_WATCHES_H
#define SMX_TOP_WATCHES_H

#include "watch.h"

struct watches {
    struct watch *at;
    size_t n;
    const char *directory;  /* NULL: the default ones */
    char *const *arguments; /* PATH or APPLICATION[@INSTANCE]; NULL: all segments */
};

/* Begin with n arguments, which live as long as the watches. Returns: 0 or -ENOMEM.
 * Owns: the caller calls watches_fini(). */
int watches_init(struct watches *watches, char *const *arguments, size_t n, const char *directory);

/* Take a snapshot of each. Without arguments segments that appeared are added, in the order of
 * their paths, and those that have gone are dropped. Returns: 0, or a negative errno. */
int watches_update(struct watches *watches);

/* Those whose last update failed. */
size_t watches_failed(const struct watches *watches);

void watches_fini(struct watches *watches);

#endif
