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

/* Set the bits of a chain. */
static int walk_chain(struct smx__records *records, struct smx__cache *cache, uint32_t first)
{
    struct smx__record head;
    for (uint64_t at = (uint64_t)first * 8; at != 0; at = (uint64_t)head.next * 8) {
        if (!in_place(cache, at) || *word_of(records, at) & bit_of(at)) {
            records->unsound[SMX_UNSOUND_CHAIN]++;
            return 0;
        }
        *word_of(records, at) |= bit_of(at);
        int result = smx__cache_copy(cache, at, &head, sizeof head);
        if (result != 0)
            return result;
    }
    return 0;
}

static int walk_chains(struct smx__records *records, struct smx__cache *cache,
                       const struct smx__header *header)
{
    uint32_t heads[1024];
    for (uint32_t done = 0; done < header->n_buckets;) {
        uint32_t n = header->n_buckets - done < 1024 ? header->n_buckets - done : 1024;
        int result = smx__cache_copy(cache, header->buckets_at + (uint64_t)done * sizeof *heads,
                                     heads, n * sizeof *heads);
        for (uint32_t i = 0; result == 0 && i < n; i++)
            result = walk_chain(records, cache, heads[i]);
        if (result != 0)
            return result;
        done += n;
    }
    return 0;
}

/* Whether a record of this size may be copied; takes it off the budget, or counts why not. */
static bool afford(struct smx__records *records, const struct smx__cache *cache, uint64_t at,
                   const struct smx__record *head)
{
    size_t least = head->kind == SMX__RECORD_FAMILY      ? sizeof(struct smx__family)
                   : head->kind == SMX__RECORD_SERIES    ? sizeof(struct smx__series)
                   : head->kind == SMX__RECORD_EXEMPLARS ? sizeof(struct smx__exemplars)
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
    return 0;
}

int smx__records_walk(struct smx__records *records, struct smx__cache *cache,
                      const struct smx__header *header, uint64_t *unsound)
{
    *records = (struct smx__records){.budget = cache->limit, .unsound = unsound};
    uint64_t n_words = cache->limit / 512 + 1;
    records->seen = calloc(n_words, sizeof *records->seen);
    int result = records->seen ? walk_chains(records, cache, header) : -ENOMEM;
    for (uint64_t i = 0; result == 0 && i < n_words; i++)
        for (uint64_t bits = records->seen[i]; result == 0 && bits; bits &= bits - 1)
            result = copy_record(records, cache, (i * 64 + (unsigned)__builtin_ctzll(bits)) * 8);
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
