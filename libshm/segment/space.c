/* SPDX-License-Identifier: MIT
 *
 * space.c - hands out the segment's bytes. Every byte is reserved with fallocate(2) before the
 * cursor passes it (invariant 1), so a full tmpfs is an error code here and never a SIGBUS later.
 * Nothing is given back: handles to cells may be cached anywhere.
 */
#include "libshm/segment/space.h"

#include "libshm/crash.h"
#include "libshm/segment/clock.h"
#include "libshm/segment/slot.h"

#include <errno.h>
#include <fcntl.h>

/* Reserved ahead of need, where there is room: fewer system calls while a server registers. */
enum { RESERVE_AHEAD = 64 * 1024, MAX_TRIES = 1000 };

/* Signals in a row, and what is small enough to be had between two of them. */
enum { MAX_SIGNALS = 100, PIECE = 64 * 1024 };

/* A file system that was full is not asked again at once: asking takes it up to 0.2 ms, and a
 * server may look a new series up with each request. */
enum { RETRY_NS = 10 * 1000 * 1000 };

static uint64_t page_up(uint64_t offset)
{
    return (offset + SMX__PAGE - 1) & ~(uint64_t)(SMX__PAGE - 1);
}

int smx__reserve(int fd, uint64_t at, uint64_t length)
{
    uint64_t piece = length;
    for (int tries = 0; length > 0;) {
        /* Never posix_fallocate(3): its fallback writes into the file. KEEP_SIZE: one that somebody
         * has cut must not grow again. Below its length RLIMIT_FSIZE does not count. */
        if (fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)at, (off_t)piece) == 0) {
            tries = 0;
            at += piece;
            length -= piece;
            piece = piece < length ? piece : length;
        } else if (errno != EINTR || ++tries == MAX_SIGNALS) {
            return -errno;
        } else if (piece > PIECE) {
            /* Up to Linux 6.10 a signal undoes all that a call has done so far: among the ticks of
             * a profiler many megabytes at a time would never be had. */
            piece = page_up(piece / 2);
        }
    }
    return 0;
}

/* Reserve [have, end), where `have` is a value that reserved_to once had, and raise it to end. */
static int reserve_up(struct smx__header *h, int fd, uint64_t have, uint64_t end)
{
    int error = smx__reserve(fd, have, end - have);
    SMX__CRASH_POINT("reserve.allocated");
    for (int tries = 0; !error && have < end && tries < MAX_TRIES; tries++)
        if (__atomic_compare_exchange_n(&h->reserved_to, &have, end, false, __ATOMIC_RELEASE,
                                        __ATOMIC_RELAXED))
            break;
    SMX__CRASH_POINT("reserve.raised");
    return error;
}

/* Relaxed, both: what races with another thread's is a call too many, or a refusal too many. */
static void note_refusal(struct smx_segment *segment, uint64_t bytes)
{
    uint64_t now = smx__clock_ns(CLOCK_MONOTONIC_COARSE);
    __atomic_store_n(&segment->refused_bytes, bytes, __ATOMIC_RELAXED);
    __atomic_store_n(&segment->retry_ns, now + RETRY_NS, __ATOMIC_RELAXED);
}

/* Whether so much, or less, was refused a moment ago. */
static bool was_refused(const struct smx_segment *segment, uint64_t bytes)
{
    uint64_t retry_ns = __atomic_load_n(&segment->retry_ns, __ATOMIC_RELAXED);
    return retry_ns && bytes >= __atomic_load_n(&segment->refused_bytes, __ATOMIC_RELAXED) &&
           smx__clock_ns(CLOCK_MONOTONIC_COARSE) < retry_ns;
}

/* Have [0, end) reserved; a little more if that is to be had. */
static int reserve_to(struct smx_segment *segment, uint64_t end)
{
    struct smx__header *h = segment->header;
    /* Acquire: pairs with the release above; what another process reserved stays reserved. */
    uint64_t have = __atomic_load_n(&h->reserved_to, __ATOMIC_ACQUIRE);
    if (end <= have)
        return 0;
    if (was_refused(segment, end - have))
        return -ENOSPC;
    if (!smx__fd_check(segment))
        return -EBADF;
    uint64_t want = page_up(end);
    uint64_t ahead = want + RESERVE_AHEAD < h->max_bytes ? want + RESERVE_AHEAD : h->max_bytes;
    int error = reserve_up(h, segment->fd, have, ahead);
    if (error)
        error = reserve_up(h, segment->fd, have, want);
    if (error)
        note_refusal(segment, end - have);
    return error;
}

