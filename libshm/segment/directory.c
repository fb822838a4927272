/* SPDX-License-Identifier: MIT
 *
 * directory.c - finds the directory of a segment. A disk file system is refused unless asked for:
 * writeback stalls whoever writes to a mapping of it.
 */
#include "libshm/segment/directory.h"

#include "libshm/diag.h"
#include "libshm/layout.h"
#include "libshm/names.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

static const char per_user[] = "/dev/shm/smx-";

int smx__directories(const char *asked, struct smx__directories *out, struct smx_diag *diag)
{
    const char *named = asked && *asked ? asked : secure_getenv("SMX_DIR");
    if (named && *named) {
        size_t length = strlen(named);
        if (length >= sizeof out->path[0])
            return smx__fail(diag, -ENAMETOOLONG, "the directory's path is too long");
        memcpy(out->path[0], named, length + 1);
        out->n = 1;
        return 0;
    }
    (void)snprintf(out->path[0], sizeof out->path[0], "/run/smx");
    (void)snprintf(out->path[1], sizeof out->path[1], "%s%u", per_user, (unsigned)geteuid());
    out->n = 2;
    return 0;
}

int smx__file_name(const char *app, const char *instance, char name[NAME_MAX + 1],
                   struct smx_diag *diag)
{
    if (!app || !smx__is_app_name(app, strlen(app)))
        return smx__fail(diag, -EINVAL,
                         "application name \"%.64s\": 1 to 63 of A-Z a-z 0-9 _ . - are allowed, "
                         "not starting with a dot",
                         app ? app : "");
    int has_instance = instance && *instance;
    if (has_instance && !smx__is_app_name(instance, strlen(instance)))
        return smx__fail(diag, -EINVAL,
                         "instance name \"%.64s\": 1 to 63 of A-Z a-z 0-9 _ . - are allowed, "
                         "not starting with a dot",
                         instance);
    (void)snprintf(name, NAME_MAX + 1, "%s%s%s.v%d.smx", app, has_instance ? "@" : "",
                   has_instance ? instance : "", SMX__MAJOR);
    return 0;
}

/* The per-user directory itself, not one that somebody named and whose name begins alike. */
static bool is_per_user(const char *path)
{
    char expected[sizeof per_user + 10];
    (void)snprintf(expected, sizeof expected, "%s%u", per_user, (unsigned)geteuid());
    return strcmp(path, expected) == 0;
}

/* In /dev/shm anybody may create anything: the per-user directory must be ours alone. */
static int check_private(int fd, const char *path, struct smx_diag *diag)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return smx__fail(diag, -errno, "%s: cannot be examined: %s", path, smx_strerror(errno));
    if (st.st_uid != geteuid() || (st.st_mode & 022) != 0)
        return smx__fail(diag, -EPERM,
                         "%s: belongs to user %u with mode %03o, not to us alone; remove it or set "
                         "SMX_DIR",
                         path, (unsigned)st.st_uid, (unsigned)(st.st_mode & 0777));
    return 0;
}

static int check(int fd, const char *path, int allow_disk, struct smx_diag *diag)
{
    struct statfs fs;
    if (fstatfs(fd, &fs) != 0)
        return smx__fail(diag, -errno, "%s: cannot be examined: %s", path, smx_strerror(errno));
    bool in_memory = fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC;
    if (!in_memory && !allow_disk)
        return smx__fail(diag, -ENOENT,
                         "%s: not on tmpfs; mount one there, or allow a disk (SMX_ALLOW_DISK), "
                         "whose writeback stalls the writers",
                         path);
    if (faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) != 0)
        return smx__fail(diag, -errno, "%s: files cannot be created in it: %s", path,
                         smx_strerror(errno));
    if (is_per_user(path))
        return check_private(fd, path, diag);
    return 0;
}

int smx__directory_open(const char *path, int allow_disk, struct smx_diag *diag)
{
    bool ours = is_per_user(path);
    if (ours)
        (void)mkdir(path, 0700); /* EEXIST is the usual case; the rest shows below */
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC | (ours ? O_NOFOLLOW : 0));
    if (fd < 0)
        return smx__fail(diag, -errno, "%s: not a directory that can be used: %s", path,
                         smx_strerror(errno));
    int error = check(fd, path, allow_disk, diag);
    if (error)
        close(fd);
    return error ? error : fd;
}
