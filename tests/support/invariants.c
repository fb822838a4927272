/* SPDX-License-Identifier: MIT
 *
 * invariants.c - the file, the header (invariant 8) and the space (invariants 1 and 4). Whatever is
 * compared with a word that moves is read in the order in which the writers' promise holds: a word
 * that grows is read after what must lie below it.
 */
#include "support/invariants_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ALLOCATED = 1024, RESERVED_TO = 1032, NEXT_CELL = 1280, MOVING = 1024, CONSTANT = 2048 };

static bool get_now(const struct invariants *v, uint64_t at, void *to, size_t size)
{
    return pread(v->fd, to, size, (off_t)at) == (ssize_t)size;
}

bool invariants_get(const struct invariants *v, uint64_t at, void *to, size_t size)
{
    if (at > v->n_image || size > v->n_image - at)
        return get_now(v, at, to, size);
    memcpy(to, v->image + at, size);
    return true;
}

uint64_t invariants_word(const struct invariants *v, uint64_t at)
{
    uint64_t word = 0;
    return get_now(v, at, &word, sizeof word) ? word : 0;
}

bool invariants_say(struct invariants *v, int invariant, uint64_t at, const char *what)
{
    snprintf(v->text, sizeof v->text, "invariant %d, at %" PRIu64 ": %s", invariant, at, what);
    return false;
}

uint64_t invariants_row_bytes(enum smx__cells kind)
{
    return kind == SMX__CELLS_COUNTER ? 4096 : 64;
}

uint64_t invariants_cell_bytes(enum smx__cells kind)
{
    return kind == SMX__CELLS_COUNTER ? 8 : 16;
}

uint64_t invariants_rows(const struct smx__header *h, enum smx__cells kind)
{
    return kind == SMX__CELLS_COUNTER ? (uint64_t)h->rows + h->counter_stripes
           : kind == SMX__CELLS_GAUGE ? (uint64_t)h->slots + 1
                                      : 1;
}

bool invariants_constant(struct invariants *v, int invariant, uint64_t at, const void *bytes,
                         size_t size)
{
    uint64_t sum = 1;
    for (size_t i = 0; i < size; i++)
        sum = (sum ^ ((const unsigned char *)bytes)[i]) * UINT64_C(0x100000001b3);
    sum |= 1;
    if (v->checksum[at / 8] && v->checksum[at / 8] != sum)
        return invariants_say(v, invariant, at, "changed after it was published");
    v->checksum[at / 8] = sum;
    return true;
}

bool invariants_range(struct invariants *v, uint64_t at, uint64_t size, uint64_t align)
{
    if (v->n_ranges == v->room_ranges) {
        size_t room = v->room_ranges ? v->room_ranges * 2 : 1024;
        struct range *ranges = realloc(v->ranges, room * sizeof *ranges);
        if (!ranges)
            return invariants_say(v, 0, at, "no memory");
        v->ranges = ranges;
        v->room_ranges = room;
    }
    if (at % align || at > v->header.max_bytes || size > v->header.max_bytes - at)
        return invariants_say(v, 4, at, "lies outside of what can be allocated");
    v->ranges[v->n_ranges++] = (struct range){at, at + size, align};
    return true;
}

bool invariants_extent(struct invariants *v, enum smx__cells kind, uint64_t cell)
{
    uint64_t row = invariants_row_bytes(kind);
    uint64_t at = cell & ~(row - 1);
    if (at >= v->header.max_bytes)
        return invariants_say(v, 4, cell, "a cell out of bounds");
    if (v->where[at / 8])
        return v->where[at / 8] == UINT32_MAX ||
               invariants_say(v, 4, cell, "a cell where a record lies");
    v->where[at / 8] = UINT32_MAX;
    v->extents[kind]++;
    return invariants_range(v, at, row * invariants_rows(&v->header, kind), row);
}

static bool is_zero(const unsigned char *at, size_t size)
{
    return size == 0 || (at[0] == 0 && memcmp(at, at + 1, size - 1) == 0);
}

