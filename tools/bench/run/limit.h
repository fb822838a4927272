/* SPDX-License-Identifier: MIT
 *
 * limit.h - the least that anything of the kind can take, on this machine and at this moment. Every
 * case is measured in turn with one of these, and its ratio is the median of those of neighbours in
 * time: on a machine that others use, and whose speed changes from one second to the next, that
 * says more than the times do.
 */
#ifndef SMX_BENCH_LIMIT_H
#define SMX_BENCH_LIMIT_H

#include "bench.h"

/* One instruction that reads, adds and writes, but not as one. */
#if defined(__x86_64__)
#define LIMIT_ADD(cell) __asm__ __volatile__("addq $1, %0" : "+m"(cell))
#else
#define LIMIT_ADD(cell) ((cell)++)
#endif

/* What these took on the machine for which it was said what is wanted. Ratios to them are wanted
 * anywhere. */
#define LIMIT_ADD_NS  0.24
#define LIMIT_10K_MS  0.05
#define LIMIT_100K_MS 0.52

/* Of updates: a plain add to a word that no other process has, for about that time.
 * Returns: the CPU time of one, in nanoseconds. */
double limit_add(uint64_t for_ns);

/* Of scrapes: numbers in plain memory, two rows of them, are added and written as text behind names
 * that are ready. No file, no registry. */
struct limit_page {
    uint64_t n;
    uint64_t *rows[2];
    char (*names)[64];
    char *text; /* ends with a NUL */
    uint64_t total;
};

/* Returns: 0, -ENOMEM. Owns: the caller ends with limit_page_fini(), also after a failure. */
int limit_page_init(struct limit_page *page, uint64_t series);
void limit_page_fini(struct limit_page *page);

/* Write it, twice in a row. Returns: the CPU time of the second, in milliseconds. */
double limit_page_write(struct limit_page *page);

#endif
