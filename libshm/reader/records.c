/* SPDX-License-Identifier: MIT
 *
 * records.c - walks the hash table's chains and copies every record once: first it sets a bit for
 * each record that a chain leads to, then it copies them in the order of the bits, so that they
 * need no sorting and lie in memory in the order of their use. Bounded by counting: a record is
 * visited once, since its bit remembers it, which also ends cycles and chains that run together;
 * and all records together claim no more bytes than are allocated, which ends records that
 * overlap. Records that break a rule are counted and passed over.
 *
 * What a record's fields mean is not known here, but for its head.
 */
#include "libshm/reader/reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool grow(struct smx__records *records)
{
    if (records->n < records->room)
        return true;
    size_t room = records->room ? records->room * 2 : 256;
    struct smx__raw *raw = realloc(records->raw, room * sizeof *raw);
    if (!raw)
        return false;
    records->raw = raw;
    records->room = room;
    return true;
}

static uint64_t *word_of(struct smx__records *records, uint64_t at)
{
    return &records->seen[at / 512];
}

static uint64_t bit_of(uint64_t at)
{
    return UINT64_C(1) << (at / 8 % 64);
}

/* Whether a record's head can be there. */
static bool in_place(const struct smx__cache *cache, uint64_t at)
{
    return at >= SMX__PAGE && at % 8 == 0 && at <= cache->limit &&
           cache->limit - at >= sizeof(struct smx__record);
}

/* Whether a chain goes on with a record that was made after the header was read. What follows it
 * there was published even later: the chain ends for us. Whether such a record can be is seen by
 * the next header. */
static bool is_later(struct smx__build *b, uint64_t at)
{
    struct smx__registry *r = b->registry;
    if (at % 8 || at < b->cache.limit)
        return false;
    r->n_later++;
    r->later_at = at > r->later_at ? at : r->later_at;
    return true;
}

/* Set the bits of what is left of a chain. */
static int walk_chain(struct smx__build *b)
{
    struct smx__record head;
    while (b->chain && smx__build_spend(b, SMX__LOOK_BYTES)) {
        const uint64_t at = b->chain;
        b->chain = 0;
        if (is_later(b, at))
            return 0;
        if (!in_place(&b->cache, at) || *word_of(&b->records, at) & bit_of(at)) {
            b->records.unsound[SMX_UNSOUND_CHAIN]++;
            return 0;
        }
        *word_of(&b->records, at) |= bit_of(at);
        int result = smx__cache_copy(&b->cache, at, &head, sizeof head);
        if (result != 0)
            return result;
        b->chain = (uint64_t)head.next * 8;
    }
    return b->chain != 0;
}

static int read_heads(struct smx__build *b)
{
    uint64_t left = b->registry->header.n_buckets - b->next;
    return smx__cache_copy(&b->cache, b->registry->header.buckets_at + b->next * sizeof *b->heads,
                           b->heads, (left < SMX__HEADS ? left : SMX__HEADS) * sizeof *b->heads);
}

int smx__records_walk(struct smx__build *b)
{
    struct smx__records *records = &b->records;
    if (!records->seen) {
        *records =
            (struct smx__records){.budget = b->cache.limit,
                                  .unsound = b->registry->unsound,
                                  .seen = calloc(b->cache.limit / 512 + 1, sizeof(uint64_t))};
        if (!records->seen)
            return -ENOMEM;
    }
    int result = walk_chain(b);
    const uint32_t n = b->registry->header.n_buckets;
    while (result == 0 && b->next < n) {
        const size_t i = b->next % SMX__HEADS;
        if (i == 0 && !smx__build_spend(b, sizeof b->heads))
            return 1;
        if (i == 0)
            result = read_heads(b);
        if (result != 0)
            return result;
        b->next++;
        if (b->heads[i] == 0)
            continue;
        b->chain = (uint64_t)b->heads[i] * 8;
        result = walk_chain(b);
    }
    return result;
}

