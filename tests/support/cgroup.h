/* SPDX-License-Identifier: MIT
 *
 * cgroup.h - a memory cgroup of a test's own, of either version.
 */
#ifndef SMX_TESTS_CGROUP_H
#define SMX_TESTS_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

/* Make one without a limit; false where that cannot be. One at a time. */
bool cgroup_make(void);

/* Put the calling process into it. Returns 0 or -1. */
int cgroup_enter(void);

/* Set the limit. Returns 0 or -1. */
int cgroup_limit(uint64_t bytes);

/* Bytes in use, 0 if that is unknown. */
uint64_t cgroup_used(void);

/* Remove it; its processes must be gone. */
void cgroup_remove(void);

#endif
