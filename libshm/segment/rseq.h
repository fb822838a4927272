/* SPDX-License-Identifier: MIT
 *
 * rseq.h - libshm registers threads for rseq(2) itself, where it is built to (SMX_REGISTER_RSEQ):
 * for a libc that does not, musl or glibc before 2.35.
 */
#ifndef SMX_LIBSHM_RSEQ_H
#define SMX_LIBSHM_RSEQ_H

#include <smx/update.h>
#include <stdbool.h>

/* Before there is any handle: find out whose areas there are, set smx_rseq_offset, and join.
 * Returns 0 or -ENOMEM. */
int smx__rseq_init(void);

/* Register the calling thread if that is libshm's to do, it is not registered, and was never
 * refused. Async-signal-safe; leaves errno alone. */
#if SMX__REGISTERS
void smx__rseq_join(void);
#else
static inline void smx__rseq_join(void)
{
}
#endif

/* Whether the calling thread can run a sequence. Async-signal-safe. */
static inline bool smx__rseq_works(void)
{
#if SMX_HAVE_RSEQ
    return smx__cpu() <= INT32_MAX;
#else
    return false;
#endif
}

/* Where libc's threads have no rseq: choose the atomic row of the calling thread's counters by the
 * process, among as many as there are CPUs. Async-signal-safe. */
void smx__rseq_spread(uint32_t cpus);

#endif
