/* SPDX-License-Identifier: MIT
 *
 * directory.h - where segments live, and what their files are called.
 */
#ifndef SMX_DIRECTORY_H
#define SMX_DIRECTORY_H

#include <limits.h>
#include <smx/smx.h>

/* Directories to look in, in order. */
enum { SMX__MAX_DIRECTORIES = 2 };
struct smx__directories {
    unsigned n;
    char path[SMX__MAX_DIRECTORIES][PATH_MAX];
};

/* The directory asked for; else $SMX_DIR (unless the program is set-id); else /run/smx and
 * /dev/shm/smx-<uid>. One that was named is the only one: metrics that quietly land elsewhere are
 * worse than an error. Returns 0 or -ENAMETOOLONG. */
int smx__directories(const char *asked, struct smx__directories *out, struct smx_diag *diag);

/* "<app>[@<instance>].v<major>.smx"; both names are checked. Returns 0 or -EINVAL. */
int smx__file_name(const char *app, const char *instance, char name[NAME_MAX + 1],
                   struct smx_diag *diag);

/* Open a directory (O_PATH) that segments can be created in: searchable, writable, on tmpfs unless
 * allow_disk. The per-user default is created, and must be the user's own.
 * Returns the descriptor or -errno. */
int smx__directory_open(const char *path, int allow_disk, struct smx_diag *diag);

#endif
