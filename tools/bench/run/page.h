/* SPDX-License-Identifier: MIT
 *
 * page.h - a page in the text format, read again: nothing counts as measured that is not right.
 */
#ifndef SMX_BENCH_PAGE_H
#define SMX_BENCH_PAGE_H

#include <stdint.h>

/* The values of the lines that start with the prefix, added up. */
uint64_t page_total(const char *text, const char *prefix);

#endif
