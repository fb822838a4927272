/* SPDX-License-Identifier: MIT
 *
 * machine.h - where and with what it was measured.
 */
#ifndef SMX_BENCH_MACHINE_H
#define SMX_BENCH_MACHINE_H

enum { MACHINE_SIZE = 512 };

/* "AMD EPYC, 2 CPUs, Linux 6.1.0, glibc 2.36, gcc 12.2.0 -O2 -g" */
void machine_describe(char text[MACHINE_SIZE]);

/* "2026-11-21" */
void machine_date(char text[MACHINE_SIZE]);

#endif
