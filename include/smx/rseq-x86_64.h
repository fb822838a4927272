/* SPDX-License-Identifier: MIT
 *
 * rseq-x86_64.h - the sequences in x86-64 assembler. Included by <smx/rseq.h>.
 *
 * The thread's struct rseq is at %fs:SMX__RSEQ_OFFSET: cpu_id_start at 0, cpu_id at 4, rseq_cs at
 * 8. A sequence stores the address of its descriptor to rseq_cs, makes sure of the CPU, commits by
 * one instruction, and stores 0. There is no call in it, and its cold part lies elsewhere.
 *
 * All of smx_counter_add(c, 1), as gcc 12 compiles it at -O2; c in %rdi and %rsi:
 *
 *     mov   __rseq_offset(%rip),%rax   from the thread pointer to struct rseq
 *     lea   3b(%rip),%rdx              the descriptor: where the sequence begins, ends, aborts to
 *     mov   %rdx,%fs:0x8(%rax)         begun: preempted, moved or signalled up to the commit, the
 *                                      thread goes on at the abort, in the cold part
 *     mov   %fs:0x4(%rax),%edx         the CPU
 *     cmp   %esi,%edx                  has it a row? not without rseq, nor in a striped segment
 *     jae   4f                         else to the cold part: one lock add to an atomic row
 *     shl   $0xc,%rdx                  rows are 4 KiB apart
 *     addq  $0x1,(%rdi,%rdx,1)         the commit
 *     movq  $0x0,%fs:0x8(%rax)         no pointer to this code stays behind
 *
 * Two cycles on a CPU that stores to one line a cycle; tests/30-sequence.bats fails when a call, a
 * lock prefix or a spill gets in.
 */
#ifndef SMX_RSEQ_X86_64_H
#define SMX_RSEQ_X86_64_H

#include <stddef.h>
#include <stdint.h>

struct smx_hist; /* rows at offset 0, mask at 4, stride at 8 */

/* clang-format off */

/* Labels: start is the first instruction inside, end lies behind the commit, abort is where the
 * kernel lands. Descriptor and cold part lie in the section group of the function around them
 * ("?"), which is what lets C++ inline functions be discarded whole. */
#define SMX__RSEQ_BEGIN(start, end, descriptor, abort)                                             \
    ".pushsection __rseq_cs, \"aw?\"\n\t"                                                          \
    ".balign 32\n" descriptor ":\n\t"                                                              \
    ".long 0, 0\n\t"                                                                               \
    ".quad " start "f, " end "f - " start "f, " abort "f\n\t"                                      \
    ".popsection\n\t"                                                                              \
    "leaq " descriptor "b(%%rip), %[t]\n\t"                                                        \
    "movq %[t], %%fs:8(%[rseq])\n" start ":\n\t"
#define SMX__RSEQ_END "movq $0, %%fs:8(%[rseq])\n\t"
#define SMX__RSEQ_COLD ".pushsection __rseq_failure, \"ax?\"\n\t"

/* The signature, as the displacement of an instruction that traps. */
#define SMX__RSEQ_SIGNATURE                                                                        \
    ".byte 0x0f, 0xb9, 0x3d\n\t"                                                                   \
    ".long " SMX__STRING(SMX__RSEQ_SIG) "\n"

static inline uint32_t smx__rseq_cpu(void)
{
    uint32_t cpu;
    __asm__ __volatile__("movl %%fs:4(%1), %0" : "=r"(cpu) : "r"(SMX__RSEQ_OFFSET));
    return cpu;
}

/* base[cpu << 12] += n; shape is rows | mask << 32. 4: the way out to an atomic row, chosen by
 * cpu_id_start: the CPU's number, or what libshm left there in a thread without rseq, so that
 * processes seldom meet. If base is NULL, rows is 0, and nothing happens. */
