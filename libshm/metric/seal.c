/* SPDX-License-Identifier: MIT
 *
 * seal.c - writes what is sealed, in an order in which no part of it can be taken for the whole.
 */
#include "libshm/metric/seal.h"

#include "libshm/crash.h"

/* Word by word, so that nobody is said to race; the seal says what belongs together. */
void smx__sealed_write(void *to, const void *sealed)
{
    uint64_t word[SMX__SEAL_WORDS];
    uint64_t *seal = to;
    memcpy(word, sealed, sizeof word);
    const uint64_t end = sizeof word + word[3];
    /* Relaxed: whatever a reader finds of this, it does not fit an old seal nor the new one. */
    __atomic_store_n(seal, 0, __ATOMIC_RELAXED);
    for (uint64_t i = sizeof(uint64_t); i < end; i += sizeof(uint64_t)) {
        uint64_t next;
        memcpy(&next, (const char *)sealed + i, sizeof next);
        __atomic_store_n((uint64_t *)(void *)((char *)to + i), next, __ATOMIC_RELAXED);
        SMX__CRASH_POINT("sealed.half");
    }
    /* Release: who sees the seal finds what it seals, or what came after it. */
    __atomic_store_n(seal, word[0], __ATOMIC_RELEASE);
    SMX__CRASH_POINT("sealed.done");
}
