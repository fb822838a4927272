/* SPDX-License-Identifier: MIT
 *
 * cases.h - the list of all that is measured, what of it is wanted, and running one of it.
 */
#ifndef SMX_BENCH_CASES_H
#define SMX_BENCH_CASES_H

#include "bench.h"

struct cases {
    struct bench_case *at;
    size_t n;
};

/* All cases, in their order. Returns: 0, -ENOMEM. Owns: the caller ends with cases_fini(). */
int cases_init(struct cases *out);
void cases_fini(struct cases *cases);

bool cases_has_group(const struct cases *cases, const char *group);

/* Whether the options ask for a case. A filter is a part of group/name, or a pattern for it. */
bool cases_wanted(const struct bench_case *bench, const struct bench_options *options);

/* Run one in a process of its own, in a directory of its own in `directory`.
 * Returns: as bench_case.run. */
int cases_run(const struct bench_case *bench, const struct bench_options *options,
              const char *directory, struct bench_result *result);

#endif
