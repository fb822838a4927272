/* SPDX-License-Identifier: MIT
 *
 * header.c - reads the header and checks it by the rules of libshm/header.c, and against the file.
 */
#include "libshm/reader/reader.h"

#include "libshm/diag.h"
#include "libshm/header.h"

#include <errno.h>
#include <string.h>

/* What may lie in holes: the default budget. A live file is reserved as far as it is allocated
 * (invariant 1), but a copy of one may be sparse. */
#define SPARSE_MAX       (UINT64_C(64) << 20)
#define BOUND_SPARSE_MAX (UINT64_C(4) << 20) /* for a reader of many segments */

/* A few pages could claim gigabytes of holes, which cost their writer nothing and the reader the
 * time to read them and the memory to hold them. Asked after the header was read, since writers
 * reserve first and allocate then. */
static bool claims_holes(const struct smx__source *file, const struct smx__header *h,
                         uint64_t sparse_max)
{
    struct stat now;
    return h->allocated > sparse_max &&
           (fstat(file->fd, &now) != 0 || h->allocated / 512 > (uint64_t)now.st_blocks);
}

static int fail_holes(const char *path, struct smx_diag *diag)
{
    return smx__fail(diag, -EFBIG,
                     "%s: more is allocated than the file takes; if it is a copy, make it with "
                     "cp --sparse=never",
                     path);
}

int smx__header_bound(const struct smx__source *file, const struct smx__header *header,
                      uint64_t bound, const char *path, struct smx_diag *diag)
{
    if (header->allocated > bound)
        return smx__fail(diag, -E2BIG,
                         "%s: %llu bytes are allocated, and no more than %llu are read", path,
                         (unsigned long long)header->allocated, (unsigned long long)bound);
    return claims_holes(file, header, BOUND_SPARSE_MAX) ? fail_holes(path, diag) : 0;
}

int smx__header_read(struct smx__source *file, const char *path, struct smx__header *out,
                     struct stat *st, struct smx_diag *diag)
{
    struct smx__header h;
    if (fstat(file->fd, st) != 0 || st->st_size < 0)
        return smx__fail(diag, -EIO, "%s: fstat failed", path);
    if (!S_ISREG(st->st_mode) || st->st_dev != file->device || st->st_ino != file->inode)
        return smx__fail(diag, -EIO, "%s: its descriptor now names another file", path);
    if ((uint64_t)st->st_size < sizeof h)
        return smx__fail(diag, -EPROTO, "%s: not a segment: shorter than a header", path);
    /* `published` before `allocated`: what it announces then lies below what is allocated. The
     * file's reads of one word are ordered by the two system calls. */
    uint64_t published;
    if (smx__source_read(file, offsetof(struct smx__header, published), &published,
                         sizeof published) != 0 ||
        smx__source_read(file, 0, &h, sizeof h) != 0)
        return smx__fail(diag, -EIO, "%s: truncated within the header", path);
    h.published = published;
    if (h.magic != SMX__MAGIC || h.byte_order != SMX__BYTE_ORDER)
        return smx__fail(diag, -EPROTO, "%s: not a segment of this byte order", path);
    if (smx__header_is_foreign(&h))
        return smx__fail(diag, -EPROTONOSUPPORT, "%s: format %u.%u, this library reads %d.%d", path,
                         h.major, h.minor, SMX__MAJOR, SMX__MINOR);
    if (h.capacity > (uint64_t)st->st_size)
        return smx__fail(diag, -EIO, "%s: truncated: shorter than its capacity", path);
    const char *rule = smx__header_broken_rule(&h);
    if (rule)
        return smx__fail(diag, -EBADMSG, "%s: damaged header: %s", path, rule);
    if (claims_holes(file, &h, SPARSE_MAX))
        return fail_holes(path, diag);
    *out = h;
    return 0;
}

bool smx__header_moved(const struct smx__header *a, const struct smx__header *b)
{
    const size_t moving = offsetof(struct smx__header, allocated);
    const size_t labels = offsetof(struct smx__header, labels_len);
    return a->published != b->published || memcmp(a, b, moving) != 0 ||
           memcmp(&a->labels_len, &b->labels_len, sizeof *a - labels) != 0;
}