/* The cells that the next ones are cut from start as zero, in every row (invariant 4). */
static bool next_cells(struct invariants *v, enum smx__cells kind)
{
    unsigned char row[4096];
    uint64_t cursor_at = NEXT_CELL + (uint64_t)kind * 8;
    uint64_t bytes = invariants_row_bytes(kind);
    uint64_t first = invariants_word(v, cursor_at);
    uint64_t extent = first & ~(bytes - 1);
    if (first % bytes == 0)
        return true;
    if (!invariants_extent(v, kind, first))
        return false;
    for (uint64_t i = 0; i < invariants_rows(&v->header, kind); i++) {
        if (!invariants_get(v, extent + i * bytes, row, bytes))
            return invariants_say(v, 4, extent, "an extent behind the file's end");
        uint64_t now = invariants_word(v, cursor_at);
        uint64_t from = now > first && now < extent + bytes ? now - extent : first - extent;
        if (now >= first && now < extent + bytes && !is_zero(row + from, bytes - from))
            return invariants_say(v, 4, extent + i * bytes + from, "a free cell is not zero");
    }
    return true;
}

/* Cells handed out from the extents in use: all but those behind the cursors. */
static void count_lost_cells(struct invariants *v)
{
    for (enum smx__cells kind = SMX__CELLS_COUNTER; kind <= SMX__CELLS_LAST; kind++) {
        uint64_t row = invariants_row_bytes(kind);
        uint64_t next = invariants_word(v, NEXT_CELL + (uint64_t)kind * 8) % row;
        uint64_t out = v->extents[kind] * row - (next ? row - next : 0);
        v->use.lost_cells += out / invariants_cell_bytes(kind) - v->used_cells[kind];
    }
}

static int by_offset(const void *a, const void *b)
{
    const struct range *x = a;
    const struct range *y = b;
    return (x->at > y->at) - (x->at < y->at);
}

/* No two things overlap, and all were allocated before they could be reached. */
static bool ranges_are_apart(struct invariants *v)
{
    uint64_t end = v->tables_end;
    v->use.allocated = invariants_word(v, ALLOCATED);
    if (v->n_ranges)
        qsort(v->ranges, v->n_ranges, sizeof *v->ranges, by_offset);
    for (size_t i = 0; i < v->n_ranges; i++) {
        const struct range *r = &v->ranges[i];
        if (r->at < end)
            return invariants_say(v, 4, r->at, "two things overlap");
        if (r->end > v->use.allocated)
            return invariants_say(v, 4, r->at, "not allocated");
        if (r->at - end >= r->align)
            v->use.debris += r->at - end;
        end = r->end;
    }
    v->use.debris += v->use.allocated - end;
    return true;
}

/* What is not allocated yet was never written. */
static bool rest_is_zero(struct invariants *v)
{
    unsigned char page[4096];
    uint64_t to = invariants_word(v, RESERVED_TO);
    for (uint64_t at = invariants_word(v, ALLOCATED) & ~UINT64_C(4095); at < to; at += 4096) {
        if (!get_now(v, at, page, sizeof page))
            return true; /* a short file is the header's affair */
        uint64_t now = invariants_word(v, ALLOCATED);
        uint64_t from = now <= at ? 0 : now - at;
        if (from < sizeof page && !is_zero(page + from, sizeof page - from))
            return invariants_say(v, 4, at + from, "written, but not allocated");
    }
    return true;
}

/* Reserved before it is allocated, allocated before it is written; and the file system agrees. */
static bool check_space(struct invariants *v)
{
    struct stat st;
    uint64_t allocated = invariants_word(v, ALLOCATED);
    uint64_t reserved = invariants_word(v, RESERVED_TO);
    if (allocated > reserved)
        return invariants_say(v, 1, allocated, "allocated, not reserved");
    if (fstat(v->fd, &st) != 0 || (uint64_t)st.st_blocks * 512 < reserved)
        return invariants_say(v, 1, reserved, "the file has fewer blocks than are reserved");
    /* Reserved pages that nobody has written count as a hole. */
    off_t data = lseek(v->fd, (off_t)reserved, SEEK_DATA);
    reserved = (invariants_word(v, RESERVED_TO) + 4095) & ~UINT64_C(4095);
    if (data >= 0 && (uint64_t)data >= reserved)
        return invariants_say(v, 1, (uint64_t)data, "written, but not reserved");
    return rest_is_zero(v);
}

