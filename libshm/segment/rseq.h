/* SPDX-License-Identifier: MIT
 *
 * rseq.h - libshm registers threads for rseq(2) itself, where it is built to (SMX_REGISTER_RSEQ):
 * for a libc that does not, musl or glibc before 2.35.
 */
#ifndef SMX_LIBSHM_RSEQ_H
#define SMX_LIBSHM_RSEQ_H

#include <smx/update.h>

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

#endif
