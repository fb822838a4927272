/* SPDX-License-Identifier: MIT
 *
 * openmetrics.h - the OpenMetrics text format, version 1.0.0.
 */
#ifndef SMX_AGENT_OPENMETRICS_H
#define SMX_AGENT_OPENMETRICS_H

#include "agent/encode/buffer.h"
#include "agent/encode/slice.h"
#include "agent/gather/gather.h"

/* Append the exposition of a snapshot, with its closing "# EOF". Returns: 0, -ENOMEM. */
int openmetrics_encode(const struct snapshot *snapshot, struct buffer *out);

/* Append the next slice of it. False: all of it is there. A failure is the buffer's. */
bool openmetrics_step(const struct snapshot *snapshot, struct progress *at, struct buffer *out);

#endif