int smx__reserve_all(struct smx__header *h, int fd)
{
    /* Acquire: as in reserve_to. */
    uint64_t have = __atomic_load_n(&h->reserved_to, __ATOMIC_ACQUIRE);
    return have < h->max_bytes ? reserve_up(h, fd, have, h->max_bytes) : 0;
}

int smx__allocate(struct smx_segment *segment, uint64_t size, uint64_t align, uint64_t *at)
{
    struct smx__header *h = segment->header;
    /* Relaxed: the CAS below decides; memory past the cursor has never been written. */
    uint64_t cursor = __atomic_load_n(&h->allocated, __ATOMIC_RELAXED);
    for (int tries = 0; tries < MAX_TRIES; tries++) {
        uint64_t start = (cursor + align - 1) & ~(align - 1);
        if (start > h->max_bytes || size > h->max_bytes - start)
            return -ENOSPC;
        int error = reserve_to(segment, start + size);
        if (error)
            return error;
        /* Release: pairs with the reader's acquire of `allocated`. */
        if (__atomic_compare_exchange_n(&h->allocated, &cursor, start + size, false,
                                        __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
            *at = start;
            SMX__CRASH_POINT("allocate.taken");
            return 0;
        }
    }
    return -EAGAIN;
}

void smx__give_back(struct smx_segment *segment, uint64_t at, uint64_t size)
{
    uint64_t end = at + size;
    SMX__CRASH_POINT("allocate.returning");
    (void)__atomic_compare_exchange_n(&segment->header->allocated, &end, at, false,
                                      __ATOMIC_RELEASE, __ATOMIC_RELAXED);
    SMX__CRASH_POINT("allocate.returned");
}

/* The geometry of the extents that cells are cut from. */
struct geometry {
    uint64_t cell;   /* bytes */
    uint64_t row;    /* bytes from row to row */
    uint64_t n_rows; /* rows */
};

static struct geometry geometry_of(const struct smx__header *h, enum smx__cells kind)
{
    switch (kind) {
    case SMX__CELLS_COUNTER:
        return (struct geometry){sizeof(uint64_t), 1u << SMX_COUNTER_SHIFT,
                                 (uint64_t)h->rows + h->counter_stripes};
    case SMX__CELLS_GAUGE:
        return (struct geometry){sizeof(struct smx_cell), 1u << SMX_GAUGE_SHIFT,
                                 (uint64_t)h->slots + 1};
    case SMX__CELLS_LAST:
    default:
        return (struct geometry){sizeof(struct smx_cell), 1u << SMX_GAUGE_SHIFT, 1};
    }
}

/* A cell from the current extent: moves the cursor by one. False if the extent is used up; *at is
 * then where the cursor was. */
static bool cut(uint64_t *cursor, const struct geometry *g, uint64_t *at)
{
    *at = __atomic_load_n(cursor, __ATOMIC_RELAXED);
    for (int tries = 0; (*at & (g->row - 1)) != 0 && tries < MAX_TRIES; tries++) {
        /* Relaxed: the cell is zero since the file was made, and found through a record. */
        if (__atomic_compare_exchange_n(cursor, at, *at + g->cell, false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED)) {
            SMX__CRASH_POINT("cells.cut");
            return true;
        }
    }
    return false;
}

int smx__allocate_cell(struct smx_segment *segment, enum smx__cells kind, uint64_t *at)
{
    struct smx__header *h = segment->header;
    struct geometry g = geometry_of(h, kind);
    uint64_t *cursor = &h->next_cell[kind];
    uint64_t extent = 0;
    for (int tries = 0; tries < MAX_TRIES; tries++) {
        if (cut(cursor, &g, at)) {
            /* Another thread or process was faster and its extent serves us too. */
            if (extent)
                smx__give_back(segment, extent, g.row * g.n_rows);
            return 0;
        }
        int error = extent ? 0 : smx__allocate(segment, g.row * g.n_rows, g.row, &extent);
        if (error)
            return error;
        SMX__CRASH_POINT("cells.extent");
        if (__atomic_compare_exchange_n(cursor, at, extent + g.cell, false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED))
            break;
    }
    SMX__CRASH_POINT("cells.begun");
    *at = extent;
    return 0;
}

int smx__allocate_histogram(struct smx_segment *segment, const struct smx_hist *hist, uint64_t *at)
{
    /* One line more than the rows need: so that the first cells of neighbours differ in their low
     * address bits, which caches and store buffers index by. */
    uint64_t size = (uint64_t)hist->stride * (hist->rows + hist->mask + 1) + 64;
    return smx__allocate(segment, size, 64, at);
}
