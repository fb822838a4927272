/* SPDX-License-Identifier: MIT
 *
 * subjects.h - the operations that are measured, each defined in the file of its kind. Lists end
 * with NULL.
 */
#ifndef SMX_BENCH_SUBJECTS_H
#define SMX_BENCH_SUBJECTS_H

#include "run/load.h"

extern const struct subject *const peers_atomic[];
extern const struct subject *const peers_mmv[]; /* empty when built without PCP's library */
extern const struct subject *const peers_clock[];
extern const struct subject *const update_counter[];
extern const struct subject *const update_histogram[];
extern const struct subject *const update_gauge[];
extern const struct subject *const update_find[];
extern const struct subject *const update_striped[];
extern const struct subject *const update_scope[];
extern const struct subject *const update_work[];
extern const struct subject *const work_scope[];

#endif
