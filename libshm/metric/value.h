/* SPDX-License-Identifier: MIT
 *
 * value.h - label values: measured, hashed and compared with those of a record. Inline and a word
 * at a time, since most are so short that calls of strlen(3) and memcmp(3) cost more than they do.
 */
#ifndef SMX_VALUE_H
#define SMX_VALUE_H

#include "libshm/layout.h"

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Measured while it was hashed. */
struct smx__value {
    size_t length;
    uint64_t tail; /* its last length % 8 bytes as a little-endian number */
};

__extension__ typedef unsigned __int128 smx__u128;

/* 64x64→128 bit multiply, halves folded: one round of mixing (the idea of wyhash, W. Yi). */
static inline uint64_t smx__fold(uint64_t a, uint64_t b)
{
    smx__u128 product = (smx__u128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Where in a page a string may begin to be read a word at a time, up to seven bytes behind its end:
 * where that stays in the page. Nowhere in a thread without rseq: it may be run by valgrind, which
 * takes that for an error of the host's. */
static inline uint32_t smx__word_limit(void)
{
#if SMX_HAVE_RSEQ
    return (int32_t)smx__rseq_cpu() >= 0 ? SMX__PAGE - 7 : 0;
#else
    return 0;
#endif
}

/* The first bytes of a string, up to eight, as a little-endian number. */
__attribute__((noinline)) static uint64_t smx__head_bytes(const char *string)
{
    uint64_t word = 0;
    for (unsigned i = 0; i < 8 && string[i]; i++)
        word |= (uint64_t)(uint8_t)string[i] << i * 8;
    return word;
}

/* The same, with anything behind the string's end. A word at a time has no branch on the length,
 * which processors guess wrong. */
__attribute__((no_sanitize("address", "thread"))) static inline uint64_t
smx__head(const char *string, uint32_t limit)
{
    uint64_t word;
    if (__builtin_expect((uintptr_t)string % SMX__PAGE >= limit, 0))
        return smx__head_bytes(string);
    memcpy(&word, string, sizeof word);
    return le64toh(word);
}

/* Mix a string into a hash; its length counts, so "a","bc" and "ab","c" differ. */
static inline uint64_t smx__hash(uint64_t h, const char *string, uint32_t limit,
                                 struct smx__value *out)
{
    size_t length = 0;
    for (;;) {
        uint64_t word = smx__head(string + length, limit);
        /* The top bit of the lowest byte that is 0; what is set above it means nothing. */
        uint64_t ends =
            (word - UINT64_C(0x0101010101010101)) & ~word & UINT64_C(0x8080808080808080);
        if (__builtin_expect(ends != 0, 1)) {
            out->length = length + (unsigned)__builtin_ctzll(ends) / 8;
            out->tail = word & (ends ^ (ends - 1)) >> 8;
            return smx__fold(h ^ out->tail, UINT64_C(0xe7037ed1a0b428db) ^ out->length);
        }
        length += 8;
        h = smx__fold(h ^ word, UINT64_C(0xa0761d6478bd642f));
    }
}

/* Whether a record has this value at `stored`, behind its struct: what lies before can be read. */
static inline bool smx__has_value(const char *stored, const char *string,
                                  const struct smx__value *value)
{
    size_t tail = value->length % 8;
    if (value->length >= 8 && memcmp(stored, string, value->length - tail) != 0)
        return false;
    uint64_t last;
    memcpy(&last, stored + value->length - 8, sizeof last);
    return le64toh(last) >> 1 >> (63 - tail * 8) == value->tail;
}

#endif
