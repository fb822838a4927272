/* SPDX-License-Identifier: MIT
 *
 * judge.h - the names of a family and of its labels: which there are, and whether they may stand.
 * What it contradicts in other families is for merge.h.
 */
#ifndef SMX_AGENT_JUDGE_H
#define SMX_AGENT_JUDGE_H

#include "agent/gather/render.h"

/* The label names of a family: first the segment's constant ones, then its own; a stateset's name
 * is one more. */
size_t judge_n_labels(const struct smx_segment_info *segment, const struct smx_family_info *family);
struct smx_str judge_label(const struct smx_segment_info *segment,
                           const struct smx_family_info *family, size_t i);

/* Whether the agent itself gives a label of that name to the family's samples. */
bool judge_takes(struct smx_str name, const struct smx_family_info *family);

/* Whether it has a label that is written so in an escaping, or is given one. */
bool judge_has_label(const struct smx_segment_info *segment, const struct smx_family_info *family,
                     struct smx_str name, enum escaping escaping);

/* Whether the names are all of the old alphabet. */
bool judge_is_legacy(const struct smx_segment_info *segment, const struct smx_family_info *family);

/* Set refusal of a family whose names are in `as`, unless it is NULL. Returns: 0, -ENOMEM. */
int judge_family(const struct smx_segment_info *segment, const struct smx_family_info *family,
                 struct rendered *out);

#endif
