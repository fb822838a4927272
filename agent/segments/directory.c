/* SPDX-License-Identifier: MIT
 *
 * directory.c - looks at a directory as a stranger's: opened without following a link at its end,
 * its entries examined relative to that descriptor.
 */
#include "agent/segments/directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SUFFIX ".smx"

bool directory_names_segment(const char *name)
{
    size_t length = strlen(name), suffix = strlen(SUFFIX);
    if (name[0] == '.' || length <= suffix || strcmp(name + length - suffix, SUFFIX) != 0)
        return false;
    size_t end = length - suffix, digits = 0;
    while (digits < end && name[end - digits - 1] >= '0' && name[end - digits - 1] <= '9')
        digits++;
    return digits > 0 && end - digits > 2 && memcmp(name + end - digits - 2, ".v", 2) == 0;
}

const char *directory_refuses(const struct directory *directory, const struct stat *st)
{
    if (S_ISLNK(st->st_mode))
        return "a symbolic link is not followed";
    if (!S_ISREG(st->st_mode))
        return "not a regular file";
    if (st->st_uid == 0 || st->st_uid == geteuid() || st->st_uid == directory->owner ||
        (directory->mode & S_ISVTX))
        return NULL;
    return "its owner is neither root, nor the agent's user, nor the directory's owner";
}

const char *directory_state_name(enum directory_state state)
{
    static const char *const names[] = {"unknown", "read", "absent", "refused", "failed"};
    return names[state];
}

static enum directory_state refuse(struct directory *directory, const char *why)
{
    snprintf(directory->why, sizeof directory->why, "%s", why);
    return DIRECTORY_REFUSED;
}

/* What is not the directory's doing, and may pass: descriptors or memory have run out. */
static enum directory_state fail(struct directory *directory, int code)
{
    snprintf(directory->why, sizeof directory->why, "%s", strerror(code));
    return DIRECTORY_FAILED;
}

static enum directory_state refuse_code(struct directory *directory, int code)
{
    directory->unsure = code == EMFILE || code == ENFILE || code == ENOMEM;
    if (code == ENOENT)
        return DIRECTORY_ABSENT;
    if (code == ELOOP)
        return refuse(directory, "a symbolic link is not followed: name the directory it leads to");
    if (code == ENOTDIR)
        return refuse(directory, "not a directory");
    if (code == EACCES)
        return refuse(directory,
                      "permission denied: add the agent's user to the directory's group");
    return fail(directory, code);
}

/* A default directory lies where everybody may create it first, or something else of its name. */
static bool is_foreign(struct directory *directory, const struct stat *st)
{
    directory->foreign = directory->by_default && st->st_uid != 0 && st->st_uid != geteuid();
    return directory->foreign;
}

static enum directory_state refuse_foreign(struct directory *directory)
{
    return refuse(directory, "it belongs to another user: give --segments.dir if that is meant");
}

static enum directory_state check(struct directory *directory, int fd)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return refuse_code(directory, errno);
    if (is_foreign(directory, &st))
        return refuse_foreign(directory);
    directory->owner = st.st_uid;
    directory->mode = st.st_mode;
    return DIRECTORY_READ;
}

static enum directory_state open_directory(struct directory *directory, DIR **out)
{
    int fd = open(directory->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        struct stat st;
        int code = errno;
        bool there = lstat(directory->path, &st) == 0;
        if (there && is_foreign(directory, &st))
            return refuse_foreign(directory);
        /* with O_DIRECTORY a link is ENOTDIR */
        if (code == ENOTDIR && there && S_ISLNK(st.st_mode))
            code = ELOOP;
        return refuse_code(directory, code);
    }
    enum directory_state state = check(directory, fd);
    DIR *stream = state == DIRECTORY_READ ? fdopendir(fd) : NULL;
    if (!stream) {
        if (state == DIRECTORY_READ)
            state = refuse_code(directory, errno);
        close(fd);
        return state;
    }
    *out = stream;
    return state;
}

/* Returns: 0, or the errno for which not all was seen. */
static int walk(DIR *stream, void (*found)(void *context, const struct directory_entry *entry),
                void *context)
{
    int error = 0;
    const struct dirent *entry;
    while (errno = 0, (entry = readdir(stream))) {
        struct stat st;
        if (!directory_names_segment(entry->d_name))
            continue;
        if (fstatat(dirfd(stream), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
            found(context, &(struct directory_entry){.name = entry->d_name, .st = &st});
        else if (errno != ENOENT) /* it has gone meanwhile */
            error = errno;
    }
    return errno ? errno : error;
}

bool directory_scan(struct directory *directory,
                    void (*found)(void *context, const struct directory_entry *entry),
                    void *context)
{
    enum directory_state before = directory->state;
    DIR *stream = NULL;
    directory->why[0] = 0;
    directory->foreign = false;
    directory->unsure = false;
    directory->state = open_directory(directory, &stream);
    if (!stream)
        return directory->state != before;
    int error = walk(stream, found, context);
    if (error)
        directory->state = fail(directory, error);
    closedir(stream);
    return directory->state != before;
}
