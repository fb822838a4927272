/* SPDX-License-Identifier: MIT
 *
 * cpus.h - the CPUs that this process may use.
 */
#ifndef SMX_BENCH_CPUS_H
#define SMX_BENCH_CPUS_H

unsigned cpus_count(void);

/* Stay on the nth of them, counted from 0. */
void cpus_pin(unsigned n);

#endif
