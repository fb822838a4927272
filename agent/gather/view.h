/* SPDX-License-Identifier: MIT
 *
 * view.h - a selection of a snapshot, as a snapshot of its own. It points into the other one, and
 * holds as long.
 */
#ifndef SMX_AGENT_VIEW_H
#define SMX_AGENT_VIEW_H

#include "agent/gather/gather.h"
#include "agent/gather/own.h"
#include "agent/gather/selection.h"

/* All-zero is empty. */
struct view {
    struct snapshot snapshot;
    struct exposed *families;
    struct part *parts;
    struct own own; /* what the agent says of the segments that are wanted */
};

/* Select. The agent's own families are of no application, but for smx_segment_*.
 * Returns: 0, -ENOMEM. Owns: the caller ends with view_fini(). */
int view_init(struct view *out, const struct gather *gather, const struct selection *selection);
void view_fini(struct view *view);

#endif
