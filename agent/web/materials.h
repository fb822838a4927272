/* SPDX-License-Identifier: MIT
 *
 * materials.h - what the web configuration file and the files that it names come to: keys, users,
 * headers, a rate. Read as a whole or not at all.
 */
#ifndef SMX_AGENT_MATERIALS_H
#define SMX_AGENT_MATERIALS_H

#include "agent/config/webfile.h"
#include "agent/http/tls.h"
#include "agent/web/users.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

enum { MATERIALS_FILES_MAX = 4, MATERIALS_WHY_SIZE = WEBFILE_WHY_SIZE };

/* How a file looked; another look tells whether it is still the same. */
struct materials_look {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified, changed;
};

struct materials {
    struct webfile *file;
    struct tls *tls;     /* NULL: plain */
    struct users *users; /* NULL: everybody */
    const char *paths[MATERIALS_FILES_MAX];
    size_t n_paths;
    struct materials_look looks[MATERIALS_FILES_MAX];
    bool is_fresh; /* a file was changed so shortly before that it may be again, and look the same
                    */
};

/* Read them. Who was found right by users_before, or NULL, still is.
 * Returns: 0, or a negative errno and FILE:LINE: KEY: what is wrong. */
int materials_load(const char *path, const struct users *users_before, struct materials *out,
                   char why[MATERIALS_WHY_SIZE]);
void materials_free(struct materials *materials);

/* Whether a file is not as it was when it was last looked at; it has been looked at then. */
bool materials_look_again(struct materials *materials);

#endif
