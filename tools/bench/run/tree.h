/* SPDX-License-Identifier: MIT
 *
 * tree.h - a directory with all that is in it.
 */
#ifndef SMX_BENCH_TREE_H
#define SMX_BENCH_TREE_H

/* Remove it. Returns: 0, a negative errno. */
int tree_remove(const char *path);

#endif
