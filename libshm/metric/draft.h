/* SPDX-License-Identifier: MIT
 *
 * draft.h - a family on its way into the segment: the caller's description, checked, with every
 * default decided.
 */
#ifndef SMX_DRAFT_H
#define SMX_DRAFT_H

#include "libshm/layout.h"

#include <smx/smx.h>
#include <stdbool.h>

struct smx__draft {
    struct smx__family family; /* offsets and record header not set */
    const struct smx_metric *metric;
    char name[SMX_NAME_MAX + 1]; /* with its prefix */
    const char *help;
    const char *unit;
    uint32_t n_buckets; /* histograms, with zero and overflow */
};

/* Check a description and decide its defaults. prefix: "" or the segment's.
 * Returns 0 or -EINVAL with the diagnostic naming the metric and the rule. */
int smx__draft(const struct smx_metric *metric, enum smx_type type, bool is_double,
               const char *prefix, struct smx__draft *out, struct smx_diag *diag);

/* The strings that follow a family's texts in its record: its labels, then its states. */
static inline unsigned smx__draft_n_counted(const struct smx__draft *draft)
{
    return (unsigned)draft->family.n_labels + draft->family.n_states;
}
static inline const char *smx__draft_counted(const struct smx__draft *draft, unsigned i)
{
    unsigned n = draft->family.n_labels;
    return i < n ? draft->metric->labels[i] : draft->metric->states[i - n];
}

/* The ticks that bucket i of a histogram draft ends with. */
uint64_t smx__draft_threshold(const struct smx__draft *draft, uint32_t i);

#endif
