/* SPDX-License-Identifier: MIT
 *
 * landing.h - the page at /: what is served, what is not and why, and where to go on.
 */
#ifndef SMX_AGENT_LANDING_H
#define SMX_AGENT_LANDING_H

#include "agent/encode/buffer.h"
#include "agent/http/status.h"

/* The Content-Security-Policy of the page: no script, nothing loaded from anywhere. */
#define LANDING_POLICY                                                                             \
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"

/* Append the page. Returns: 0, -ENOMEM. */
int landing_encode(const struct status *status, struct buffer *out);

#endif