/* Whether a record of this size may be copied; takes it off the budget, or counts why not. */
static bool afford(struct smx__records *records, const struct smx__cache *cache, uint64_t at,
                   const struct smx__record *head)
{
    size_t least = head->kind == SMX__RECORD_FAMILY      ? sizeof(struct smx__family)
                   : head->kind == SMX__RECORD_SERIES    ? sizeof(struct smx__series)
                   : head->kind == SMX__RECORD_EXEMPLARS ? sizeof(struct smx__exemplars)
                   : head->kind == SMX__RECORD_CHECK     ? sizeof(struct smx__check)
                                                         : sizeof *head;
    bool possible = head->size >= least && head->size % 8 == 0 && head->size <= cache->limit - at;
    if (!possible || head->size > records->budget) {
        records->unsound[possible ? SMX_UNSOUND_OVERSIZE : SMX_UNSOUND_RECORD]++;
        return false;
    }
    records->budget -= head->size;
    return true;
}

/* Copy the record at an offset, which is in place, or count it. Returns 0, -EIO, -ENOMEM. */
static int copy_record(struct smx__records *records, struct smx__cache *cache, uint64_t at)
{
    struct smx__record head;
    int result = smx__cache_copy(cache, at, &head, sizeof head);
    if (result != 0)
        return result;
    if (!afford(records, cache, at, &head))
        return 0;
    unsigned char *bytes = smx__arena_take(&records->arena, head.size);
    if (!bytes || !grow(records))
        return -ENOMEM;
    result = smx__cache_copy(cache, at, bytes, head.size);
    if (result != 0)
        return result;
    /* The file may have changed between the two copies: what was checked is what counts. */
    memcpy(bytes, &head, sizeof head);
    records->raw[records->n++] =
        (struct smx__raw){.at = at, .bytes = bytes, .size = head.size, .kind = head.kind};
    records->n_families += head.kind == SMX__RECORD_FAMILY;
    records->n_exemplars += head.kind == SMX__RECORD_EXEMPLARS;
    records->n_checks += head.kind == SMX__RECORD_CHECK;
    return 0;
}

/* Those of a word of bits are copied together. */
int smx__records_copy(struct smx__build *b)
{
    struct smx__records *records = &b->records;
    const uint64_t n_words = b->cache.limit / 512 + 1;
    int result = 0;
    for (; result == 0 && b->next < n_words; b->next++) {
        const uint64_t before = records->budget;
        if (!smx__build_spend(b, sizeof *records->seen))
            return 1;
        for (uint64_t bits = records->seen[b->next]; result == 0 && bits; bits &= bits - 1) {
            result = copy_record(records, &b->cache,
                                 (b->next * 64 + (unsigned)__builtin_ctzll(bits)) * 8);
            (void)smx__build_spend(b, SMX__LOOK_BYTES);
        }
        (void)smx__build_spend(b, before - records->budget);
    }
    records->n_sorted = records->n;
    return result;
}

int smx__records_add(struct smx__records *records, struct smx__cache *cache, uint64_t at)
{
    if (!in_place(cache, at)) {
        records->unsound[SMX_UNSOUND_CHAIN]++;
        return 0;
    }
    if (*word_of(records, at) & bit_of(at))
        return 0;
    *word_of(records, at) |= bit_of(at);
    return copy_record(records, cache, at);
}

static int compare_offsets(const void *a, const void *b)
{
    const struct smx__raw *x = a;
    const struct smx__raw *y = b;
    return (x->at > y->at) - (x->at < y->at);
}

int smx__records_sort(struct smx__records *records)
{
    size_t old = records->n_sorted, new = records->n - old;
    struct smx__raw *added = calloc(new + 1, sizeof *added);
    if (!added)
        return -ENOMEM;
    if (new)
        memcpy(added, records->raw + old, new * sizeof *added);
    qsort(added, new, sizeof *added, compare_offsets);
    /* Merge from the end: what is not moved yet lies below what is written. */
    for (size_t to = records->n; new;)
        records->raw[--to] = old && records->raw[old - 1].at > added[new - 1].at
                                 ? records->raw[--old]
                                 : added[--new];
    free(added);
    records->n_sorted = records->n;
    return 0;
}

void smx__records_free(struct smx__records *records)
{
    smx__arena_free(&records->arena);
    free(records->raw);
    free(records->seen);
    *records = (struct smx__records){0};
}
