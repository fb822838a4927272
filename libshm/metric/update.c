/* SPDX-License-Identifier: MIT
 *
 * update.c - the slow ways of <smx/update.h>: atomic rows, first writes of gauges, input that has
 * to be checked; and the update path as functions of the library. Everything here is thread-, fork-
 * and async-signal-safe.
 */
#include "libshm/crash.h"
#include "libshm/metric/bounds.h"
#include "libshm/metric/exemplar.h"
#include "libshm/segment/rseq.h"
#include "libshm/segment/slot.h"
#include "libshm/segment/space.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <time.h>

/* Compare-and-swap loops give up after this many defeats: each means that another one succeeded. */
enum { MAX_TRIES = 10000 };

/* The atomic row of this thread: by CPU, so that two of them seldom meet. */
static uint32_t atomic_row(uint32_t rows, uint32_t mask)
{
    int saved = errno;
    int cpu = sched_getcpu();
    errno = saved;
    return rows + ((cpu < 0 ? 0 : (uint32_t)cpu) & mask);
}

static uint64_t *row_at(uint64_t *base, uint32_t row, uint32_t stride)
{
    return (uint64_t *)(void *)((char *)base + (uint64_t)row * stride);
}

void smx__add_atomic(uint64_t *base, uint32_t rows, uint32_t mask, uint32_t stride, uint64_t n)
{
    if (!base)
        return;
    smx__rseq_join();
    /* Relaxed: a counter. */
    __atomic_fetch_add(row_at(base, atomic_row(rows, mask), stride), n, __ATOMIC_RELAXED);
    SMX__CRASH_POINT("counter.added");
}

