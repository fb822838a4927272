/* SPDX-License-Identifier: MIT
 *
 * health.h - /health as JSON, and the agent's own health as the yes or no of a readiness probe.
 * packaging/health.schema.json describes the document, and is kept to: a member that is there
 * stays.
 */
#ifndef SMX_AGENT_HEALTH_H
#define SMX_AGENT_HEALTH_H

#include "agent/encode/buffer.h"
#include "agent/http/status.h"

/* Whether the agent does its work: it has looked, listens, is not draining, and its directories are
 * as they should be. A bad segment, or an application that is not well, is that one's trouble and
 * no reason to take the agent out of service. why is then the first obstacle. */
bool health_ready(const struct status *status, const char **why);

/* Append the document. Returns: 0, -ENOMEM. */
int health_encode(const struct status *status, struct buffer *out);

#endif
