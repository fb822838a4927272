/* SPDX-License-Identifier: MIT
 *
 * worker.h - a worker process: it serves connections until it is told to end.
 */
#ifndef SMX_DEMO_WORKER_H
#define SMX_DEMO_WORKER_H

#include "metrics.h"
#include "tally.h"

struct worker_options {
    int listener; /* non-blocking, shared by all workers */
    const struct metrics *metrics;
    struct tally_life *life; /* this worker's record, or NULL */
};

/* Serve until SIGTERM, then end what has begun and return. The caller has SIGTERM blocked.
 * Returns: the exit status of the process. */
int worker_run(const struct worker_options *options);

#endif
