/* SPDX-License-Identifier: MIT
 *
 * value.h - strings as words: what label values look like in a record, and how they are hashed and
 * looked for. A string is its bytes and a NUL, padded with zeros to whole words; so equal words are
 * equal strings, and one list of strings never begins another. Inline and a word at a time, since
 * most are so short that calls of strlen(3) and memcmp(3) cost more than they do.
 */
#ifndef SMX_VALUE_H
#define SMX_VALUE_H

#include "libshm/layout.h"

#include <smx/smx.h>

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* As many words are kept as sixteen labels of seven bytes have, and a few long ones. */
enum { SMX__KEY_WORDS = 32 };

/* The words of some strings. */
struct smx__words {
    uint32_t hash; /* of all of them */
    uint32_t n;
    uint64_t word[SMX__KEY_WORDS];
};

__extension__ typedef unsigned __int128 smx__u128;

/* Mix a word into a hash: a 64x64→128 bit multiply, halves folded (the idea of wyhash, W. Yi). */
static inline uint64_t smx__mix(uint64_t hash, uint64_t word)
{
    smx__u128 product = (smx__u128)(hash ^ word) * UINT64_C(0xa0761d6478bd642f);
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* The 32 bits of a hash that a record bears. */
static inline uint32_t smx__mixed(uint64_t hash)
{
    return (uint32_t)(hash ^ hash >> 32);
}

/* Eight bytes, those behind a string's end too. */
__attribute__((no_sanitize("address", "thread"))) static inline uint64_t
smx__load_word(const char *string)
{
    uint64_t word;
    memcpy(&word, string, sizeof word);
    return le64toh(word);
}

/* The words of n strings, at most SMX_LABELS_MAX. False if one is NULL, lies too near to its page's
 * end to be read a word at a time, or is too long. A word at a time has no branch on the length,
 * which processors guess wrong. */
__attribute__((always_inline)) static inline bool
smx__words_of(struct smx__words *words, uint64_t hash, const char *const strings[], unsigned n)
{
    uint32_t at = 0;
    for (unsigned i = 0; i < n; i++) {
        const char *string = strings[i];
        if (!string)
            return false;
        for (;; string += sizeof(uint64_t)) {
            if (__builtin_expect((uintptr_t)string % SMX__PAGE > SMX__PAGE - sizeof(uint64_t), 0))
                return false;
            uint64_t word = smx__load_word(string);
            /* The top bit of the lowest byte that is 0; what is set above it means nothing. */
            uint64_t ends =
                (word - UINT64_C(0x0101010101010101)) & ~word & UINT64_C(0x8080808080808080);
            if (__builtin_expect(ends != 0, 1))
                word &= (ends ^ (ends - 1)) >> 8;
            else if (at >= SMX__KEY_WORDS - SMX_LABELS_MAX)
                return false; /* the last word of each label must still fit */
            words->word[at++] = word;
            hash = smx__mix(hash, word);
            if (__builtin_expect(ends != 0, 1))
                break;
        }
    }
    words->n = at;
    words->hash = smx__mixed(hash);
    return true;
}

/* Whether these words are those at `stored`. */
static inline bool smx__words_same(const struct smx__words *words, const uint64_t *stored)
{
    for (uint32_t i = 0; i < words->n; i++)
        if (le64toh(stored[i]) != words->word[i])
            return false;
    return true;
}

/* The bytes of a string with its NUL and padding. */
static inline size_t smx__padded(const char *string)
{
    return (strlen(string) + sizeof(uint64_t)) & ~(sizeof(uint64_t) - 1);
}

/* Mix a string's words into a hash, whatever its place and length. */
static inline uint64_t smx__mix_string(uint64_t hash, const char *string)
{
    uint64_t word;
    do {
        word = 0;
        for (unsigned i = 0; i < 64 && *string; i += 8)
            word |= (uint64_t)(uint8_t)*string++ << i;
        hash = smx__mix(hash, word);
    } while (word >> 56);
    return hash;
}

#endif
