/* SPDX-License-Identifier: MIT
 *
 * definitions.h - the families of processes: their names, helps and units. A table.
 */
#ifndef SMX_AGENT_WORKERS_DEFINITIONS_H
#define SMX_AGENT_WORKERS_DEFINITIONS_H

#include "agent/workers/processes.h"

/* What a family says on one level; without a name there is none. */
struct process_saying {
    const char *name, *help;
};

/* A family on each level. Of two values it has a label `type`. */
struct process_definition {
    struct process_saying says[PROCESS_LEVELS];
    const char *unit;
    enum smx_type type;
    unsigned digits;  /* counters; of gauges more than 0 is real */
    unsigned n_types; /* values, from the first on */
    enum process_value first;
};

enum { PROCESS_DEFINITIONS = 12 };
extern const struct process_definition process_definitions[PROCESS_DEFINITIONS];
extern const char *const process_types[2];

#endif
