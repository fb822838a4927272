/* SPDX-License-Identifier: MIT
 *
 * invariants_parts.h - what the parts of the checker share: invariants.c has the file, the header
 * and the space, invariants_records.c the registry, invariants_values.c slots and cells.
 */
#ifndef SMX_TESTS_INVARIANTS_PARTS_H
#define SMX_TESTS_INVARIANTS_PARTS_H

#include "libshm/layout.h"
#include "support/invariants.h"

#include <smx/smx.h>
#include <stdbool.h>
#include <stddef.h>

/* A private copy of one record. */
struct item {
    uint64_t at;
    unsigned char *bytes;
    uint32_t n_series; /* families: those found */
};

/* Bytes in use. */
struct range {
    uint64_t at;
    uint64_t end;
    uint64_t align;
};

struct invariants {
    int fd;
    struct smx__header header; /* as first seen, but for what moves */
    uint64_t tables_end;
    uint64_t *checksum;   /* by offset / 8: of what was seen there, 0 nothing */
    uint32_t *where;      /* by offset / 8: number of the item there in this look, from 1 on */
    uint32_t *generation; /* by slot: the last one seen */
    unsigned char *image; /* the first bytes of the file, if the look is at a copy */
    size_t n_image;
    struct item *items;
    size_t n_items, room_items;
    size_t n_before; /* items of the look before: records never leave */
    struct range *ranges;
    size_t n_ranges, room_ranges;
    uint64_t used_cells[3]; /* by enum smx__cells */
    uint64_t extents[3];
    struct invariants_use use;
    char text[200];
};

/* The distance between rows of a kind of cells, and how many rows there are. */
uint64_t invariants_row_bytes(enum smx__cells kind);
uint64_t invariants_rows(const struct smx__header *h, enum smx__cells kind);
uint64_t invariants_cell_bytes(enum smx__cells kind);

/* Copy bytes of the file, perhaps as they were when the look began. False past its end. */
bool invariants_get(const struct invariants *v, uint64_t at, void *to, size_t size);

/* A 64-bit word as it is now; 0 past the end. */
uint64_t invariants_word(const struct invariants *v, uint64_t at);

/* Say that an invariant is broken. Returns false. */
bool invariants_say(struct invariants *v, int invariant, uint64_t at, const char *what);

/* These bytes must be the same whenever they are seen (invariants 2 and 7). */
bool invariants_constant(struct invariants *v, int invariant, uint64_t at, const void *bytes,
                         size_t size);

/* Bytes are in use, by one thing alone (invariant 4). False without memory. */
bool invariants_range(struct invariants *v, uint64_t at, uint64_t size, uint64_t align);

/* The extent that a cell lies in is in use, once or more. */
bool invariants_extent(struct invariants *v, enum smx__cells kind, uint64_t cell);

/* Families, series and descriptors: invariants 2, 4 and 7. */
bool invariants_records(struct invariants *v);

/* Slots and gauge cells: invariants 5 and 6. */
bool invariants_slots(struct invariants *v);
bool invariants_gauge(struct invariants *v, uint64_t cell, bool last);

#endif
