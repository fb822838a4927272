/* SPDX-License-Identifier: MIT
 *
 * records.c - walks the hash table's chains and copies every record once. Bounded by
 * counting: a record is visited once, since a bit per ref remembers it, which also ends cycles and
 * chains that run together; and all records together claim no more bytes than are allocated, which
 * ends records that overlap. Records that break a rule are counted and passed over.
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

/* Whether a record was met before; remembers it. */
static bool was_seen(struct smx__records *records, uint64_t at)
{
    uint64_t ref = at / 8;
    uint64_t bit = UINT64_C(1) << (ref % 64);
    bool seen = records->seen[ref / 64] & bit;
    records->seen[ref / 64] |= bit;
    return seen;
}

/* Whether a record of this size may be copied; takes it off the budget. */
static bool afford(struct smx__records *records, const struct smx__cache *cache, uint64_t at,
                   const struct smx__record *head)
{
    size_t least = head->kind == SMX__RECORD_FAMILY   ? sizeof(struct smx__family)
                   : head->kind == SMX__RECORD_SERIES ? sizeof(struct smx__series)
                                                      : sizeof *head;
    if (head->size < least || head->size % 8 || head->size > cache->limit - at ||
        head->size > records->budget)
        return false;
    records->budget -= head->size;
    return true;
}

/* Copy the record at an offset and tell its successor, 0 when it has none that can be trusted.
 * Returns 1, 0 when it is unsound, -EIO, -ENOMEM. */
static int copy_record(struct smx__records *records, struct smx__cache *cache, uint64_t at,
                       uint64_t *next)
{
    struct smx__record head;
    *next = 0;
    if (at < SMX__PAGE || at % 8 || at > cache->limit || cache->limit - at < sizeof head ||
        was_seen(records, at))
        return 0;
    int result = smx__cache_copy(cache, at, &head, sizeof head);
    if (result != 0)
        return result;
    *next = (uint64_t)head.next * 8;
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
    return 1;
}

static int walk_chain(struct smx__records *records, struct smx__cache *cache, uint32_t head)
{
    uint64_t next;
    for (uint64_t at = (uint64_t)head * 8; at != 0; at = next) {
        int result = copy_record(records, cache, at, &next);
        if (result < 0)
            return result;
        records->errors += result == 0;
    }
    return 0;
}

int smx__records_walk(struct smx__records *records, struct smx__cache *cache,
                      const struct smx__header *header)
{
    *records = (struct smx__records){.budget = cache->limit};
    records->seen = calloc(cache->limit / 512 + 1, sizeof *records->seen);
    if (!records->seen)
        return -ENOMEM;
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
    smx__records_sort(records);
    return 0;
}

int smx__records_add(struct smx__records *records, struct smx__cache *cache, uint64_t at)
{
    uint64_t next;
    if (at < cache->limit && (records->seen[at / 512] >> (at / 8 % 64) & 1))
        return 0;
    int result = copy_record(records, cache, at, &next);
    if (result == 0)
        records->errors++;
    return result < 0 ? result : 0;
}

static int compare_offsets(const void *a, const void *b)
{
    const struct smx__raw *x = a;
    const struct smx__raw *y = b;
    return (x->at > y->at) - (x->at < y->at);
}

void smx__records_sort(struct smx__records *records)
{
    if (records->n)
        qsort(records->raw, records->n, sizeof *records->raw, compare_offsets);
}

const struct smx__raw *smx__records_find(const struct smx__records *records, uint64_t at)
{
    struct smx__raw key = {.at = at};
    if (!records->n)
        return NULL;
    return bsearch(&key, records->raw, records->n, sizeof key, compare_offsets);
}

void smx__records_free(struct smx__records *records)
{
    smx__arena_free(&records->arena);
    free(records->raw);
    free(records->seen);
    *records = (struct smx__records){0};
}
