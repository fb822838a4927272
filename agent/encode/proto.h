/* SPDX-License-Identifier: MIT
 *
 * proto.h - io.prometheus.client.MetricFamily messages, delimited by their lengths.
 */
#ifndef SMX_AGENT_PROTO_H
#define SMX_AGENT_PROTO_H

#include "agent/encode/buffer.h"
#include "agent/encode/slice.h"
#include "agent/gather/gather.h"

/* Append the exposition of a snapshot that was gathered after gather_messages().
 * Returns: 0, -ENOMEM. */
int proto_encode(const struct snapshot *snapshot, struct buffer *out);

/* Append the next slice of it. False: all of it is there. A failure is the buffer's. */
bool proto_step(const struct snapshot *snapshot, struct progress *at, struct buffer *out);

#endif
