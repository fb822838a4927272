/* SPDX-License-Identifier: MIT
 *
 * update_work.c - what an update adds to real work, and what it costs when nothing is cached.
 *
 * A loop that does nothing else flatters every update: it hides in what the processor could do
 * anyway, and its branches are foreseen. Here it stands in a loop that reads a random word of 8
 * MiB, past the second level of most caches, and branches on it; the same loop without the update
 * runs in turn and is subtracted. Cold: the cell and its handle are flushed before every update,
 * and a fence waits for it; flushing and fence alone are subtracted.
 */
#include "run/segment.h"
#include "subjects/subjects.h"

#include <errno.h>
#include <stdlib.h>

enum { LOG2_WORDS = 20, WORDS = 1 << LOG2_WORDS };

static int start(struct load *l, const struct bench_place *place, struct bench_result *result)
{
    int code = segment_open(&(struct segment_plan){.counters = 1}, place, &l->segment, result);
    if (code == 0)
        code = segment_counters(l->segment, &l->counter, 1, result);
    l->cells = load_share(4096);
    l->numbers = malloc(WORDS * sizeof *l->numbers);
    if (code == 0 && (!l->cells || !l->numbers))
        return bench_fail(result, -ENOMEM, "no memory for the work");
    uint64_t seed = 7;
    for (uint32_t i = 0; i < WORDS && l->numbers; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        l->numbers[i] = seed >> 7;
    }
    return code;
}

static void stop(struct load *l)
{
    free(l->numbers);
}

/* One step of work: what is read next is known before, whether it is odd is not. It is no even
 * sequence, of which one of two that take turns would find what the other has just read. The branch
 * holds an asm, for the compiler would make a conditional move of it. */
static inline uint64_t step(const uint64_t *numbers, uint64_t i, uint64_t sum)
{
    uint64_t mixed = i * 2862933555777941757u;
    mixed = (mixed ^ mixed >> 32) * 6364136223846793005u;
    uint64_t word = numbers[mixed >> (64 - LOG2_WORDS)];
    if (word & 1)
        __asm__("xorq $0x2545f491, %0" : "+r"(sum));
    return sum + word;
}

/* from: the first step. */
#define WORK_LOOP(name, from, operation)                                                           \
    static void name(struct load *l, uint64_t n)                                                   \
    {                                                                                              \
        uint64_t sum = 0;                                                                          \
        for (uint64_t i = (from), end = i + n; i < end; i++) {                                     \
            sum = step(l->numbers, i, sum);                                                        \
            operation;                                                                             \
            __asm__ __volatile__("" : "+r"(sum) : : "memory");                                     \
        }                                                                                          \
    }

/* As many instructions as an add has here: what any take of the window in which the processor
 * looks for the next word. */
#define NOPS() __asm__ __volatile__(".rept 10\n\tnop\n\t.endr")

#define ADD_SMX()    smx_counter_add(l->counter, 1)
#define ADD_LOCKED() ((void)__atomic_fetch_add(l->cells, 1, __ATOMIC_RELAXED))

/* The two that take turns are far apart: what one has read would be cached for the other. */
WORK_LOOP(work_smx, l->done, ADD_SMX())
WORK_LOOP(work_locked, l->done, ADD_LOCKED())
WORK_LOOP(work_nops, l->done, NOPS())
WORK_LOOP(work_plain, l->done, l->cells[0]++)
WORK_LOOP(work_only, l->done + (UINT64_C(1) << 40), (void)0)

static uint64_t count_smx(struct load *l, uint64_t expected)
{
    (void)expected;
    return smx_counter_value(l->counter);
}

static uint64_t count_cell(struct load *l, uint64_t expected)
{
    (void)expected;
    return l->cells[0];
}

static const struct subject work_counter_add = {
    .name = "work_counter_add",
    .exact = true,
    .series = {1},
    .start = start,
    .loop = work_smx,
    .baseline = work_only,
    .counted = count_smx,
    .stop = stop,
};

static const struct subject work_10_nops = {
    .name = "work_10_nops",
    .series = {1},
    .alone = true,
    .start = start,
    .loop = work_nops,
    .baseline = work_only,
    .counted = load_count_nothing,
    .stop = stop,
};

static const struct subject work_plain_add = {
    .name = "work_plain_add",
    .series = {1},
    .alone = true,
    .start = start,
    .loop = work_plain,
    .baseline = work_only,
    .counted = count_cell,
    .stop = stop,
};

static const struct subject work_lock_xadd = {
    .name = "work_lock_xadd",
    .series = {1},
    .start = start,
    .loop = work_locked,
    .baseline = work_only,
    .counted = count_cell,
    .stop = stop,
};

#if defined(__x86_64__)

/* The cell of this CPU, where the sequence will look for it, and the handle. */
static inline void flush_smx(struct load *l)
{
    uint64_t *cell = l->counter.base;
    for (uint32_t row = 0; row < l->counter.rows; row++)
        __builtin_ia32_clflush(cell + ((uint64_t)row << (SMX_COUNTER_SHIFT - 3)));
    __builtin_ia32_clflush(&l->counter);
    __builtin_ia32_mfence();
}

static inline void flush_cell(struct load *l)
{
    __builtin_ia32_clflush(l->cells);
    __builtin_ia32_clflush(&l->counter);
    __builtin_ia32_mfence();
}

LOAD_LOOP(cold_smx, flush_smx(l); ADD_SMX(); __builtin_ia32_mfence())
LOAD_LOOP(cold_smx_only, flush_smx(l); __builtin_ia32_mfence())
LOAD_LOOP(cold_locked, flush_cell(l); ADD_LOCKED(); __builtin_ia32_mfence())
LOAD_LOOP(cold_locked_only, flush_cell(l); __builtin_ia32_mfence())

static const struct subject cold_counter_add = {
    .name = "cold_counter_add",
    .exact = true,
    .series = {1},
    .alone = true,
    .start = start,
    .loop = cold_smx,
    .baseline = cold_smx_only,
    .counted = count_smx,
    .stop = stop,
};

static const struct subject cold_lock_xadd = {
    .name = "cold_lock_xadd",
    .series = {1},
    .alone = true,
    .start = start,
    .loop = cold_locked,
    .baseline = cold_locked_only,
    .counted = count_cell,
    .stop = stop,
};

const struct subject *const update_work[] = {
    &work_counter_add, &work_10_nops, &work_plain_add, &work_lock_xadd, &cold_counter_add,
    &cold_lock_xadd,   NULL,
};

#else

const struct subject *const update_work[] = {&work_counter_add, &work_10_nops, &work_plain_add,
                                             &work_lock_xadd, NULL};

#endif
