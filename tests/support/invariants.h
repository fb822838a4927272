/* SPDX-License-Identifier: MIT
 *
 * invariants.h - the numbered invariants of libshm/layout.h, checked in the file of a segment that
 * others may be writing to: a third reading of the layout, which shares no code with the writer or
 * the reader, and judges what both of them pass over. It remembers what it saw, for some things
 * may never change.
 *
 * What no file shows, that plain and atomic adds do not meet in a row (3), shows in the totals.
 */
#ifndef SMX_TESTS_INVARIANTS_H
#define SMX_TESTS_INVARIANTS_H

#include <stdint.h>

struct invariants;

/* What a segment's bytes are used for. Exact while nobody writes. */
struct invariants_use {
    uint64_t allocated;
    uint64_t debris;     /* allocated, and nothing that can be reached lies there; gaps that can be
                            the alignment of what follows are left out */
    uint64_t lost_cells; /* handed out from the extents in use, and no series has them */
    uint32_t families;
    uint32_t series;
    uint32_t uncounted; /* series that n_series of their families leaves out */
    uint32_t live;      /* processes */
};

/* Open a segment's file. NULL if it cannot be opened or there is no memory. */
struct invariants *invariants_open(const char *path);
void invariants_close(struct invariants *v);

/* The first invariant that does not hold, as a text that lasts until the next call; NULL if all
 * do. use may be NULL. */
const char *invariants_fault(struct invariants *v, struct invariants_use *use);

#endif
