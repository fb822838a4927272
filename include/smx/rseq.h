/* SPDX-License-Identifier: MIT
 *
 * rseq.h - restartable sequences: which build has them, and the two that smx needs. Included by
 * <smx/update.h>; do not include it alone. One file a machine: this one chooses.
 *
 * What a machine's file gives, for threads that libc registered for rseq(2):
 *   smx__rseq_add()     base[cpu << 12] += n, or the same in an atomic row
 *   smx__rseq_record()  one value of a histogram in the CPU's row, or in an atomic one
 */
#ifndef SMX_RSEQ_H
#define SMX_RSEQ_H

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
#if defined(SMX__LIBC_RSEQ) && !defined(SMX_NO_RSEQ) && !defined(SMX__TSAN) &&                     \
    defined(__x86_64__) && !defined(__ILP32__)
#define SMX_HAVE_RSEQ 1
#include <smx/rseq-x86_64.h>
#else
#define SMX_HAVE_RSEQ 0
#endif

#endif
