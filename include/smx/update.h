/* SPDX-License-Identifier: MIT
 *
 * update.h - handles and the update path: what runs a billion times a day inside the host's
 * workers. Included by <smx/smx.h>; do not include it alone.
 *
 * It owns the inline ABI: the handles, their rows and strides, and the rule below. A change of any
 * of these is a new SONAME and a new major version of the segment format.
 *
 *   row = rseq.cpu_id
 *   row < rows    cell(row) += n, one plain add, committed inside a restartable sequence
 *   otherwise     one atomic add to an atomic row; so too after an abort, once, without a retry
 *
 * A plain add and an atomic add never meet in one row (invariant 3 of libshm/layout.h). Every way
 * out of a sequence stores 0 to rseq_cs, so that no pointer into unloaded code stays behind.
 * An abort is what the kernel does to a sequence that was preempted, migrated or interrupted by a
 * signal before its last instruction: Documentation of rseq(2), include/uapi/linux/rseq.h.
 *
 * What it does not do: claim process slots, allocate, call the kernel. The slow paths are functions
 * of libshm.
 */
#ifndef SMX_UPDATE_H
#define SMX_UPDATE_H

#ifdef __cplusplus /* C has no other casts, and who warns of them in C++ means not this */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast"
#endif

#include <smx/rseq.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* log2 of the distance between two rows of a counter: each CPU's cells on pages of their own. */
#define SMX_COUNTER_SHIFT 12

/* A counter series. All-zero is valid: its updates go nowhere. */
typedef struct smx_counter {
    uint64_t *base; /* the cell of row 0, or NULL */
    uint32_t rows;  /* per-CPU rows; 0: every add is atomic */
    uint32_t mask;  /* atomic rows behind them, less one; they are a power of two */
} smx_counter;

/* How the values of one histogram family find their bucket. A handle leads to one in this process'
 * own memory, which nobody else can damage; the one in the segment is for other languages, written
 * before the family is published and never again. Bucket i holds the values v (in ticks) with
 * threshold[i - 1] < v <= threshold[i]; the last threshold is UINT64_MAX.
 *
 * An index saves the search. The key of a value is the exponent and the leading bits of the
 * mantissa of its double: bits >> shift, less key_base. At most one threshold lies among the values
 * of one key, and entry[key] is that threshold's bits, with the bucket that it ends in its low 16
 * bits: of the values below 2^36, which are the indexed ones, these bits of the double are 0.
 * Zero, and what is larger, have no key below key_count.
 *
 * The entries (uint64_t[key_count]) follow this struct, the thresholds (uint64_t[n_buckets]) are at
 * thresholds_at. */
struct smx_hist {
    uint32_t rows;          /* per-CPU rows; 0: every add is atomic */
    uint32_t mask;          /* atomic rows behind them, less one */
    uint32_t stride;        /* bytes from one row to the next, a power of two >= 128 */
    uint32_t n_buckets;     /* thresholds */
    uint32_t shift;         /* 52 - bits of the mantissa in a key */
    uint32_t digits;        /* one tick is 10^-digits of the exposed unit */
    uint64_t key_base;      /* bits of 1.0 >> shift */
    uint64_t key_count;     /* entries; 0: every value is searched for */
    uint64_t ns_per_tick;   /* for timers, at least 1 */
    uint64_t thresholds_at; /* bytes from this struct */
    uint64_t reserved;
};

/* Words of one row of a histogram, before its buckets. Minimum and maximum are raised by
 * compare-and-swap in any kind of row; the minimum is kept inverted so that 0 means none. */
enum { SMX_HIST_SUM, SMX_HIST_MIN_INVERTED, SMX_HIST_MAX, SMX_HIST_SPARE, SMX_HIST_BUCKETS };

/* A histogram series. All-zero is valid: its updates go nowhere. */
typedef struct smx_histogram {
    uint64_t *base; /* row 0, or NULL */
    const struct smx_hist *hist;
} smx_histogram;

/* log2 of the distance between two rows of a gauge: one cache line for each process. */
#define SMX_GAUGE_SHIFT 6

/* A gauge's cell in one process' row; it counts only while its owner is that process' slot word. */
struct smx_cell {
    uint64_t owner;
    uint64_t value; /* int64_t, or the bits of a double */
};

/* Who this process is in one segment: generation << 32 | row; 0 until a slot is claimed. It lies
 * on a page that the kernel wipes in a forked child. */
