/* SPDX-License-Identifier: MIT
 *
 * rseq.h - restartable sequences: which build has them, and where a thread's area is. Included by
 * <smx/update.h>; do not include it alone. The sequences themselves are in one file a machine: this
 * one chooses.
 *
 * What a machine's file gives:
 *   smx__rseq_cpu()     the CPU, at least 2^31 in a thread that is not registered for rseq(2)
 *   smx__rseq_add()     base[cpu << 12] += n, or the same in an atomic row
 *   smx__rseq_record()  one value of a histogram in the CPU's row, or in an atomic one
 *
 * Who registers a thread: libc (glibc since 2.35), or, for programs that are compiled with
 * SMX_REGISTER_RSEQ defined, libshm, at the thread's first update. The pkg-config file of a libshm
 * that was built to do so has the definition; with another one such programs work, too, and have
 * libc's registration or the atomic rows.
 */
#ifndef SMX_RSEQ_H
#define SMX_RSEQ_H

#include <stddef.h>
#include <stdint.h>

#if defined(__has_include)
#if __has_include(<sys/rseq.h>)
#define SMX__LIBC_RSEQ 1
#endif
#endif
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SMX__TSAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define SMX__TSAN 1
#endif

/* 1 where updates use rseq; else every one takes an atomic row. ThreadSanitizer cannot see what a
 * sequence does. */
#if (defined(SMX__LIBC_RSEQ) || defined(SMX_REGISTER_RSEQ)) && !defined(SMX_NO_RSEQ) &&            \
    !defined(SMX__TSAN) && !defined(__ILP32__) && (defined(__x86_64__) || defined(__aarch64__))
#define SMX_HAVE_RSEQ 1
#else
#define SMX_HAVE_RSEQ 0
#endif

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)
/* From the thread pointer to each thread's struct rseq: libc's, or else libshm's own. 0 before the
 * first smx_open(), and if there are none. libshm alone writes it. */
extern ptrdiff_t smx_rseq_offset;
#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

/* 1 where the slow paths register threads: a thread that is not registered has to go there.
 * Relaxed: the offset is set before there are any handles, and never changes. */
#if SMX_HAVE_RSEQ && defined(SMX_REGISTER_RSEQ)
#define SMX__REGISTERS   1
#define SMX__RSEQ_OFFSET __atomic_load_n(&smx_rseq_offset, __ATOMIC_RELAXED)
#else
#define SMX__REGISTERS 0
#if SMX_HAVE_RSEQ
#include <sys/rseq.h>
#define SMX__RSEQ_OFFSET __rseq_offset
#endif
#endif

#define SMX__STRING_(x) #x
#define SMX__STRING(x)  SMX__STRING_(x)

/* The word before the label of every abort: an instruction that traps. The kernel compares it with
 * what the thread was registered with. */
#if defined(__x86_64__)
#define SMX__RSEQ_SIG 0x53053053
#elif defined(__AARCH64EB__)
#define SMX__RSEQ_SIG 0x00bc28d4
#else
#define SMX__RSEQ_SIG 0xd428bc00
#endif
#if SMX_HAVE_RSEQ && defined(RSEQ_SIG) && RSEQ_SIG != SMX__RSEQ_SIG
#error "libc registers its threads with another signature"
#endif

#if SMX_HAVE_RSEQ && defined(__x86_64__)
#include <smx/rseq-x86_64.h>
#elif SMX_HAVE_RSEQ
#include <smx/rseq-aarch64.h>
#endif

#if SMX_HAVE_RSEQ
/* The CPU of this thread, or at least 2^31 if it cannot run a sequence. */
static inline uint32_t smx__cpu(void)
{
#if SMX__REGISTERS
    if (__builtin_expect(!SMX__RSEQ_OFFSET, 0))
        return UINT32_MAX;
#endif
    return smx__rseq_cpu();
}
#endif

#endif
