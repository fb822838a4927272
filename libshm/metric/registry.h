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
 * NULL also when the chain leads out of the segment, or is absurdly long. */
__attribute__((always_inline)) static inline struct smx__record *
smx__registry_walk(const struct smx_segment *segment, const struct smx__key *key, uint32_t mine)
{
    const uint64_t last = segment->length - key->size;
    uint32_t *link = segment->buckets + (key->hash & segment->bucket_mask);
    for (uint32_t length = 0; length < 1u << 20; length++) {
        /* Acquire: pairs with the release below; the record behind the ref is complete. */
        uint32_t ref = __atomic_load_n(link, __ATOMIC_ACQUIRE);
        if (!ref && !mine)
            return NULL;
        /* Release: publishes mine (invariant 2); acquire if another one got in. */
        if (!ref && __atomic_compare_exchange_n(link, &ref, mine, false, __ATOMIC_RELEASE,
                                                __ATOMIC_ACQUIRE))
            return (struct smx__record *)smx__at(segment, (uint64_t)mine << 3);
        if ((uint64_t)ref << 3 > last)
            return NULL;
        struct smx__record *record = (struct smx__record *)smx__at(segment, (uint64_t)ref << 3);
        if (record->hash == key->hash && key->same(record, key->what))
            return record;
        link = &record->next;
    }
    return NULL;
}

/* Tell readers that the names have changed. */
static inline void smx__announce(const struct smx_segment *segment)
{
    /* Release: pairs with the reader's acquire; what was published before is there. */
    __atomic_fetch_add(&segment->header->published, 1, __ATOMIC_RELEASE);
}

#endif
