/* SPDX-License-Identifier: MIT
 *
 * directory.h - one directory that may hold segments: whether it may be trusted, what lies in it,
 * and which of its files may be opened. Opens no segment.
 */
#ifndef SMX_AGENT_DIRECTORY_H
#define SMX_AGENT_DIRECTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

enum { DIRECTORY_WHY_SIZE = 160 };

enum directory_state {
    DIRECTORY_UNKNOWN, /* not looked at yet */
    DIRECTORY_READ,
    DIRECTORY_ABSENT,
    DIRECTORY_REFUSED, /* there, but not readable or not to be trusted: see why */
    DIRECTORY_FAILED,  /* not looked at, or not to its end, for want of something: see why */
};

struct directory {
    char *path;
    bool by_default; /* nobody asked for it: may be absent, must be root's or ours */
    enum directory_state state;
    bool foreign; /* by default, and made by another user: refused, and nobody's fault */
    bool unsure;  /* refused for want of descriptors or memory: what was in it may still be */
    char why[DIRECTORY_WHY_SIZE];
    uid_t owner; /* of the directory, and its mode, when it was read last */
    mode_t mode;
};

/* A file whose name is that of a segment. Valid during the callback. */
struct directory_entry {
    const char *name;
    const struct stat *st; /* of the entry itself, links not followed */
};

/* Look at a directory: set state, why, owner, mode, and call found for each entry that is named
 * <something>.v<number>.smx. Follows no symbolic link. Returns: true if the state has changed. */
bool directory_scan(struct directory *directory,
                    void (*found)(void *context, const struct directory_entry *entry),
                    void *context);

/* Whether a name is that of a segment. */
bool directory_names_segment(const char *name);

/* Why a file found in a directory must not be opened, or NULL. The owner must be root, ourselves or
 * the directory's owner; in a sticky directory, where nobody can replace another's file, anybody.
 */
const char *directory_refuses(const struct directory *directory, const struct stat *st);

/* "read", "absent", "refused", "failed", "unknown". */
const char *directory_state_name(enum directory_state state);

#endif
