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

static int refuse_kind(int fd, char why[TEXT_WHY_SIZE])
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return refuse(why, -errno, strerror(errno));
    if (S_ISDIR(st.st_mode))
        return refuse(why, -EISDIR, "is a directory, and not a file");
    if (!S_ISREG(st.st_mode))
        return refuse(why, -EINVAL, "is not a regular file");
    return 0;
}

/* Up to one byte more than may be there: a file may grow while it is read. */
static int read_all(int fd, char *to, size_t *length)
{
    *length = 0;
    for (int signals = 0; *length <= TEXT_MAX;) {
        ssize_t n = read(fd, to + *length, TEXT_MAX + 1 - *length);
        if (n < 0 && errno == EINTR && ++signals < MAX_SIGNALS)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : 0;
        *length += (size_t)n;
    }
    return -EFBIG;
}

static int read_regular(int fd, char **text, size_t *length, char why[TEXT_WHY_SIZE])
{
    int rc = refuse_kind(fd, why);
    if (rc < 0)
        return rc;
    char *bytes = malloc(TEXT_MAX + 1);
    if (!bytes)
        return refuse(why, -ENOMEM, strerror(ENOMEM));
    rc = read_all(fd, bytes, length);
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