/* Raise a word to at least n. */
static void raise(uint64_t *word, uint64_t n)
{
    /* Relaxed: the word stands alone. */
    uint64_t seen = __atomic_load_n(word, __ATOMIC_RELAXED);
    for (int tries = 0; seen < n && tries < MAX_TRIES; tries++)
        if (__atomic_compare_exchange_n(word, &seen, n, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            return;
}

void smx__histogram_limits(uint64_t *row, uint64_t ticks)
{
    raise(row + SMX_HIST_MAX, ticks);
    SMX__CRASH_POINT("histogram.maximum");
    raise(row + SMX_HIST_MIN_INVERTED, ~ticks);
}

/* Change owner and value of a cell together, if it is still as seen (invariant 6). */
static bool adopt(struct smx_cell *cell, const struct smx_cell *seen, uint64_t owner,
                  uint64_t value)
{
#if defined(__x86_64__)
    bool done;
    uint64_t low = seen->owner;
    uint64_t high = seen->value;
    __asm__ __volatile__("lock cmpxchg16b %1"
                         : "=@ccz"(done), "+m"(*cell), "+a"(low), "+d"(high)
                         : "b"(owner), "c"(value)
                         : "memory");
    return done;
#elif defined(__aarch64__)
    uint64_t low;
    uint64_t high;
    uint32_t failed;
    for (int tries = 0; tries < MAX_TRIES; tries++) {
        __asm__ __volatile__("ldaxp %0, %1, %2" : "=&r"(low), "=&r"(high) : "Q"(*cell) : "memory");
        if (low != seen->owner || high != seen->value) {
            __asm__ __volatile__("clrex" : : : "memory");
            return false;
        }
        __asm__ __volatile__("stlxp %w0, %2, %3, %1"
                             : "=&r"(failed), "=Q"(*cell)
                             : "r"(owner), "r"(value)
                             : "memory");
        if (!failed)
            return true;
    }
    return false;
#else
    struct smx_cell expected = *seen;
    struct smx_cell wanted = {owner, value};
    return __atomic_compare_exchange(cell, &expected, &wanted, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_RELAXED);
#endif
}

/* A gauge cell that is about to be written, and its state. */
struct target {
    struct smx_cell *cell;
    struct smx_cell seen;
    uint64_t owner; /* what the cell's owner has to be */
};

/* Whether a later occupant of our slot owns the cell already: the host has closed our descriptor
 * and with it our lock, or another thread has closed the segment. Generations wrap. */
static bool overtaken(const struct target *t)
{
    uint32_t ahead = (uint32_t)((t->seen.owner >> 32) - (t->owner >> 32)) & SMX__LAST_GENERATION;
    return t->seen.owner && ahead != 0 && ahead <= SMX__LAST_GENERATION / 2;
}

/* Find this process' cell, claiming a slot if it has none. False: the write has nowhere to go. */
static bool aim(struct smx_cell *base, const struct smx_proc *proc, bool spill_too,
                struct target *out)
{
    uint64_t word = __atomic_load_n(&proc->word, __ATOMIC_RELAXED);
    struct smx_segment *segment = smx__process_owner(proc);
    if (!word && segment) {
        int saved = errno;
        smx__slot_claim(segment);
        errno = saved;
        word = __atomic_load_n(&proc->word, __ATOMIC_RELAXED);
    }
    if (!word || (word == SMX__SPILL_WORD && !spill_too)) {
        if (segment)
            smx__lose(segment, SMX_LOST_GAUGE);
        return false;
    }
    out->owner = word == SMX__SPILL_WORD ? SMX__SHARED_WORD : word;
    out->cell =
        (struct smx_cell *)(void *)((char *)base + ((uint64_t)(uint32_t)word << SMX_GAUGE_SHIFT));
    /* Relaxed: if the two do not belong together, the 16-byte CAS fails. */
    out->seen.owner = __atomic_load_n(&out->cell->owner, __ATOMIC_RELAXED);
    out->seen.value = __atomic_load_n(&out->cell->value, __ATOMIC_RELAXED);
    if (overtaken(out)) {
        if (segment)
            smx__lose(segment, SMX_LOST_GAUGE);
        return false;
    }
    return true;
}

/* Make the cell ours with a first value, or leave it to who came after us. False: it is ours
 * already, and keeps its value. */
static bool first_write(struct target *t, uint64_t value)
{
    SMX__CRASH_POINT("gauge.aimed");
    for (int tries = 0; t->seen.owner != t->owner && tries < MAX_TRIES; tries++) {
        if (overtaken(t) || adopt(t->cell, &t->seen, t->owner, value))
            return true;
        t->seen.owner = __atomic_load_n(&t->cell->owner, __ATOMIC_RELAXED);
        t->seen.value = __atomic_load_n(&t->cell->value, __ATOMIC_RELAXED);
    }
    return false;
}

void smx__histogram_record(smx_histogram h, uint64_t bucket, uint64_t ticks)
{
    const struct smx_hist *d = h.hist;
    smx__rseq_join();
    uint64_t *row = row_at(h.base, atomic_row(d->rows, d->mask), d->stride);
    /* Relaxed: counters. */
    __atomic_fetch_add(row + SMX_HIST_SUM, ticks, __ATOMIC_RELAXED);
    SMX__CRASH_POINT("histogram.summed");
    __atomic_fetch_add(row + SMX_HIST_BUCKETS + bucket, 1, __ATOMIC_RELAXED);
    SMX__CRASH_POINT("histogram.counted");
    smx__histogram_limits(row, ticks);
}

void smx__gauge_set(struct smx_cell *base, const struct smx_proc *proc, uint64_t bits)
{
    struct target t;
    if (base && aim(base, proc, false, &t) && !first_write(&t, bits))
        __atomic_store_n(&t.cell->value, bits, __ATOMIC_RELAXED);
    SMX__CRASH_POINT("gauge.set");
}

void smx__gauge_add(struct smx_cell *base, const struct smx_proc *proc, int64_t n)
{
    struct target t;
    if (base && aim(base, proc, true, &t) && !first_write(&t, (uint64_t)n))
        __atomic_fetch_add(&t.cell->value, (uint64_t)n, __ATOMIC_RELAXED);
    SMX__CRASH_POINT("gauge.added");
}

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static double double_of(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

void smx__fgauge_add(struct smx_cell *base, const struct smx_proc *proc, double n)
{
    struct target t;
    if (!base || !aim(base, proc, true, &t) || first_write(&t, bits_of(n)))
        return;
    uint64_t seen = __atomic_load_n(&t.cell->value, __ATOMIC_RELAXED);
    for (int tries = 0; tries < MAX_TRIES; tries++)
        if (__atomic_compare_exchange_n(&t.cell->value, &seen, bits_of(double_of(seen) + n), false,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            return;
}

void smx_gauge_set_to_current_time(smx_gauge gauge)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    smx_gauge_set(gauge, now.tv_sec);
}

void smx_fgauge_set_to_current_time(smx_fgauge gauge)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    smx_fgauge_set(gauge, (double)now.tv_sec + (double)now.tv_nsec / 1e9);
}

/* Count input that was dropped, in the segment that the address lies in. */
static void drop(const void *address, enum smx_lost reason)
{
    const struct smx_segment *segment = smx__process_at(address);
    if (segment)
        smx__lose(segment, reason);
}

/* A value in the unit as ticks; false if it is dropped, and counted as that. */
static bool to_ticks(smx_histogram histogram, double value, uint64_t *out)
{
    if (!histogram.base)
        return false;
    if (!(value >= 0)) {
        drop(histogram.base, SMX_LOST_NEGATIVE);
        return false;
    }
    double ticks = value * (double)smx__power_of_ten(histogram.hist->digits) + 0.5;
    if (!(ticks < 18446744073709551616.0)) {
        drop(histogram.base, SMX_LOST_INVALID);
        return false;
    }
    *out = (uint64_t)ticks;
    return true;
}

void smx_histogram_observe(smx_histogram histogram, double value)
{
    uint64_t ticks;
    if (to_ticks(histogram, value, &ticks))
        smx_histogram_record(histogram, ticks);
}

void smx_counter_add_exemplar(smx_counter counter, uint64_t n, const char *const labels[])
{
    smx_counter_add(counter, n);
    smx__exemplar_keep(counter.base, 1, 0, n, labels);
}

void smx_histogram_record_exemplar(smx_histogram histogram, uint64_t ticks,
                                   const char *const labels[])
{
    smx_histogram_record(histogram, ticks);
    if (!histogram.base)
        return;
    const uint32_t n = histogram.hist->n_buckets;
    const uint32_t bucket = (uint32_t)smx__histogram_index(histogram.hist, ticks);
    smx__exemplar_keep(histogram.base, smx__exemplar_groups(n), smx__exemplar_group(bucket, n),
                       ticks, labels);
}

void smx_histogram_observe_exemplar(smx_histogram histogram, double value,
                                    const char *const labels[])
{
    uint64_t ticks;
    if (to_ticks(histogram, value, &ticks))
        smx_histogram_record_exemplar(histogram, ticks, labels);
}

void smx_counter_add_signed(smx_counter counter, int64_t n)
{
    if (n >= 0)
        smx_counter_add(counter, (uint64_t)n);
    else
        drop(counter.base, SMX_LOST_NEGATIVE);
}

/* The sum of one word over all rows. Relaxed: each row moves on its own; see the header. */
static uint64_t sum_rows(const uint64_t *base, uint32_t rows, uint32_t stride)
{
    uint64_t sum = 0;
    for (uint32_t row = 0; row < rows; row++)
        sum += __atomic_load_n(
            (const uint64_t *)(const void *)((const char *)base + (uint64_t)row * stride),
            __ATOMIC_RELAXED);
    return sum;
}

uint64_t smx_counter_value(smx_counter counter)
{
    return counter.base
               ? sum_rows(counter.base, counter.rows + counter.mask + 1, 1u << SMX_COUNTER_SHIFT)
               : 0;
}

uint64_t smx_histogram_count(smx_histogram histogram)
{
    const struct smx_hist *d = histogram.hist;
    uint64_t count = 0;
    for (uint32_t i = 0; histogram.base && i < d->n_buckets; i++)
        count += sum_rows(histogram.base + SMX_HIST_BUCKETS + i, d->rows + d->mask + 1, d->stride);
    return count;
}

uint64_t smx_histogram_sum(smx_histogram histogram)
{
    const struct smx_hist *d = histogram.hist;
    return histogram.base
               ? sum_rows(histogram.base + SMX_HIST_SUM, d->rows + d->mask + 1, d->stride)
               : 0;
}

int64_t smx_gauge_value(smx_gauge gauge)
{
    const struct smx_cell *cell = smx__gauge_cell(gauge.base, gauge.proc);
    return cell ? (int64_t)__atomic_load_n(&cell->value, __ATOMIC_RELAXED) : 0;
}

double smx_fgauge_value(smx_fgauge gauge)
{
    const struct smx_cell *cell = smx__gauge_cell(gauge.base, gauge.proc);
    return cell ? double_of(__atomic_load_n(&cell->value, __ATOMIC_RELAXED)) : 0;
}

uint64_t smx_stateset_value(smx_stateset set)
{
    return (uint64_t)smx_gauge_value(set.bits);
}

void smx_counter_add_fn(smx_counter counter, uint64_t n)
{
    smx_counter_add(counter, n);
}

void smx_histogram_record_fn(smx_histogram histogram, uint64_t ticks)
{
    smx_histogram_record(histogram, ticks);
}

void smx_gauge_set_fn(smx_gauge gauge, int64_t value)
{
    smx_gauge_set(gauge, value);
}

void smx_gauge_add_fn(smx_gauge gauge, int64_t n)
{
    smx_gauge_add(gauge, n);
}

void smx_fgauge_set_fn(smx_fgauge gauge, double value)
{
    smx_fgauge_set(gauge, value);
}

void smx_fgauge_add_fn(smx_fgauge gauge, double n)
{
    smx_fgauge_add(gauge, n);
}

void smx_stateset_set_fn(smx_stateset set, uint64_t states)
{
    smx_stateset_set(set, states);
}

void smx_stateset_enter_fn(smx_stateset set, unsigned state)
{
    smx_stateset_enter(set, state);
}
