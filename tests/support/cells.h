/* SPDX-License-Identifier: MIT
 *
 * cells.h - what a segment holds, read through the writer's own mapping by libshm/layout.h alone:
 * an oracle that does not share the reader's code.
 */
#ifndef SMX_TESTS_CELLS_H
#define SMX_TESTS_CELLS_H

#include "libshm/segment/process.h"

/* A family's record in the segment; its handle leads to this process' copy. */
const struct smx__family *cells_family(smx_family family);

/* Losses counted so far for one reason. */
uint64_t cells_lost(const smx_segment *segment, enum smx_lost reason);

/* Slots whose process lives: state LIVE, and somebody holds the write lock. */
unsigned cells_live(const smx_segment *segment);

/* The sum of a gauge over the live processes and the spill row. */
int64_t cells_gauge_sum(const smx_segment *segment, smx_gauge gauge);

/* What a counter's atomic rows hold. */
uint64_t cells_counter_atomic(smx_counter counter);

/* Records of a kind in the hash table: enum smx__record kinds. */
unsigned cells_records(const smx_segment *segment, uint16_t kind);

#endif
