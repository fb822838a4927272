/* SPDX-License-Identifier: MIT
 *
 * roster.h - the applications whose segments are served, and which of their processes there is time
 * for. Reads nothing of the processes.
 */
#ifndef SMX_AGENT_WORKERS_ROSTER_H
#define SMX_AGENT_WORKERS_ROSTER_H

#include "agent/workers/application.h"

/* The place of an application in a list, looked for from a place on; n if there is none. */
size_t roster_find(struct application *const list[], size_t n, size_t from, struct smx_str app,
                   struct smx_str instance);

/* Write the applications of the segments that are served, in their order. Those that are known are
 * taken out of that list; what is left there is gone. Returns: their number. */
size_t roster_take(struct application *known[], size_t n_known, const struct segment *segments,
                   size_t n_segments, struct application *out[]);

/* Hide the processes past `most`. */
void roster_apply_quotas(struct application *const list[], size_t n, size_t most);

/* Whether it is neither root nor ourselves. */
bool roster_is_stranger(uid_t owner);

#endif
