/* SPDX-License-Identifier: MIT
 *
 * rseq-aarch64.h - the sequences in aarch64 assembler. Included by <smx/rseq.h>.
 *
 * The thread's struct rseq is at tpidr_el0 + SMX__RSEQ_OFFSET: cpu_id_start at 0, cpu_id at 4,
 * rseq_cs at 8. A sequence stores the address of its descriptor to rseq_cs, makes sure of the CPU,
 * loads, adds, commits by one store, and stores 0. There is no call in it, and its cold part lies
 * elsewhere.
 *
 * A conditional branch reaches 1 MiB, which the cold part of a large program may be away; so it
 * jumps over a branch that reaches everything, through a veneer of the linker's where need be. That
 * may use x16 and x17.
 */
#ifndef SMX_RSEQ_AARCH64_H
#define SMX_RSEQ_AARCH64_H

#include <stddef.h>
#include <stdint.h>

struct smx_hist; /* rows at offset 0, mask at 4, stride at 8 */

/* clang-format off */

/* %[rseq]: the thread's struct rseq. Not kept from one sequence to the next, as a host's coroutine
 * may go on in another thread. */
#define SMX__RSEQ_AREA                                                                             \
    "mrs %[rseq], tpidr_el0\n\t"                                                                   \
    "add %[rseq], %[rseq], %[offset]\n\t"

/* Labels: start is the first instruction inside, end lies behind the commit, abort is where the
 * kernel lands. Descriptor and cold part lie in the section group of the function around them
 * ("?"), which is what lets C++ inline functions be discarded whole. */
#define SMX__RSEQ_BEGIN(start, end, descriptor, abort)                                             \
    ".pushsection __rseq_cs, \"aw?\"\n\t"                                                          \
    ".balign 32\n" descriptor ":\n\t"                                                              \
    ".long 0, 0\n\t"                                                                               \
    ".quad " start "f, " end "f - " start "f, " abort "f\n\t"                                      \
    ".popsection\n\t"                                                                              \
    "adrp %[t], " descriptor "b\n\t"                                                               \
    "add %[t], %[t], :lo12:" descriptor "b\n\t"                                                    \
    "str %[t], [%[rseq], #8]\n" start ":\n\t"
#define SMX__RSEQ_END "str xzr, [%[rseq], #8]\n\t"
#define SMX__RSEQ_COLD ".pushsection __rseq_failure, \"ax?\"\n\t"
#define SMX__RSEQ_SIGNATURE ".long " SMX__STRING(SMX__RSEQ_SIG) "\n"

/* [%[t]] += n, atomically; again: a label. %[v], %[w]: scratch. */
#if defined(__ARM_FEATURE_ATOMICS)
#define SMX__ATOMIC_ADD(again, n)                                                                  \
    "mov %[v], " n "\n\t"                                                                          \
    "stadd %[v], [%[t]]\n\t"
#else
#define SMX__ATOMIC_ADD(again, n)                                                                  \
    again ":\n\t"                                                                                  \
    "ldxr %[v], [%[t]]\n\t"                                                                        \
    "add %[v], %[v], " n "\n\t"                                                                    \
    "stxr %w[w], %[v], [%[t]]\n\t"                                                                 \
    "cbnz %w[w], " again "b\n\t"
#endif

static inline uint32_t smx__rseq_cpu(void)
{
    uint64_t rseq;
    uint32_t cpu;
    __asm__ __volatile__(SMX__RSEQ_AREA "ldr %w[cpu], [%[rseq], #4]"
                         : [rseq] "=&r"(rseq), [cpu] "=r"(cpu)
                         : [offset] "r"(SMX__RSEQ_OFFSET));
    return cpu;
}

/* base[cpu << 12] += n; shape is rows | mask << 32. 4: the way out to an atomic row, chosen by
 * cpu_id_start: the CPU's number, or what libshm left there in a thread without rseq, so that
 * processes seldom meet. If base is NULL, rows is 0, and nothing happens. */
