/* SPDX-License-Identifier: MIT
 *
 * limiter.c - a bucket is one number: the time at which it would be full. A token moves that on by
 * one interval; it may not lie further ahead than a whole bucket takes to fill.
 *
 * Where addresses meet is seeded, so that nobody can choose one that pushes out another's.
 */
#include "agent/web/limiter.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/random.h>

enum { SETS = 256, WAYS = 4 };

struct place {
    uint64_t address;
    struct limiter_bucket bucket; /* all-zero: nobody's */
};

struct limiter {
    uint64_t seed;
    struct place places[SETS][WAYS];
};

int limiter_new(struct limiter **out)
{
    struct limiter *limiter = calloc(1, sizeof *limiter);
    if (!limiter)
        return -ENOMEM;
    if (getrandom(&limiter->seed, sizeof limiter->seed, 0) != sizeof limiter->seed)
        limiter->seed = (uint64_t)(uintptr_t)limiter;
    *out = limiter;
    return 0;
}

void limiter_free(struct limiter *limiter)
{
    free(limiter);
}

static size_t set_of(const struct limiter *limiter, uint64_t address)
{
    uint64_t x = address ^ limiter->seed; /* the finaliser of SplitMix64 */
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return (x ^ x >> 31) % SETS;
}

/* The fullest bucket is the one that is missed the least. */
static struct limiter_bucket *find(struct limiter *limiter, uint64_t address)
{
    struct place *set = limiter->places[set_of(limiter, address)], *fullest = set;
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].bucket.full_ns && set[i].address == address)
            return &set[i].bucket;
        if (set[i].bucket.full_ns < fullest->bucket.full_ns)
            fullest = &set[i];
    }
    *fullest = (struct place){.address = address};
    return &fullest->bucket;
}

uint64_t limiter_take_of(struct limiter_bucket *bucket, const struct limiter_rate *rate,
                         uint64_t now_ns)
{
    uint64_t full = bucket->full_ns > now_ns ? bucket->full_ns : now_ns;
    uint64_t room = rate->burst * rate->interval_ns;
    if (rate->interval_ns == 0)
        return 0;
    if (full - now_ns + rate->interval_ns > room)
        return full - now_ns + rate->interval_ns - room;
    bucket->full_ns = full + rate->interval_ns;
    return 0;
}

uint64_t limiter_take(struct limiter *limiter, const struct limiter_rate *rate, uint64_t address,
                      uint64_t now_ns)
{
    return rate->interval_ns ? limiter_take_of(find(limiter, address), rate, now_ns) : 0;
}

/* Who was forgotten has nothing to get back. */
void limiter_give(struct limiter *limiter, const struct limiter_rate *rate, uint64_t address)
{
    struct limiter_bucket *bucket = find(limiter, address);
    bucket->full_ns -= bucket->full_ns > rate->interval_ns ? rate->interval_ns : bucket->full_ns;
}
