/* SPDX-License-Identifier: MIT
 *
 * peers_atomic.c - what one would write by hand: a plain add (the limit, and right in one process
 * only), locked adds, a mutex, a compare-and-swap on a double (as prometheus-cpp does).
 */
#include "run/limit.h"
#include "subjects/subjects.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* A cache line for each process, and two between them against the prefetcher of pairs. */
enum { APART = 32, PRIVATE_CELLS = 64 };

/* Of many cells each has a pointer, as a handle is one. */
static int start_cells(struct load *l, const struct bench_place *place, struct bench_result *result)
{
    (void)place;
    uint64_t cells = l->series > PRIVATE_CELLS * APART ? l->series : PRIVATE_CELLS * APART;
    l->cells = load_share(cells * sizeof *l->cells);
    l->pointers = calloc(cells, sizeof *l->pointers);
    if (!l->cells || !l->pointers)
        return bench_fail(result, -ENOMEM, "no memory for the cells");
    for (uint64_t i = 0; i < cells; i++)
        l->pointers[i] = &l->cells[i];
    return 0;
}

static void stop_cells(struct load *l)
{
    free(l->pointers);
}

static uint64_t count_cells(struct load *l, uint64_t expected)
{
    (void)expected;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < (l->series > 1 ? l->series : PRIVATE_CELLS * APART); i++)
        sum += l->cells[i];
    return sum;
}

#define ADD_LOCKED(cell) ((void)__atomic_fetch_add(&(cell), 1, __ATOMIC_RELAXED))

LOAD_LOOP(plain_one, LIMIT_ADD(l->cells[0]))
LOAD_LOOP(plain_many, LIMIT_ADD(*l->pointers[load_pick(i, l->series)]))
LOAD_LOOP(plain_private, LIMIT_ADD(l->cells[l->worker * APART]))
LOAD_LOOP(private_one, ADD_LOCKED(l->cells[l->worker * APART]))
LOAD_LOOP(shared_one, ADD_LOCKED(l->cells[0]))
LOAD_LOOP(shared_many, ADD_LOCKED(*l->pointers[load_pick(i, l->series)]))

static void plain(struct load *l, uint64_t n)
{
    (l->series > 1 ? plain_many : plain_one)(l, n);
}

static void shared(struct load *l, uint64_t n)
{
    (l->series > 1 ? shared_many : shared_one)(l, n);
}

/* The limit with one process; with more of them it loses. */
static const struct subject plain_add = {
    .name = "plain_add",
    .series = {1, 1024, 1000000},
    .start = start_cells,
    .loop = plain,
    .counted = count_cells,
    .stop = stop_cells,
};

static const struct subject plain_add_private = {
    .name = "plain_add_private",
    .series = {1},
    .start = start_cells,
    .loop = plain_private,
    .counted = count_cells,
    .stop = stop_cells,
};

static const struct subject lock_xadd = {
    .name = "lock_xadd",
    .series = {1, 1024, 1000000},
    .start = start_cells,
    .loop = shared,
    .counted = count_cells,
    .stop = stop_cells,
};

static const struct subject lock_xadd_private = {
    .name = "lock_xadd_private",
    .series = {1},
    .start = start_cells,
    .loop = private_one,
    .counted = count_cells,
    .stop = stop_cells,
};

static int start_mutex(struct load *l, const struct bench_place *place, struct bench_result *result)
{
    int code = start_cells(l, place, result);
    if (code < 0)
        return code;
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    l->peer = load_share(sizeof(pthread_mutex_t));
    if (!l->peer)
        return bench_fail(result, -ENOMEM, "no memory for the mutex");
    pthread_mutex_init(l->peer, &attributes);
    pthread_mutexattr_destroy(&attributes);
    return 0;
}

static inline void add_mutex(struct load *l)
{
    pthread_mutex_lock(l->peer);
    l->cells[0]++;
    pthread_mutex_unlock(l->peer);
}
LOAD_LOOP(mutex_loop, add_mutex(l))

static const struct subject mutex = {
    .name = "mutex",
    .series = {1},
    .start = start_mutex,
    .waits = true,
    .loop = mutex_loop,
    .counted = count_cells,
    .stop = stop_cells,
};

static inline uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline double double_of(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline void add_double(uint64_t *cell)
{
    uint64_t seen = __atomic_load_n(cell, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(cell, &seen, bits_of(double_of(seen) + 1), false,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
}
LOAD_LOOP(cas_loop, add_double(l->cells))

static uint64_t count_double(struct load *l, uint64_t expected)
{
    (void)expected;
    return (uint64_t)double_of(l->cells[0]);
}

static const struct subject cas_double = {
    .name = "cas_double",
    .series = {1},
    .start = start_cells,
    .loop = cas_loop,
    .counted = count_double,
    .stop = stop_cells,
};

const struct subject *const peers_atomic[] = {
    &plain_add, &plain_add_private, &lock_xadd, &lock_xadd_private, &mutex, &cas_double, NULL,
};
