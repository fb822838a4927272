/* SPDX-License-Identifier: MIT
 *
 * agent.h - the agent as a whole: wires the modules, owns them all, keeps the order of a scrape.
 */
#ifndef SMX_AGENT_AGENT_H
#define SMX_AGENT_AGENT_H

#include "agent/log.h"
#include "agent/options.h"

struct agent;

/* Make an agent and look at its segments for the first time. It serves nothing yet.
 * Returns: 0, or a negative errno; the log then says why. */
int agent_new(const struct options *options, const struct log *log, struct agent **out);
void agent_free(struct agent *agent);

/* Listen, and serve until SIGTERM or SIGINT; then finish what is in flight, at most for 5 s. At
 * SIGHUP look at the segments.
 * Returns: 0, or a negative errno; the log then says why. */
int agent_serve(struct agent *agent);

/* Write one scrape in the text format to a descriptor.
 * Returns: 0, or a negative errno; the log then says why. */
int agent_print(struct agent *agent, int fd);

#endif
