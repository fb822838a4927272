/* SPDX-License-Identifier: MIT
 *
 * merge.h - which families stand: segments, oldest first, become one list of families; what
 * contradicts an earlier one is left out. Depends on names and descriptions only, so it is made
 * anew only when a segment's names move.
 */
#ifndef SMX_AGENT_MERGE_H
#define SMX_AGENT_MERGE_H

#include "agent/gather/gather.h"
#include "agent/gather/render.h"
#include "agent/gather/snapshot.h"

/* Where a part comes from: family `family` of segment `segment`. */
struct merged_part {
    struct part part;
    size_t segment, family;
};

/* families[i].first and part.next are set; what points into a reader is for merge_point(). */
struct merged {
    struct exposed *families;
    size_t n_families;
    struct merged_part *parts;
    size_t n_parts;
    bool *left_out; /* by segment: it duplicates another, and is left out as a whole */
    size_t n_segments;
    struct gather_conflict *conflicts;
    size_t n_conflicts;
    char *words; /* what the conflicts' strings point to */
};

/* Merge rendered segments, in the order of their precedence. created: as of claims_init().
 * Returns: 0, -ENOMEM. Owns: the caller ends with merge_fini(). */
int merge_init(struct merged *out, const struct rendered_segment *const segments[], size_t n,
               bool created);
void merge_fini(struct merged *merged);

/* Point everything at what the readers show now; the same segments in the same order. */
void merge_point(struct merged *merged, const struct rendered_segment *const segments[]);

#endif
