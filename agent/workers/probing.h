/* SPDX-License-Identifier: MIT
 *
 * probing.h - asks the prober about all processes, a batch after the other, and not too often.
 */
#ifndef SMX_AGENT_WORKERS_PROBING_H
#define SMX_AGENT_WORKERS_PROBING_H

#include "agent/log/log.h"
#include "agent/loop/loop.h"
#include "agent/workers/probe.h"

#include <stdbool.h>

struct probing;

struct probing_options {
    struct loop *loop;
    const struct log *log;
    unsigned what;        /* enum probe_what */
    uint64_t interval_ns; /* from question to question */
    void (*answered)(void *context, const struct probe_process *process);
    void *context;
};

/* Start a prober. Returns: 0, a negative errno. */
int probing_new(const struct probing_options *options, struct probing **out);
void probing_free(struct probing *probing);

/* Whether it is time to ask again. */
bool probing_is_due(const struct probing *probing);

/* Ask about these, which come from malloc() and are taken over. */
void probing_begin(struct probing *probing, struct probe_process *list, size_t n);

/* Whether answers are still to come. */
bool probing_is_busy(const struct probing *probing);

#endif
