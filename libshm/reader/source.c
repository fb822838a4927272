/* SPDX-License-Identifier: MIT
 *
 * source.c - opens a segment's file and reads it: the only system calls of the reader but
 * those that ask who lives. It preads, since a mapping would allocate pages for holes and raise
 * SIGBUS when the file is truncated; here a short read is the truncation.
 *
 * It does not know what the bytes mean. Callers give the bounds.
 */
#include "libshm/reader/reader.h"

#include "libshm/diag.h"
#include "libshm/metric/seal.h"
#include "libshm/segment/slot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How often something sealed that fits no seal is copied again. */
enum { REREADS = 8 };

/* The cache may hold the whole registry while it is read, so that whatever the order of the records
 * no byte is read twice: of two blocks in one place, chains could ask in turn, a million times.
 * Small blocks: among histograms, records lie apart by many pages. */
enum { BLOCK_SIZE = 4 * 1024 };

/* In one read. */
enum { MAX_SIGNALS = 100 };

struct smx__cache_block {
    unsigned char *bytes; /* NULL: empty */
    size_t length;
};

/* Close a descriptor, unless the process itself writes the segment: closing any descriptor of a
 * file drops all of the process' locks on it, so such a one is left open for good. */
static void release(int fd, dev_t device, ino_t inode)
{
    if (smx__process_fd(device, inode) < 0)
        smx__fd_drop(fd);
}

static int check_type(const struct stat *st, const char *path, struct smx_diag *diag)
{
    if (S_ISREG(st->st_mode))
        return 0;
    return smx__fail(diag, -EPROTO, "%s: not a regular file", path);
}

/* The descriptor to read a file by: the writer's in this process, or a new one. */
static int open_shared(const char *path, struct stat *st)
{
    if (lstat(path, st) != 0)
        return -errno;
    int fd = smx__process_fd(st->st_dev, st->st_ino);
    if (fd >= 0)
        return fd;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return -errno;
    if (fstat(fd, st) != 0) {
        int error = errno;
        smx__fd_drop(fd);
        return -error;
    }
    return fd;
}

int smx__source_open(struct smx__source *file, const char *path, struct smx_diag *diag)
{
    struct stat st;
    int fd = open_shared(path, &st);
    if (fd < 0)
        return smx__fail(diag, fd, "%s: %s", path, smx_strerror(fd));
    int result = check_type(&st, path, diag);
    /* Pages into pages: where the two differ by 1 to 31 bytes, as with malloc(), which begins 16
     * bytes behind a page, the kernel's copy takes three times as long (Zen 3's rep movsb). */
    unsigned char *window = result == 0 ? aligned_alloc(SMX__PAGE, SMX__VIEW_MAX) : NULL;
    if (result == 0 && !window)
        result = smx__fail(diag, -ENOMEM, "%s: %s", path, smx_strerror(-ENOMEM));
    if (result != 0) {
        release(fd, st.st_dev, st.st_ino);
        return result;
    }
    *file =
        (struct smx__source){.fd = fd, .device = st.st_dev, .inode = st.st_ino, .window = window};
    return 0;
}

void smx__source_close(struct smx__source *file)
{
    release(file->fd, file->device, file->inode);
    free(file->window);
    *file = (struct smx__source){.fd = -1};
}

int smx__source_read(struct smx__source *file, uint64_t at, void *to, size_t size)
{
    unsigned char *out = to;
    for (int signals = 0; size;) {
        if (at > INT64_MAX)
            return -EIO;
        ssize_t n = pread(file->fd, out, size, (off_t)at);
        if (n < 0 && errno == EINTR && ++signals < MAX_SIGNALS)
            continue;
        if (n <= 0)
            return -EIO;
        out += n;
        at += (uint64_t)n;
        size -= (size_t)n;
    }
    return 0;
}

const void *smx__source_view(struct smx__source *file, uint64_t at, size_t size, uint64_t ahead)
{
    if (at < file->window_at || at - file->window_at > file->window_length ||
        size > file->window_length - (at - file->window_at)) {
        uint64_t length = ahead > at ? ahead - at : 0;
        if (length > SMX__VIEW_MAX)
            length = SMX__VIEW_MAX;
        if (length < size)
            length = size;
        smx__source_forget(file);
        if (size > SMX__VIEW_MAX || smx__source_read(file, at, file->window, length) != 0)
            return NULL;
        file->window_at = at;
        file->window_length = length;
    }
    return file->window + (at - file->window_at);
}

int smx__source_sealed(struct smx__source *file, uint64_t at, void *copy, size_t room)
{
    uint64_t word[SMX__SEAL_WORDS];
    for (int tries = 0; tries < REREADS; tries++) {
        memcpy(word, copy, sizeof word);
        if (word[0] == 0 && word[1] == 0)
            return 0;
        if (word[3] <= room - sizeof word && word[0] == smx__seal(copy, at))
            return 1;
        int result = smx__source_read(file, at, copy, room);
        if (result != 0)
            return result;
    }
    return 0;
}

void smx__source_forget(struct smx__source *file)
{
    file->window_length = 0;
}

int smx__cache_init(struct smx__cache *cache, struct smx__source *file, uint64_t limit)
{
    *cache = (struct smx__cache){
        .file = file, .limit = limit, .n_blocks = (size_t)(limit / BLOCK_SIZE) + 1};
    cache->blocks = calloc(cache->n_blocks, sizeof *cache->blocks);
    return cache->blocks ? 0 : -ENOMEM;
}

void smx__cache_drop(struct smx__cache *cache, size_t block)
{
    free(cache->blocks[block].bytes);
    cache->blocks[block] = (struct smx__cache_block){0};
}

void smx__cache_fini(struct smx__cache *cache)
{
    for (size_t i = 0; cache->blocks && i < cache->n_blocks; i++)
        free(cache->blocks[i].bytes);
    free(cache->blocks);
    cache->blocks = NULL;
}

/* Find or read a block. Returns 0, -EIO, -ENOMEM. */
static int cache_block(struct smx__cache *cache, uint64_t number, struct smx__cache_block **out)
{
    if (number >= cache->n_blocks)
        return -EIO;
    struct smx__cache_block *block = &cache->blocks[number];
    *out = block;
    if (block->length)
        return 0;
    if (!block->bytes)
        block->bytes = malloc(BLOCK_SIZE);
    if (!block->bytes)
        return -ENOMEM;
    uint64_t left = cache->limit - number * BLOCK_SIZE;
    size_t length = left < BLOCK_SIZE ? (size_t)left : BLOCK_SIZE;
    int result = smx__source_read(cache->file, number * BLOCK_SIZE, block->bytes, length);
    if (result != 0)
        return result;
    cache->n_read += length;
    block->length = length;
    return 0;
}

int smx__cache_copy(struct smx__cache *cache, uint64_t at, void *to, size_t size)
{
    size_t from = at % BLOCK_SIZE;
    /* Not from two blocks: the one may have been read before these bytes were written, the other
     * afterwards, and of what they hold the beginning alone says whether it is complete. */
    if (size > BLOCK_SIZE - from) {
        cache->n_read += size;
        return smx__source_read(cache->file, at, to, size);
    }
    struct smx__cache_block *block;
    int result = cache_block(cache, at / BLOCK_SIZE, &block);
    if (result != 0)
        return result;
    if (from + size > block->length)
        return -EIO;
    memcpy(to, block->bytes + from, size);
    return 0;
}