struct smx_proc {
    uint64_t word;
    uint64_t busy;
};

/* A gauge series of integers, and one of doubles. All-zero is valid: updates go nowhere. */
typedef struct smx_gauge {
    struct smx_cell *base; /* row 0, or NULL */
    const struct smx_proc *proc;
} smx_gauge;
typedef struct smx_fgauge {
    struct smx_cell *base;
    const struct smx_proc *proc;
} smx_fgauge;

/* A series of a stateset: bit i of its gauge is state i. All-zero is valid: updates go nowhere. */
typedef struct smx_stateset {
    smx_gauge bits;
} smx_stateset;

/* The slow paths and the paths without rseq; call the functions below instead. That they do not
 * throw lets C++ end an update in a jump to one, as C does. */
#define SMX__NOTHROW __attribute__((__nothrow__))
void smx__add_atomic(uint64_t *base, uint32_t rows, uint32_t mask, uint32_t stride,
                     uint64_t n) SMX__NOTHROW;
uint32_t smx__histogram_search(const struct smx_hist *hist, uint64_t ticks) SMX__NOTHROW;
void smx__histogram_limits(uint64_t *row, uint64_t ticks) SMX__NOTHROW;
void smx__histogram_record(smx_histogram h, uint64_t bucket, uint64_t ticks) SMX__NOTHROW;
void smx__gauge_set(struct smx_cell *base, const struct smx_proc *proc, uint64_t bits) SMX__NOTHROW;
void smx__gauge_add(struct smx_cell *base, const struct smx_proc *proc, int64_t n) SMX__NOTHROW;
void smx__fgauge_add(struct smx_cell *base, const struct smx_proc *proc, double n) SMX__NOTHROW;

/* Add n ticks to a counter.
 * n is in the family's resolution (1 unless it was registered with digits).
 * Returns: nothing; a handle of a failed registration swallows the update.
 * Context: threads=any fork=any signal=safe blocks=never; not between vfork() and exec, where the
 * child runs on its parent's rseq area and counts are lost. */
static inline void smx_counter_add(smx_counter c, uint64_t n)
{
#if SMX__REGISTERS
    /* A thread without rseq may get it there. */
    if (__builtin_expect(smx__cpu() > INT32_MAX, 0)) {
        smx__add_atomic(c.base, c.rows, c.mask, 1u << SMX_COUNTER_SHIFT, n);
        return;
    }
#endif
#if SMX_HAVE_RSEQ
    smx__rseq_add(c.base, c.rows | (uint64_t)c.mask << 32, n);
#else
    smx__add_atomic(c.base, c.rows, c.mask, 1u << SMX_COUNTER_SHIFT, n);
#endif
}

/* Add 1 tick to a counter. Context: as smx_counter_add. */
static inline void smx_counter_inc(smx_counter c)
{
    smx_counter_add(c, 1);
}

/* The bucket of a value in ticks; pure.
 * The key is taken from one without d->key_base: a store whose place is known late, as that of the
 * bucket's count, holds up each load behind it. */
static inline uint64_t smx__histogram_index(const struct smx_hist *d, uint64_t ticks)
{
    const uint64_t *entries = (const uint64_t *)(const void *)(d + 1);
    const uint64_t one = UINT64_C(0x3ff) << 52; /* the bits of 1.0 */
    double real = (double)(int64_t)ticks;
    uint64_t bits;
    __builtin_memcpy(&bits, &real, sizeof bits);
    uint64_t key = (bits - one) >> d->shift;
    if (__builtin_expect(key >= d->key_count, 0))
        return smx__histogram_search(d, ticks);
    uint64_t entry = entries[key];
    return (entry & 0xffff) + (bits > entry);
}

/* Record one value, in ticks of the family's resolution (nanoseconds for a family in seconds).
 * The sum and its bucket's count are two operations, in this order: a SIGKILL between them loses
 * the count.
 * Context: as smx_counter_add. */
