/* SPDX-License-Identifier: MIT
 *
 * seal.h - what several processes write into one place without waiting for each other: it is whole
 * where it fits its seal, a hash of it and of its place. The writer seals with it, and the reader
 * checks.
 *
 * Such a thing begins with the seal and three words, the third of which is the number of bytes that
 * follow; its room is a multiple of eight bytes.
 */
#ifndef SMX_SEAL_H
#define SMX_SEAL_H

#include "libshm/metric/value.h"

enum { SMX__SEAL_WORDS = 4 };

/* The seal of what lies, or will lie, at an offset; its length is in bounds. Never 0. */
static inline uint64_t smx__seal(const void *sealed, uint64_t at)
{
    uint64_t word[SMX__SEAL_WORDS];
    memcpy(word, sealed, sizeof word);
    uint64_t hash = smx__mix(smx__mix(smx__mix(at, word[1]), word[2]), word[3]);
    const char *bytes = (const char *)sealed + sizeof word;
    for (uint64_t i = 0; i < word[3]; i += sizeof(uint64_t)) {
        uint64_t next;
        memcpy(&next, bytes + i, sizeof next);
        hash = smx__mix(hash, le64toh(next));
    }
    return hash | 1;
}

/* Write what is sealed into its place in a segment. Nobody waits for anybody: whoever comes writes,
 * and seals last what it meant to write. Where two write at once, or one is killed on its way, what
 * lies there does not fit its seal, and readers pass it over until the next one. */
void smx__sealed_write(void *to, const void *sealed);

#endif