static bool check_header(struct invariants *v)
{
    struct smx__header h;
    struct stat st;
    if (!get_now(v, 0, &h, sizeof h) || fstat(v->fd, &st) != 0)
        return invariants_say(v, 8, 0, "no whole header");
    if (h.magic != UINT64_C(0x0a0d474553584d53) || h.byte_order != 0x01020304 || h.major != 1 ||
        h.capacity != (uint64_t)st.st_size || h.max_bytes > h.capacity || h.app[0] == '\0' ||
        h.created_ns == 0 || h.n_buckets == 0 || h.slots == 0)
        return invariants_say(v, 8, 0, "the header is not complete");
    uint64_t tables = h.buckets_at + h.n_buckets * 4;
    if (h.slots_at < sizeof h || h.buckets_at < h.slots_at + h.slots * sizeof(struct smx__slot) ||
        h.allocated < tables)
        return invariants_say(v, 8, 0, "the tables do not lie one behind the other");
    if (v->header.magic &&
        (memcmp(&h, &v->header, MOVING) != 0 ||
         memcmp((char *)&h + CONSTANT, (char *)&v->header + CONSTANT, sizeof h - CONSTANT) != 0))
        return invariants_say(v, 8, 0, "the header changed");
    v->tables_end = (tables + 4095) & ~UINT64_C(4095);
    v->header = h;
    return true;
}

static bool has_memory(struct invariants *v)
{
    size_t words = v->header.max_bytes / 8 + 1;
    if (!v->where) {
        v->where = calloc(words, sizeof *v->where);
        v->checksum = calloc(words, sizeof *v->checksum);
        v->generation = calloc(v->header.slots, sizeof *v->generation);
        v->image = malloc(words * 8);
    }
    return (v->where && v->checksum && v->generation && v->image) ||
           invariants_say(v, 0, 0, "no memory");
}

static void forget(struct invariants *v)
{
    for (size_t i = 0; i < v->n_items; i++)
        free(v->items[i].bytes);
    for (size_t i = 0; i < v->n_ranges; i++)
        v->where[v->ranges[i].at / 8] = 0;
    v->n_items = v->n_ranges = v->n_image = 0;
    memset(v->used_cells, 0, sizeof v->used_cells);
    memset(v->extents, 0, sizeof v->extents);
    v->use = (struct invariants_use){0};
}

static bool look(struct invariants *v, bool at_once)
{
    forget(v);
    if (!check_header(v) || !has_memory(v))
        return false;
    ssize_t n = at_once ? pread(v->fd, v->image, v->header.allocated, 0) : 0;
    v->n_image = n > 0 ? (size_t)n : 0;
    bool sound = invariants_records(v) && invariants_slots(v) &&
                 next_cells(v, SMX__CELLS_COUNTER) && next_cells(v, SMX__CELLS_GAUGE) &&
                 next_cells(v, SMX__CELLS_LAST) && ranges_are_apart(v) && check_space(v);
    count_lost_cells(v);
    return sound;
}

const char *invariants_fault(struct invariants *v, struct invariants_use *use)
{
    /* In one copy, which is quick, a record may lie that was not complete when it was made, and
     * a ref to it that was made later: only what is read in the order of the chains tells. */
    bool sound = look(v, true) || look(v, false);
    if (use)
        *use = v->use;
    return sound ? NULL : v->text;
}

struct invariants *invariants_open(const char *path)
{
    struct invariants *v = calloc(1, sizeof *v);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (!v || fd < 0) {
        free(v);
        return NULL;
    }
    v->fd = fd;
    return v;
}

void invariants_close(struct invariants *v)
{
    if (!v)
        return;
    forget(v);
    close(v->fd);
    free(v->where);
    free(v->checksum);
    free(v->generation);
    free(v->items);
    free(v->ranges);
    free(v->image);
    free(v);
}
