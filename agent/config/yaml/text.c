/* SPDX-License-Identifier: MIT
 *
 * text.c - reads a file that may be anything: a pipe does not block, a huge one is not read.
 */
#include "agent/config/yaml/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A read is not taken up again more often: a file system in user space may say EINTR for ever. */
enum { MAX_SIGNALS = 100 };

static int refuse(char why[TEXT_WHY_SIZE], int code, const char *text)
{
    snprintf(why, TEXT_WHY_SIZE, "%s", text);
    return code;
}

static int refuse_kind(const struct stat *st, char why[TEXT_WHY_SIZE])
{
    if (S_ISDIR(st->st_mode))
        return refuse(why, -EISDIR, "is a directory, and not a file");
    if (!S_ISREG(st->st_mode))
        return refuse(why, -EINVAL, "is not a regular file");
    return 0;
}

/* Read on behind the length, to the end of the file or of the room. */
static int fill(int fd, char *to, size_t *length, size_t room)
{
    for (int signals = 0; *length < room;) {
        ssize_t n = read(fd, to + *length, room - *length);
        if (n < 0 && errno == EINTR && ++signals < MAX_SIGNALS)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : 0;
        *length += (size_t)n;
    }
    return 0;
}

/* Move the text to where there is room for as much as may be. It may be a key: no copy is left. */
static char *move(char *text, size_t length)
{
    char *moved = malloc(TEXT_MAX + 1);
    if (moved)
        memcpy(moved, text, length);
    explicit_bzero(text, length);
    free(text);
    return moved;
}

/* With room for the size that the file has, and for a byte more: where that is filled, the file has
 * grown since, or it is one of those without a size, as in /proc. */
static int read_all(int fd, size_t size, char **text, size_t *length)
{
    size_t room = size < TEXT_MAX ? size + 1 : TEXT_MAX + 1;
    *length = 0;
    *text = malloc(room);
    int rc = *text ? fill(fd, *text, length, room) : -ENOMEM;
    if (rc == 0 && *length == room && room <= TEXT_MAX) {
        room = TEXT_MAX + 1;
        *text = move(*text, *length);
        rc = *text ? fill(fd, *text, length, room) : -ENOMEM;
    }
    if (rc == 0 && *length == room)
        rc = -EFBIG;
    if (rc == 0)
        (*text)[*length] = '\0';
    return rc;
}

static int read_regular(int fd, char **text, size_t *length, char why[TEXT_WHY_SIZE])
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return refuse(why, -errno, strerror(errno));
    int rc = refuse_kind(&st, why);
    if (rc < 0)
        return rc;
    char *bytes = NULL;
    rc = read_all(fd, (size_t)st.st_size, &bytes, length);
    if (rc < 0) {
        free(bytes);
        return refuse(why, rc, rc == -EFBIG ? "is larger than 1 MiB" : strerror(-rc));
    }
    *text = bytes;
    return 0;
}

int text_read(const char *path, char **text, size_t *length, char why[TEXT_WHY_SIZE])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return refuse(why, -errno, strerror(errno));
    int rc = read_regular(fd, text, length, why);
    close(fd);
    return rc;
}
