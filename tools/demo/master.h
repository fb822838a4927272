/* SPDX-License-Identifier: MIT
 *
 * master.h - the process that starts workers, replaces dead ones, reloads and stops.
 */
#ifndef SMX_DEMO_MASTER_H
#define SMX_DEMO_MASTER_H

#include "metrics.h"
#include "tally.h"

struct master_options {
    unsigned workers;
    int listener;
    const struct metrics *metrics;
    struct tally *tally; /* or NULL */
};

/* Block the signals that the master waits for. To be called before anything may send one. */
void master_block_signals(void);

/* Run until SIGTERM or SIGINT. SIGHUP starts new workers and lets the old ones end their work.
 * Returns: the exit status, in the master and in each of its workers. */
int master_run(const struct master_options *options);

#endif
