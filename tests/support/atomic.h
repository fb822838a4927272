/* SPDX-License-Identifier: MIT
 *
 * atomic.h - the update path as a translation unit built with SMX_NO_RSEQ takes it.
 */
#ifndef SMX_TESTS_ATOMIC_H
#define SMX_TESTS_ATOMIC_H

#include <smx/update.h>

void atomic_counter_add(smx_counter counter, uint64_t n);
void atomic_histogram_record(smx_histogram histogram, uint64_t ticks);

#endif
