/* SPDX-License-Identifier: MIT
 *
 * health.h - the agent's health as JSON, and as the yes or no of a readiness probe.
 *
 *   {"status": "ok" | "degraded" | "unavailable", "version": ..., "components": {
 *     "agent":       {"status", "loop", "uptime_seconds", "draining", "listening": [...],
 *                     "segments_left_out"},
 *     "directories": [{"status", "path", "state", "reason"?}],
 *     "segments":    [{"status", "path", "state", "reason"?, "app", "instance", "live_processes",
 *                      "families", "series", "max_bytes", "allocated_bytes", "reserved_bytes",
 *                      "errors", "dropped": {<reason>: n},
 *                      "hidden_processes": [{"reason", "why", "processes": n}]}]}}
 *
 * What follows "state" in a segment is there for those that can be read; "hidden_processes", those
 * of which numbers are missing, where the agent looks at processes.
 */
#ifndef SMX_AGENT_HEALTH_H
#define SMX_AGENT_HEALTH_H

#include "agent/encode/buffer.h"
#include "agent/http/status.h"

/* Whether the agent does its work: listening, not draining, its directories as they should be. A
 * bad segment is its application's trouble and no reason to take the agent out of service.
 * why is then the first obstacle. */
bool health_ready(const struct status *status, const char **why);

/* Append the document. Returns: 0, -ENOMEM. */
int health_encode(const struct status *status, struct buffer *out);

#endif