static inline void smx_histogram_record(smx_histogram h, uint64_t ticks)
{
    const struct smx_hist *d = h.hist;
    if (!h.base)
        return;
    uint64_t bucket = smx__histogram_index(d, ticks);
#if SMX__REGISTERS
    if (__builtin_expect(smx__cpu() > INT32_MAX, 0)) {
        smx__histogram_record(h, bucket, ticks);
        return;
    }
#endif
#if SMX_HAVE_RSEQ
    uint64_t *row = smx__rseq_record(h.base, bucket, ticks, d);
    /* Relaxed: each word only grows, and the slow path compares again. */
    if (__builtin_expect(ticks > __atomic_load_n(row + SMX_HIST_MAX, __ATOMIC_RELAXED), 0) ||
        __builtin_expect(~ticks > __atomic_load_n(row + SMX_HIST_MIN_INVERTED, __ATOMIC_RELAXED),
                         0))
        smx__histogram_limits(row, ticks);
#else
    smx__histogram_record(h, bucket, ticks);
#endif
}

/* This process' cell of a gauge, or NULL while its row is not this process' yet. */
static inline struct smx_cell *smx__gauge_cell(struct smx_cell *base, const struct smx_proc *proc)
{
    if (!base)
        return 0;
    /* Relaxed: only this process writes the word, and the cell is found by its value alone. */
    uint64_t word = __atomic_load_n(&proc->word, __ATOMIC_RELAXED);
    struct smx_cell *cell =
        (struct smx_cell *)(void *)((char *)base + ((uint64_t)(uint32_t)word << SMX_GAUGE_SHIFT));
    if (__builtin_expect(!word || __atomic_load_n(&cell->owner, __ATOMIC_RELAXED) != word, 0))
        return 0;
    return cell;
}

/* Set this process' value of a gauge.
 * The first write of a process to a gauge takes the slow path, which may claim a process slot in
 * the child of a raw clone(2), by some system calls. What another thread or a signal handler of
 * such a child writes in the middle of that is dropped and counted.
 * Context: threads=any fork=any signal=safe blocks=never; not between vfork() and exec. */
static inline void smx_gauge_set(smx_gauge g, int64_t value)
{
    struct smx_cell *cell = smx__gauge_cell(g.base, g.proc);
    if (cell)
        __atomic_store_n(&cell->value, (uint64_t)value, __ATOMIC_RELAXED);
    else
        smx__gauge_set(g.base, g.proc, (uint64_t)value);
}

/* Add n, which may be negative, to this process' value of a gauge. Context: as smx_gauge_set. */
static inline void smx_gauge_add(smx_gauge g, int64_t n)
{
    struct smx_cell *cell = smx__gauge_cell(g.base, g.proc);
    if (cell)
        (void)__atomic_fetch_add(&cell->value, (uint64_t)n, __ATOMIC_RELAXED);
    else
        smx__gauge_add(g.base, g.proc, n);
}

/* Subtract n, or move by one. Context: as smx_gauge_set. */
static inline void smx_gauge_sub(smx_gauge g, int64_t n)
{
    smx_gauge_add(g, (int64_t)(0 - (uint64_t)n));
}
static inline void smx_gauge_inc(smx_gauge g)
{
    smx_gauge_add(g, 1);
}
static inline void smx_gauge_dec(smx_gauge g)
{
    smx_gauge_add(g, -1);
}

/* Set this process' value of a gauge of doubles. Context: as smx_gauge_set. */
static inline void smx_fgauge_set(smx_fgauge g, double value)
{
    uint64_t bits;
    __builtin_memcpy(&bits, &value, sizeof bits);
    struct smx_cell *cell = smx__gauge_cell(g.base, g.proc);
    if (cell)
        __atomic_store_n(&cell->value, bits, __ATOMIC_RELAXED);
    else
        smx__gauge_set(g.base, g.proc, bits);
}

/* Add n to this process' value of a gauge of doubles. Context: as smx_gauge_set. */
static inline void smx_fgauge_add(smx_fgauge g, double n)
{
    smx__fgauge_add(g.base, g.proc, n);
}
static inline void smx_fgauge_sub(smx_fgauge g, double n)
{
    smx_fgauge_add(g, -n);
}

/* Say which states are on: bit i is the i-th of the family's, all others are off. One store: nobody
 * sees a part of it. Context: as smx_gauge_set. */
static inline void smx_stateset_set(smx_stateset s, uint64_t states)
{
    smx_gauge_set(s.bits, (int64_t)states);
}

/* Be in one state, by its number from 0 on, and in no other. Context: as smx_gauge_set. */
static inline void smx_stateset_enter(smx_stateset s, unsigned state)
{
    smx_stateset_set(s, state < 64 ? UINT64_C(1) << state : 0);
}

#pragma GCC visibility pop
#ifdef __cplusplus
}
#pragma GCC diagnostic pop
#endif
#endif
