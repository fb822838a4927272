/* SPDX-License-Identifier: MIT
 *
 * space.h - bytes of a segment: the bump allocator and the cells it is cut into.
 */
#ifndef SMX_SPACE_H
#define SMX_SPACE_H

#include "libshm/segment/process.h"

/* fallocate(2) [at, at + length) without changing the file's length; after a signal it is tried
 * again, in smaller pieces, 100 times at most. Returns 0 or -errno; then part of it may be
 * reserved. */
int smx__reserve(int fd, uint64_t at, uint64_t length);

/* Reserve the whole budget of a mapped segment. Returns 0 or -errno. */
int smx__reserve_all(struct smx__header *h, int fd);

/* Hand out zeroed, reserved bytes at an offset that is a multiple of align (a power of two).
 * Lock-free. Returns 0, -ENOSPC (the budget, or the file system is full), -EBADF (the host closed
 * our descriptor and the file is gone), -EAGAIN (others allocated all the time). */
int smx__allocate(struct smx_segment *segment, uint64_t size, uint64_t align, uint64_t *at);

/* Return bytes of smx__allocate that nobody has touched: they are free again if nothing was
 * allocated behind them, else they stay unused. */
void smx__give_back(struct smx_segment *segment, uint64_t at, uint64_t size);

/* Hand out one cell that shares its extent with others. Returns as smx__allocate. */
int smx__allocate_cell(struct smx_segment *segment, enum smx__cells kind, uint64_t *at);

/* Hand out the rows of one histogram. Returns as smx__allocate. */
int smx__allocate_histogram(struct smx_segment *segment, const struct smx_hist *hist, uint64_t *at);

static inline void *smx__at(const struct smx_segment *segment, uint64_t offset)
{
    return (char *)segment->header + offset;
}

static inline uint32_t smx__ref(uint64_t offset)
{
    return (uint32_t)(offset >> 3);
}

/* Count a loss. Async-signal-safe. */
static inline void smx__lose(const struct smx_segment *segment, enum smx_lost reason)
{
    /* Relaxed: a counter. */
    __atomic_fetch_add(&segment->header->lost[reason], 1, __ATOMIC_RELAXED);
}

#endif
