/* SPDX-License-Identifier: MIT
 *
 * scratch.h - a private directory on tmpfs for one test.
 */
#ifndef SMX_TESTS_SCRATCH_H
#define SMX_TESTS_SCRATCH_H

enum { SCRATCH_SIZE = 32 };

/* Make an empty directory on tmpfs and write its path. Returns 0 or -1. */
int scratch_make(char path[SCRATCH_SIZE]);

/* Remove the directory and the files in it. */
void scratch_remove(const char *path);

#endif
