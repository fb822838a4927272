/* SPDX-License-Identifier: MIT
 *
 * atomic.c - a translation unit without rseq, in a program whose others have it.
 */
#ifndef SMX_NO_RSEQ
#define SMX_NO_RSEQ
#endif
#include "support/atomic.h"

void atomic_counter_add(smx_counter counter, uint64_t n)
{
    smx_counter_add(counter, n);
}

void atomic_histogram_record(smx_histogram histogram, uint64_t ticks)
{
    smx_histogram_record(histogram, ticks);
}
