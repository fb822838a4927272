/* SPDX-License-Identifier: MIT
 *
 * header.c - reads the header and checks all of it that the other files rely on. What passes
 * is sound in itself: no later check has to think about overflow of these numbers.
 */
#include "libshm/reader/reader.h"

#include "libshm/diag.h"
#include "libshm/names.h"

#include <errno.h>
#include <string.h>

/* What may lie in holes: the default budget. A live file is reserved as far as it is allocated
 * (invariant 1), but a copy of one may be sparse. */
#define SPARSE_MAX (UINT64_C(64) << 20)

static bool is_power_of_two(uint64_t n)
{
    return n && (n & (n - 1)) == 0;
}

/* Whether [at, at + size) lies between the header and the allocated bytes' end. */
static bool in_bounds(const struct smx__header *h, uint64_t at, uint64_t size)
{
    return at >= SMX__PAGE && at % 8 == 0 && at <= h->allocated && size <= h->allocated - at;
}

static bool is_known_layout(const struct smx__header *h)
{
    return h->header_size == sizeof(struct smx__header) &&
           h->record_size == sizeof(struct smx__record) &&
           h->family_size == sizeof(struct smx__family) &&
           h->series_size == sizeof(struct smx__series) &&
           h->hist_size == sizeof(struct smx_hist) && h->slot_size == sizeof(struct smx__slot);
}

static bool has_sound_rows(const struct smx__header *h)
{
    if (h->kind != (h->rows ? SMX__KIND_PERCPU : SMX__KIND_STRIPED))
        return false;
    return h->rows <= SMX__MAX_ROWS && is_power_of_two(h->counter_stripes) &&
           h->counter_stripes <= SMX__MAX_STRIPES && is_power_of_two(h->hist_stripes) &&
           h->hist_stripes <= SMX__MAX_STRIPES;
}

static bool has_sound_tables(const struct smx__header *h)
{
    return h->slots >= 1 && h->slots <= SMX__MAX_SLOTS &&
           in_bounds(h, h->slots_at, (uint64_t)h->slots * sizeof(struct smx__slot)) &&
           is_power_of_two(h->n_buckets) &&
           in_bounds(h, h->buckets_at, (uint64_t)h->n_buckets * sizeof(uint32_t));
}

/* Sections may come with a newer minor version; even unknown ones must lie in the file. */
static bool has_sound_sections(const struct smx__header *h)
{
    if (h->n_sections > SMX__MAX_SECTIONS)
        return false;
    for (uint32_t i = 0; i < h->n_sections; i++)
        if (h->sections[i].at > h->capacity ||
            h->sections[i].length > h->capacity - h->sections[i].at)
            return false;
    return true;
}

static bool is_padded_name(const char *name, bool required)
{
    size_t length = strnlen(name, SMX__APP_SIZE);
    if (length == 0)
        return !required;
    return length < SMX__APP_SIZE && smx__is_app_name(name, length);
}

/* The rule that a header breaks, or NULL. */
static const char *broken_rule(const struct smx__header *h)
{
    if (!is_known_layout(h))
        return "the sizes of its structures are not those of its version";
    if (h->allocated > h->capacity || h->allocated < sizeof *h || h->max_bytes > h->capacity)
        return "more is allocated than its capacity";
    if (!has_sound_rows(h))
        return "its rows or stripes are out of range";
    if (!has_sound_tables(h))
        return "its slot table or hash table is out of bounds";
    if (!has_sound_sections(h))
        return "its sections are out of bounds";
    if (!is_padded_name(h->app, true) || !is_padded_name(h->instance, false))
        return "its application or instance name is not legal";
    return NULL;
}

/* A few pages could claim gigabytes of holes, which cost their writer nothing and the reader the
 * time to read them and the memory to hold them. Asked after the header was read, since writers
 * reserve first and allocate then. */
static bool claims_holes(const struct smx__source *file, const struct smx__header *h)
{
    struct stat now;
    return h->allocated > SPARSE_MAX &&
           (fstat(file->fd, &now) != 0 || h->allocated / 512 > (uint64_t)now.st_blocks);
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
    if (h.major != SMX__MAJOR)
        return smx__fail(diag, -EPROTONOSUPPORT, "%s: format %u.%u, this library reads %u", path,
                         h.major, h.minor, SMX__MAJOR);
    if (h.capacity > (uint64_t)st->st_size)
        return smx__fail(diag, -EIO, "%s: truncated: shorter than its capacity", path);
    const char *rule = broken_rule(&h);
    if (rule)
        return smx__fail(diag, -EPROTO, "%s: damaged header: %s", path, rule);
    if (claims_holes(file, &h))
        return smx__fail(diag, -EPROTO,
                         "%s: more is allocated than the file takes; if it is a copy, make it with "
                         "cp --sparse=never",
                         path);
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
