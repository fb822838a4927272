/* SPDX-License-Identifier: MIT
 *
 * tree.c - a directory with all that is in it. Only for those that this program made itself.
 */
#include "run/tree.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>

enum { DESCRIPTORS = 16 };

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
    (void)status;
    (void)type;
    (void)ftw;
    return remove(path);
}

int tree_remove(const char *path)
{
    return nftw(path, remove_one, DESCRIPTORS, FTW_DEPTH | FTW_PHYS) < 0 ? -errno : 0;
}
