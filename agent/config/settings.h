/* SPDX-License-Identifier: MIT
 *
 * settings.h - what the command line, the environment and the configuration file may all set, with
 * flags before environment before file before what is here the default. The strings are borrowed.
 */
#ifndef SMX_AGENT_CONFIG_SETTINGS_H
#define SMX_AGENT_CONFIG_SETTINGS_H

#include "agent/config/value.h"
#include "agent/gather/edges.h"
#include "agent/gather/filter.h"
#include "agent/gather/render.h"
#include "agent/workers/workers.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SETTINGS_DIRECTORIES_MAX = 32, SETTINGS_BOUNDS_MAX = 64, SETTINGS_RULES_MAX = 64 };

#define SETTINGS_DEFAULT_MAX_AGE_NS UINT64_C(100000000)

/* Requests a second of one address: what forty scrapers behind it may ask once a second. */
enum { SETTINGS_DEFAULT_RATE = 50 };

enum {
    SETTINGS_CONNECTIONS_LEAST = 8,
    SETTINGS_DEFAULT_CONNECTIONS = 512,
    SETTINGS_CONNECTIONS_MOST = 4096, /* their table is searched from end to end */
};

struct settings {
    const char *directories[SETTINGS_DIRECTORIES_MAX]; /* none: the default ones */
    size_t n_directories;
    uint64_t max_bytes;   /* read of one user's segments; 0: the default */
    uint64_t max_age_ns;  /* of what concurrent scrapes share */
    uint64_t rate;        /* of requests of one address, a second; 0: no limit */
    uint64_t connections; /* at a time */
    struct edges_wish bounds[SETTINGS_BOUNDS_MAX];
    size_t n_bounds;
    struct filter_rule rules[SETTINGS_RULES_MAX]; /* of what is exposed */
    size_t n_rules;
    struct smx_label labels[RENDER_LABELS_MAX]; /* of every series that has none of that name */
    size_t n_labels;
    bool created_samples;
    enum workers_detail workers;
    bool workers_memory, workers_io;
};

/* Add a label, which none may have that is there. Returns: 0, or -EINVAL and says what was
 * expected of the name, or of the value: *of_value. */
int settings_add_label(struct settings *settings, struct smx_label label, bool *of_value,
                       char why[VALUE_WHY_SIZE]);

#endif
