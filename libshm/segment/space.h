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

/* Note that [0, end) of a segment is reserved, here and in the header, for other processes. */
void smx__reserve_note(struct smx_segment *segment, uint64_t end);

/* Reserve the whole budget of a segment. Returns 0 or -errno. */
int smx__reserve_all(struct smx_segment *segment);

/* Whether [at, at + size) lies behind the header and may be touched: an offset that was read from
 * the mapping leads anywhere, and a page that is not reserved is a SIGBUS where the tmpfs is full.
 * smx__within() is for hot paths, and knows only what this process has reserved itself;
 * smx__reach() has the rest of what is allocated reserved, by a fallocate(2). */
static inline bool smx__within(const struct smx_segment *segment, uint64_t at, uint64_t size)
{
    /* Relaxed: it only grows, and what it says is the kernel's state, not memory's. */
    uint64_t end = __atomic_load_n(&segment->reserved, __ATOMIC_RELAXED);
    return at >= SMX__PAGE && at <= end && size <= end - at;
}
bool smx__reach(struct smx_segment *segment, uint64_t at, uint64_t size);

/* Hand out zeroed, reserved bytes at an offset that is a multiple of align (a power of two).
 * Lock-free. Returns 0, -EPROTO (the cursor is damaged), -ENOSPC (the budget, or the file system
 * is full), -EBADF (the host closed our descriptor and the file is gone), -EAGAIN (others allocated
 * all the time). */
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

static inline uint64_t smx__offset(const struct smx_segment *segment, const void *address)
{
    return (uint64_t)((const char *)address - (const char *)segment->header);
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