static inline void smx__rseq_add(uint64_t *base, uint64_t shape, uint64_t n)
{
    uint64_t t;
    SMX__RSEQ_ASM(
        SMX__RSEQ_BEGIN("1", "2", "3", "4")
        "movl %%fs:4(%[rseq]), %k[t]\n\t"
        "cmpl %k[shape], %k[t]\n\t"
        "jae 4f\n\t"
        "shlq $12, %[t]\n\t"
        "addq %[n], (%[base],%[t])\n"
        "2:\n\t"
        SMX__RSEQ_END
        SMX__RSEQ_COLD
        SMX__RSEQ_SIGNATURE
        "4:\n\t"
        "movl %%fs:(%[rseq]), %k[t]\n\t"
        "testq %[base], %[base]\n\t"
        "jz 2b\n\t"
        "shlq $32, %[t]\n\t"
        "andq %[shape], %[t]\n\t"
        "shrq $32, %[t]\n\t"
        "addl %k[shape], %k[t]\n\t"
        "shlq $12, %[t]\n\t"
        "lock addq %[n], (%[base],%[t])\n\t"
        "jmp 2b\n\t"
        ".popsection"
        : [t] "=&r"(t), "+m"(*(uint64_t(*)[])base)
        : [base] "r"(base), [shape] "r"(shape), [n] "er"(n), [rseq] "r"(SMX__RSEQ_OFFSET)
        : "cc");
}

/* base[row][SMX_HIST_SUM] += ticks and base[row][SMX_HIST_BUCKETS + bucket] += 1, in two sequences;
 * the second makes sure that we are still on the CPU of the first, and its descriptor replaces the
 * first one. The bucket comes last, as its place is known last. 4: both adds in an atomic row; 9,
 * 10: the second alone. Returns the row that was first chosen. */
static inline uint64_t *smx__rseq_record(uint64_t *base, uint64_t bucket, uint64_t ticks,
                                         const struct smx_hist *hist)
{
    uint64_t *row;
    uint64_t t;
    uint32_t cpu;
    SMX__RSEQ_ASM(
        SMX__RSEQ_BEGIN("1", "2", "3", "4")
        "movl %%fs:4(%[rseq]), %[cpu]\n\t"
        "cmpl (%[hist]), %[cpu]\n\t"
        "jae 4f\n\t"
        "movl %[cpu], %k[row]\n\t"
        "imull 8(%[hist]), %k[row]\n\t"
        "addq %[base], %[row]\n\t"
        "addq %[ticks], (%[row])\n"
        "2:\n\t"
        SMX__RSEQ_BEGIN("6", "7", "8", "9")
        "cmpl %[cpu], %%fs:4(%[rseq])\n\t"
        "jne 10f\n\t"
        "addq $1, 32(%[row],%[bucket],8)\n"
        "7:\n\t"
        SMX__RSEQ_END
        SMX__RSEQ_COLD
        SMX__RSEQ_SIGNATURE
        "4:\n\t"
        "movl %%fs:(%[rseq]), %[cpu]\n\t"
        "andl 4(%[hist]), %[cpu]\n\t"
        "addl (%[hist]), %[cpu]\n\t"
        "imull 8(%[hist]), %[cpu]\n\t"
        "movl %[cpu], %k[row]\n\t"
        "addq %[base], %[row]\n\t"
        "lock addq %[ticks], (%[row])\n\t"
        "lock addq $1, 32(%[row],%[bucket],8)\n\t"
        "jmp 7b\n\t"
        SMX__RSEQ_SIGNATURE
        "9:\n"
        "10:\n\t"
        "movl (%[hist]), %k[t]\n\t"
        "imull 8(%[hist]), %k[t]\n\t"
        "addq %[base], %[t]\n\t"
        "lock addq $1, 32(%[t],%[bucket],8)\n\t"
        "jmp 7b\n\t"
        ".popsection"
        : [t] "=&r"(t), [row] "=&r"(row), [cpu] "=&r"(cpu), "+m"(*(uint64_t(*)[])base)
        : [base] "r"(base), [bucket] "r"(bucket), [ticks] "r"(ticks), [hist] "r"(hist),
          [rseq] "r"(SMX__RSEQ_OFFSET)
        : "cc");
    return row;
}
/* clang-format on */

#endif
