/* SPDX-License-Identifier: MIT
 *
 * text.h - the Prometheus text format, versions 0.0.4 and 1.0.0.
 */
#ifndef SMX_AGENT_TEXT_H
#define SMX_AGENT_TEXT_H

#include "agent/encode/buffer.h"
#include "agent/gather/gather.h"

/* Append the exposition of a snapshot. Returns: 0, -ENOMEM. */
int text_encode(const struct snapshot *snapshot, struct buffer *out);

#endif
