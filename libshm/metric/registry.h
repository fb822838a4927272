/* SPDX-License-Identifier: MIT
 *
 * registry.h - the hash table of families and series: append-only chains that are read and extended
 * without a lock. Inline, because finding a series is a hot path of its own.
 */
#ifndef SMX_REGISTRY_H
#define SMX_REGISTRY_H

#include "libshm/segment/space.h"

/* What is looked for. `same` is asked about records of this hash, and may read `size` bytes. */
struct smx__key {
    uint32_t hash;
    uint64_t size;
    bool (*same)(const struct smx__record *record, const void *what);
    const void *what;
};

/* Walk the key's chain. With mine = 0: give the record found, or NULL. With the ref of a complete
 * record of that key: publish it unless one is there already; gives the one that is in the chain.
 * NULL also when the chain leads out of the segment, or is a circle: then *broken is set. Without
 * `broken`, for hot paths, which publish nothing and read no more than SMX__HOT_BYTES, what this
 * process has not reserved itself ends a chain, too. */
__attribute__((always_inline)) static inline struct smx__record *
smx__registry_walk(struct smx_segment *segment, const struct smx__key *key, uint32_t mine,
                   bool *broken)
{
    uint32_t *link = segment->buckets + (key->hash & segment->bucket_mask);
    for (uint32_t length = 0; length < segment->chain_limit; length++) {
        /* Acquire: pairs with the release below; the record behind the ref is complete. */
        uint32_t ref = __atomic_load_n(link, __ATOMIC_ACQUIRE);
        if (!ref && !mine)
            return NULL;
        /* Release: publishes mine (invariant 2); acquire if another one got in. */
        if (!ref && __atomic_compare_exchange_n(link, &ref, mine, false, __ATOMIC_RELEASE,
                                                __ATOMIC_ACQUIRE))
            return (struct smx__record *)smx__at(segment, (uint64_t)mine << 3);
        if (broken ? !smx__reach(segment, (uint64_t)ref << 3, key->size)
                   : ref > __atomic_load_n(&segment->last_ref, __ATOMIC_RELAXED))
            break;
        struct smx__record *record = (struct smx__record *)smx__at(segment, (uint64_t)ref << 3);
        if (record->hash == key->hash && key->same(record, key->what))
            return record;
        link = &record->next;
    }
    if (broken)
        *broken = true;
    return NULL;
}

/* A record has got its content. The size comes last, since a reader that copies a block of records
 * may have passed by one that is not complete before it comes to the link that publishes it: with a
 * size of 0 it is unsound, and read again. */
static inline void smx__record_complete(struct smx__record *record, uint64_t size)
{
    /* Release: pairs with the reader's pread(2), which copies upwards. */
    __atomic_store_n(&record->size, (uint32_t)size, __ATOMIC_RELEASE);
}

/* Tell readers that the names have changed. */
static inline void smx__announce(const struct smx_segment *segment)
{
    /* Release: pairs with the reader's acquire; what was published before is there. */
    __atomic_fetch_add(&segment->header->published, 1, __ATOMIC_RELEASE);
}

#endif
