/* SPDX-License-Identifier: MIT
 *
 * tables.h - the cases without a subject, each defined in the file of its kind. Lists end with a
 * case without a name.
 */
#ifndef SMX_BENCH_TABLES_H
#define SMX_BENCH_TABLES_H

#include "bench.h"

extern const struct bench_case peers_python[];
extern const struct bench_case lifecycle_cases[];
extern const struct bench_case gather_cases[];
extern const struct bench_case gather_limit[];
extern const struct bench_case scrape_cases[];
extern const struct bench_case memory_cases[];
extern const struct bench_case gather_python[];

#endif
