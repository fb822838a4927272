/* SPDX-License-Identifier: MIT
 *
 * load.h - one operation in a loop, by several processes at once, with an exact count of what they
 * did. A subject says what the operation is; load.c runs it.
 *
 * A subject's loop keeps its handles in struct load, which the compiler has to read again for each
 * operation (LOAD_BARRIER): as in a server, where other code runs between two updates. Nothing is
 * subtracted for the loop itself but where a subject has a baseline.
 */
#ifndef SMX_BENCH_LOAD_H
#define SMX_BENCH_LOAD_H

#include "bench.h"

#include <smx/smx.h>

/* Operations come in multiples of this, the number of values that histograms record in turn. */
enum { LOAD_BATCH = 1024 };

/* What a loop works on. Made before the fork: each process then has its own copy of all but the
 * shared memory that it points to. */
struct load {
    uint32_t series;
    unsigned rows;   /* forced, or 0 */
    unsigned worker; /* 0 for the first process */
    uint64_t done;   /* operations of this process before this loop */
    smx_segment *segment;
    smx_counter counter;
    smx_histogram histogram;
    smx_gauge gauge;
    smx_family family;
    smx_counter *counters;     /* series of them */
    smx_histogram *histograms; /* series of them */
    uint64_t *cells;           /* zeroed memory that the processes share */
    uint64_t **pointers;       /* to some of them */
    void (*function)(smx_counter counter, uint64_t n);
    void *peer;
    uint64_t *numbers;        /* private memory, of the subject's choice */
    const char *(*values)[3]; /* label values */
    uint64_t ticks[LOAD_BATCH];
    uint64_t ticks_sum;
};

struct subject {
    const char *name;
    enum bench_when when; /* of the first of the series; more of them are never quick */
    unsigned rows;        /* forced; 0: as the machine has them */
    const char *kind;     /* of the segment; NULL: per-CPU */
    uint64_t series[4];   /* run with each of these, up to a 0 */
    double reach[4];      /* what is wanted with each: ns, where a plain add takes LIMIT_ADD_NS */
    bool exact;           /* a loss is a failure */
    bool alone;           /* with one process only */
    bool waits;           /* in the kernel: measured by the clock, not by CPU time */
    /* Make what the loop needs. Returns: as bench_case.run. */
    int (*start)(struct load *, const struct bench_place *, struct bench_result *);
    void (*loop)(struct load *, uint64_t n);
    /* If not NULL it runs in turn with the loop, and its time is subtracted. */
    void (*baseline)(struct load *, uint64_t n);
    /* Operations counted: by all processes, asked when they have ended; or by this process, asked
     * at its end. Just one of the two. `expected` is what it should be. */
    uint64_t (*counted)(struct load *, uint64_t expected);
    uint64_t (*counted_here)(struct load *, uint64_t expected);
    /* Undo what outlives the case's directory and its processes; may be NULL. */
    void (*stop)(struct load *);
};

/* All memory is to be read again. */
#define LOAD_BARRIER() __asm__ __volatile__("" : : : "memory")

/* An operation in a loop of n, as a function named `name`; `i` counts from the first operation of
 * this process, `l` is the load. */
#define LOAD_LOOP(name, operation)                                                                 \
    static void name(struct load *l, uint64_t n)                                                   \
    {                                                                                              \
        for (uint64_t i = l->done, end = l->done + n; i < end; i++) {                              \
            operation;                                                                             \
            LOAD_BARRIER();                                                                        \
        }                                                                                          \
    }

/* A series for operation i, in an order that no prefetcher follows, without a chain from one to
 * the next. */
static inline uint32_t load_pick(uint64_t i, uint32_t series)
{
    return (uint32_t)(((uint64_t)((uint32_t)i * 2654435761u) * series) >> 32);
}

/* The bench_case.run of every case that has a subject. */
int load_run(const struct bench_case *bench, const struct bench_place *place,
             struct bench_result *result);

/* The `counted` of a subject that counts nothing. */
uint64_t load_count_nothing(struct load *l, uint64_t expected);

/* Memory that forked processes share, zeroed; NULL if there is none. */
void *load_share(size_t bytes);

#endif
