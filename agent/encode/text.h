/* SPDX-License-Identifier: MIT
 *
 * text.h - the Prometheus text format, versions 0.0.4 and 1.0.0.
 */
#ifndef SMX_AGENT_TEXT_H
#define SMX_AGENT_TEXT_H

#include "agent/encode/buffer.h"
#include "agent/encode/slice.h"
#include "agent/gather/gather.h"

/* Append the exposition of a snapshot. Returns: 0, -ENOMEM. */
int text_encode(const struct snapshot *snapshot, struct buffer *out);

/* Append the next slice of it. False: all of it is there. A failure is the buffer's. */
bool text_step(const struct snapshot *snapshot, struct progress *at, struct buffer *out);

#endif
