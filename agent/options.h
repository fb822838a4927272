/* SPDX-License-Identifier: MIT
 *
 * options.h - the command line of smx-agent as a struct. Reads nothing else and opens nothing.
 */
#ifndef SMX_AGENT_OPTIONS_H
#define SMX_AGENT_OPTIONS_H

#include "agent/gather/edges.h"
#include "agent/gather/filter.h"
#include "agent/log.h"
#include "agent/loop/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { OPTIONS_LISTEN_MAX = 16, OPTIONS_DIRECTORIES_MAX = 32 };
enum { OPTIONS_BOUNDS_MAX = 64, OPTIONS_RULES_MAX = 64 };

#define OPTIONS_DEFAULT_LISTEN     "127.0.0.1:9745"
#define OPTIONS_DEFAULT_MAX_AGE_NS UINT64_C(100000000)

/* What the command line asks the program to do. */
enum options_action {
    OPTIONS_SERVE,
    OPTIONS_ONCE,
    OPTIONS_CHECK,
    OPTIONS_HELP,
    OPTIONS_VERSION,
};

/* The strings are those of argv. */
struct options {
    enum options_action action;
    const char *listen[OPTIONS_LISTEN_MAX];
    size_t n_listen;
    const char *directories[OPTIONS_DIRECTORIES_MAX]; /* none: the default ones */
    size_t n_directories;
    uint64_t max_bytes; /* read of one user's segments; 0: the default */
    struct edges_wish bounds[OPTIONS_BOUNDS_MAX];
    size_t n_bounds;
    bool created_samples;
    enum log_level log_level;
    enum log_format log_format;
    enum loop_kind loop;
    bool no_sandbox;
    struct filter_rule rules[OPTIONS_RULES_MAX]; /* of what is exposed */
    size_t n_rules;
    uint64_t max_age_ns; /* of what concurrent scrapes share */
};

/* Parse. Returns: 0, or -EINVAL after having written one line to stderr that names the argument. */
int options_parse(int argc, char *argv[], struct options *out);

/* The text of --help. */
const char *options_help(void);

#endif
