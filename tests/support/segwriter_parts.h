/* SPDX-License-Identifier: MIT
 *
 * segwriter_parts.h - what the files of the segment writer share. Tests include segwriter.h.
 */
#ifndef SMX_TESTS_SEGWRITER_PARTS_H
#define SMX_TESTS_SEGWRITER_PARTS_H

#include "support/segwriter.h"

struct segwriter {
    unsigned char *bytes;
    uint64_t capacity;
    uint64_t counters_at; /* the extent that new counters share */
    unsigned counters_left;
    uint64_t gauges_at;
    unsigned gauges_left;
    unsigned colour; /* of the next histogram's cells */
};

/* Abort the test program with a message unless the condition holds. */
void segwriter_require(int condition, const char *what);

/* Hand out zeroed bytes and count them in the header. */
uint64_t segwriter_allocate(struct segwriter *w, uint64_t size, uint64_t alignment);

/* Write the descriptor and the bounds of a histogram family and name them in its record. */
void segwriter_describe(struct segwriter *w, uint64_t record,
                        const struct segwriter_family *family);

/* Hand out a gauge's cell in every row. */
uint64_t segwriter_gauge_cell(struct segwriter *w);

/* Hand out the rows of one histogram series. */
uint64_t segwriter_hist_cell(struct segwriter *w, uint64_t family);

#endif
