/* SPDX-License-Identifier: MIT
 *
 * target.h - from what a person types to the path of a segment, and which segments there are.
 */
#ifndef SMX_TOOLS_TARGET_H
#define SMX_TOOLS_TARGET_H

#include <limits.h>
#include <smx/smx.h>
#include <stddef.h>

/* Resolve PATH (it has a slash) or APPLICATION[@INSTANCE], looked up in `directory` or, if that is
 * NULL, in the default directories. Returns: 0, or a negative errno with diag written. */
int target_find(const char *argument, const char *directory, char path[PATH_MAX],
                struct smx_diag *diag);

/* Paths, in the order of the directories and then of their names. */
struct target_list {
    char **paths;
    size_t n;
};

/* List the segments where smx_open() makes them: in `directory`; or, if that is NULL, in $SMX_DIR;
 * or, if that is not set, in /run/smx and /dev/shm/smx-<uid> as far as they exist.
 * Returns: 0, -ENOMEM, another negative errno of a directory that cannot be read.
 * Owns: the caller calls target_list_fini(), also after a failure. */
int target_list(const char *directory, struct target_list *list);
void target_list_fini(struct target_list *list);

#endif
