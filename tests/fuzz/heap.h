/* SPDX-License-Identifier: MIT
 *
 * heap.h - how much memory what is fuzzed takes, by the hooks of the sanitizers' allocator.
 */
#ifndef SMX_FUZZ_HEAP_H
#define SMX_FUZZ_HEAP_H

#include <stddef.h>

/* Start to count. */
void heap_begin(void);

/* The most bytes that were taken at once since then, beyond those before. */
size_t heap_peak(void);

#endif