static inline void smx__rseq_add(uint64_t *base, uint64_t shape, uint64_t n)
{
    uint64_t rseq, t, v, w;
    SMX__RSEQ_ASM(
        SMX__RSEQ_AREA
        SMX__RSEQ_BEGIN("1", "2", "3", "4")
        "ldr %w[w], [%[rseq], #4]\n\t"
        "cmp %w[w], %w[shape]\n\t"
        "b.lo 6f\n\t"
        "b 4f\n"
        "6:\n\t"
        "add %[t], %[base], %[w], lsl #12\n\t"
        "ldr %[v], [%[t]]\n\t"
        "add %[v], %[v], %[n]\n\t"
        "str %[v], [%[t]]\n"
        "2:\n\t"
        SMX__RSEQ_END
        SMX__RSEQ_COLD
        SMX__RSEQ_SIGNATURE
        "4:\n\t"
        "ldr %w[w], [%[rseq]]\n\t"
        "cbz %[base], 8f\n\t"
        "lsr %[t], %[shape], #32\n\t"
        "and %w[w], %w[w], %w[t]\n\t"
        "add %w[w], %w[w], %w[shape]\n\t"
        "add %[t], %[base], %[w], lsl #12\n\t"
        SMX__ATOMIC_ADD("7", "%[n]")
        "8:\n\t"
        "b 2b\n\t"
        ".popsection"
        : [rseq] "=&r"(rseq), [t] "=&r"(t), [v] "=&r"(v), [w] "=&r"(w),
          "+m"(*(uint64_t(*)[])base)
        : [base] "r"(base), [shape] "r"(shape), [n] "rI"(n), [offset] "r"(SMX__RSEQ_OFFSET)
        : "cc", "x16", "x17");
}

/* base[row][SMX_HIST_BUCKETS + bucket] += 1 and base[row][SMX_HIST_SUM] += ticks, in two sequences;
 * the second makes sure that we are still on the CPU of the first, and its descriptor replaces the
 * first one. 4: both adds in an atomic row; 9, 10: the second alone. Returns the row that was first
 * chosen. */
static inline uint64_t *smx__rseq_record(uint64_t *base, uint64_t bucket, uint64_t ticks,
                                         const struct smx_hist *hist)
{
    uint64_t *row;
    uint64_t rseq, cpu, t, v, w;
    SMX__RSEQ_ASM(
        SMX__RSEQ_AREA
        SMX__RSEQ_BEGIN("1", "2", "3", "4")
        "ldr %w[cpu], [%[rseq], #4]\n\t"
        "ldr %w[w], [%[hist]]\n\t"
        "cmp %w[cpu], %w[w]\n\t"
        "b.lo 6f\n\t"
        "b 4f\n"
        "6:\n\t"
        "ldr %w[w], [%[hist], #8]\n\t"
        "umaddl %[row], %w[cpu], %w[w], %[base]\n\t"
        "ldr %[v], [%[row]]\n\t"
        "add %[v], %[v], %[ticks]\n\t"
        "str %[v], [%[row]]\n"
        "2:\n\t"
        SMX__RSEQ_BEGIN("11", "7", "8", "9")
        "ldr %w[w], [%[rseq], #4]\n\t"
        "cmp %w[w], %w[cpu]\n\t"
        "b.eq 12f\n\t"
        "b 10f\n"
        "12:\n\t"
        "add %[t], %[row], %[bucket], lsl #3\n\t"
        "ldr %[v], [%[t], #32]\n\t"
        "add %[v], %[v], #1\n\t"
        "str %[v], [%[t], #32]\n"
        "7:\n\t"
        SMX__RSEQ_END
        SMX__RSEQ_COLD
        SMX__RSEQ_SIGNATURE
        "4:\n\t"
        "ldp %w[w], %w[v], [%[hist]]\n\t"
        "ldr %w[cpu], [%[rseq]]\n\t"
        "and %w[cpu], %w[cpu], %w[v]\n\t"
        "add %w[cpu], %w[cpu], %w[w]\n\t"
        "ldr %w[w], [%[hist], #8]\n\t"
        "umaddl %[row], %w[cpu], %w[w], %[base]\n\t"
        "mov %[t], %[row]\n\t"
        SMX__ATOMIC_ADD("13", "%[ticks]")
        "add %[t], %[row], %[bucket], lsl #3\n\t"
        "add %[t], %[t], #32\n\t"
        SMX__ATOMIC_ADD("14", "#1")
        "b 7b\n\t"
        SMX__RSEQ_SIGNATURE
        "9:\n"
        "10:\n\t"
        "ldr %w[t], [%[hist]]\n\t"
        "ldr %w[v], [%[hist], #8]\n\t"
        "umaddl %[t], %w[t], %w[v], %[base]\n\t"
        "add %[t], %[t], %[bucket], lsl #3\n\t"
        "add %[t], %[t], #32\n\t"
        SMX__ATOMIC_ADD("15", "#1")
        "b 7b\n\t"
        ".popsection"
        : [rseq] "=&r"(rseq), [row] "=&r"(row), [cpu] "=&r"(cpu), [t] "=&r"(t), [v] "=&r"(v),
          [w] "=&r"(w), "+m"(*(uint64_t(*)[])base)
        : [base] "r"(base), [bucket] "r"(bucket), [ticks] "r"(ticks), [hist] "r"(hist),
          [offset] "r"(SMX__RSEQ_OFFSET)
        : "cc", "x16", "x17");
    return row;
}
/* clang-format on */

#endif
