/* SPDX-License-Identifier: MIT
 *
 * limiter.h - how often something may happen: a bucket of tokens for each address, which fills at a
 * rate. Bounded memory: of more addresses than it has room for, those forgotten begin with a full
 * bucket again.
 */
#ifndef SMX_AGENT_LIMITER_H
#define SMX_AGENT_LIMITER_H

#include <stdbool.h>
#include <stdint.h>

struct limiter;

/* What a full bucket holds, and how long one token takes. */
struct limiter_rate {
    uint64_t burst;
    uint64_t interval_ns; /* 0: no limit */
};

/* Make one. Returns: 0, -ENOMEM. */
int limiter_new(struct limiter **out);
void limiter_free(struct limiter *limiter);

/* Take a token of an address. Returns: 0, or in how many nanoseconds there will be one. */
uint64_t limiter_take(struct limiter *limiter, const struct limiter_rate *rate, uint64_t address,
                      uint64_t now_ns);

/* Give back one that has been taken. */
void limiter_give(struct limiter *limiter, const struct limiter_rate *rate, uint64_t address);

/* The same of a bucket that all share, in the caller's memory; all-zero is full. */
struct limiter_bucket {
    uint64_t full_ns; /* when it will be */
};
uint64_t limiter_take_of(struct limiter_bucket *bucket, const struct limiter_rate *rate,
                         uint64_t now_ns);

#endif
