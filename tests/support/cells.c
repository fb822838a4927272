/* SPDX-License-Identifier: MIT
 *
 * cells.c - sums cells and counts slots and records of a mapped segment, as layout.h describes it.
 */
#include "support/cells.h"

#include "libshm/metric/known.h"

#include <fcntl.h>

static const struct smx__slot *slot_at(const smx_segment *segment, uint32_t index)
{
    const char *table = (const char *)segment->header + segment->header->slots_at;
    return (const struct smx__slot *)(const void *)table + index;
}

/* Asked in the name of the open file description, to which also our own record lock is foreign. */
static bool is_live(const smx_segment *segment, uint32_t index)
{
    uint64_t state = __atomic_load_n(&slot_at(segment, index)->state, __ATOMIC_ACQUIRE);
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = SMX__LOCK_AT + index, .l_len = 1};
    return (state & 0xff) == SMX__SLOT_LIVE && fcntl(segment->fd, F_OFD_GETLK, &lock) == 0 &&
           lock.l_type == F_WRLCK;
}

const struct smx__family *cells_family(smx_family family)
{
    return smx__at(family.segment, smx__known(family)->at);
}

uint64_t cells_lost(const smx_segment *segment, enum smx_lost reason)
{
    return __atomic_load_n(&segment->header->lost[reason], __ATOMIC_RELAXED);
}

unsigned cells_live(const smx_segment *segment)
{
    unsigned live = 0;
    for (uint32_t i = 0; i < segment->header->slots; i++)
        live += is_live(segment, i);
    return live;
}

int64_t cells_gauge_sum(const smx_segment *segment, smx_gauge gauge)
{
    uint64_t sum = 0;
    for (uint32_t row = 0; row <= segment->header->slots; row++) {
        const struct smx_cell *cell =
            (const struct smx_cell *)(const void *)((const char *)gauge.base +
                                                    ((uint64_t)row << SMX_GAUGE_SHIFT));
        uint64_t owner = __atomic_load_n(&cell->owner, __ATOMIC_RELAXED);
        uint64_t wanted = SMX__SHARED_WORD;
        if (row) {
            uint64_t state = __atomic_load_n(&slot_at(segment, row - 1)->state, __ATOMIC_ACQUIRE);
            wanted = (state >> 32) << 32 | row;
        }
        if (owner == wanted && (!row || is_live(segment, row - 1)))
            sum += __atomic_load_n(&cell->value, __ATOMIC_RELAXED);
    }
    return (int64_t)sum;
}

uint64_t cells_counter_atomic(smx_counter counter)
{
    uint64_t sum = 0;
    for (uint64_t row = counter.rows; row <= (uint64_t)counter.rows + counter.mask; row++)
        sum += __atomic_load_n(counter.base + (row << SMX_COUNTER_SHIFT) / sizeof(uint64_t),
                               __ATOMIC_RELAXED);
    return sum;
}

unsigned cells_records(const smx_segment *segment, uint16_t kind)
{
    const struct smx__header *h = segment->header;
    const uint32_t *heads = (const uint32_t *)(const void *)((const char *)h + h->buckets_at);
    unsigned n = 0;
    for (uint32_t i = 0; i < h->n_buckets; i++) {
        uint32_t ref = __atomic_load_n(&heads[i], __ATOMIC_ACQUIRE);
        while (ref) {
            const struct smx__record *record =
                (const struct smx__record *)(const void *)((const char *)h + ((uint64_t)ref << 3));
            n += record->kind == kind;
            ref = __atomic_load_n(&record->next, __ATOMIC_ACQUIRE);
        }
    }
    return n;
}
