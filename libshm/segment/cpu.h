/* SPDX-License-Identifier: MIT
 *
 * cpu.h - how many CPUs there are, and how many of them are ours.
 */
#ifndef SMX_CPU_H
#define SMX_CPU_H

#include <stdbool.h>

/* Per-CPU rows that cover every CPU online now: the highest id + 1, at least 1. Not the possible
 * CPUs, which hypervisors inflate. A CPU that comes online later uses the atomic rows. */
unsigned smx__cpu_rows(void);

/* CPUs that this process may use at a time: the affinity mask, and the cgroup's quota rounded up.
 */
unsigned smx__cpu_allowed(void);

/* Whether a row for each CPU is worth its memory: up to 64 rows, and not where only a few of many
 * CPUs are ours (more than 8 rows, and over 4 rows for each CPU we may use). */
bool smx__cpu_rows_pay(unsigned rows, unsigned allowed);

#endif
