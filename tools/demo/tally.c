/* SPDX-License-Identifier: MIT
 *
 * tally.c - a second account of the work done. Plain stores into a shared file mapping: what a
 * worker stored is there when it is killed. No record has two writers, so nothing is atomic.
 */
#include "tally.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

int tally_open(const char *path, struct tally **out)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    void *map = MAP_FAILED;
    if (ftruncate(fd, sizeof(struct tally)) == 0)
        map = mmap(NULL, sizeof(struct tally), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    int error = map == MAP_FAILED ? -errno : 0;
    close(fd);
    if (!error)
        *out = map;
    return error;
}

struct tally_life *tally_next(struct tally *tally)
{
    if (!tally)
        return NULL;
    uint64_t life = tally->lives++;
    return life < TALLY_LIVES ? &tally->life[life] : NULL;
}

void tally_count(struct tally_life *life, enum http_method method, enum route route,
                 enum http_status status, size_t bytes)
{
    if (!life)
        return;
    life->requests[method][route][status]++;
    life->bytes[route] += bytes;
}
