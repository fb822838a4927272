/* SPDX-License-Identifier: MIT
 *
 * agent.h - the agent as a whole: wires the modules, owns them all, keeps the order of a scrape.
 */
#ifndef SMX_AGENT_AGENT_H
#define SMX_AGENT_AGENT_H

#include "agent/config/config.h"
#include "agent/log/log.h"
#include "agent/config/options.h"

struct agent;

/* Make an agent and look whether its directories can be read. It reads no segment yet.
 * Returns: 0, or a negative errno; the log then says why. Owns: the configuration is taken, also on
 * failure; the options and the log are borrowed. */
int agent_new(const struct options *options, struct config *config, const struct log *log,
              struct agent **out);
void agent_free(struct agent *agent);

/* Bind the addresses to listen at. Returns: 0, or a negative errno; the log then says why. */
int agent_listen(struct agent *agent);

/* Give up what is not needed from here on: see sandbox.h. */
void agent_enter_sandbox(struct agent *agent);

/* Serve until SIGTERM or SIGINT; then finish what is in flight, at most for 5 s. At SIGHUP read the
 * configuration again, and look at the segments.
 * Returns: 0, or a negative errno; the log then says why. */
int agent_serve(struct agent *agent);

/* Write one scrape in the text format to a descriptor.
 * Returns: 0, or a negative errno; the log then says why. */
int agent_print(struct agent *agent, int fd);

#endif
