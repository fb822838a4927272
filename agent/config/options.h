/* SPDX-License-Identifier: MIT
 *
 * options.h - what the command line and the environment say to smx-agent, as a struct. Each option
 * is one row of a table in options.c, with the one function that reads its value, wherever that
 * was written; arguments.c reads argv and the environment. Opens nothing.
 *
 * What the configuration file may set, too, is in struct settings: agent/config/settings.h.
 */
#ifndef SMX_AGENT_OPTIONS_H
#define SMX_AGENT_OPTIONS_H

#include "agent/config/settings.h"
#include "agent/config/value.h"
#include "agent/log/log.h"
#include "agent/loop/loop.h"

#include <stdbool.h>
#include <stddef.h>

enum { OPTIONS_LISTEN_MAX = 16, OPTIONS_PROBES_MAX = 8, OPTIONS_HOSTS_MAX = 32 };

#define OPTIONS_DEFAULT_LISTEN "127.0.0.1:9745"

/* What the command line asks the program to do. */
enum options_action {
    OPTIONS_SERVE,
    OPTIONS_ONCE,
    OPTIONS_CHECK,
    OPTIONS_HELP,
    OPTIONS_VERSION,
};

/* In the order of --help. */
enum option_id {
    OPTION_CONFIG_FILE,
    OPTION_WEB_CONFIG_FILE,
    OPTION_LISTEN,
    OPTION_LIFECYCLE,
    OPTION_SYSTEMD_SOCKET,
    OPTION_PROBES,
    OPTION_HOSTS,
    OPTION_RATE,
    OPTION_CONNECTIONS,
    OPTION_DIRECTORY,
    OPTION_MAX_AGE,
    OPTION_METRICS_ALLOW,
    OPTION_METRICS_DENY,
    OPTION_LABELS_ALLOW,
    OPTION_LABELS_DENY,
    OPTION_LABELS_ADD,
    OPTION_MAX_BYTES,
    OPTION_BOUNDS,
    OPTION_CREATED_SAMPLES,
    OPTION_WORKERS_DETAIL,
    OPTION_WORKERS_MEMORY,
    OPTION_WORKERS_IO,
    OPTION_LOG_LEVEL,
    OPTION_LOG_FORMAT,
    OPTION_LOOP,
    OPTION_SANDBOX,
    OPTION_ONCE,
    OPTION_CHECK_CONFIG,
};
enum { OPTION_COUNT = OPTION_CHECK_CONFIG + 1 };

/* The strings are those of argv and of the environment. */
struct options {
    enum options_action action;
    bool given[OPTION_COUNT];
    const char *config_file; /* or NULL */
    const char *listen[OPTIONS_LISTEN_MAX];
    size_t n_listen;
    bool lifecycle;              /* POST /-/reload is answered */
    bool systemd_socket;         /* listen at its sockets, or fail */
    const char *web_config_file; /* or NULL */
    const char *probes[OPTIONS_PROBES_MAX];
    size_t n_probes;
    const char *hosts[OPTIONS_HOSTS_MAX]; /* that we go by, beside those of the loopback */
    size_t n_hosts;
    enum log_level log_level;
    enum log_format log_format;
    enum loop_kind loop;
    bool no_sandbox;
    struct settings settings;
};

/* How its values are given. On the command line a list is an option that is repeated. */
enum option_form {
    FORM_ONE,
    FORM_SWITCH, /* a bool; the option alone is true */
    FORM_LINES,  /* a list, in the environment a line each */
    FORM_COMMAS, /* a list, there divided by commas, too: no value has one */
};

/* What an option is. */
struct option_kind {
    const char *name;
    enum option_form form;
    int (*set)(struct options *options, const char *value, char why[VALUE_WHY_SIZE]);
};
extern const struct option_kind option_kinds[OPTION_COUNT];

/* All that nobody has set. */
void options_init(struct options *out);

/* Set one, or add to it if it may be repeated. Returns: 0, or -EINVAL and says what was expected.
 */
int options_set(struct options *options, enum option_id id, const char *value,
                char why[VALUE_WHY_SIZE]);

/* Read the command line, and for what it does not say the variables SMX_AGENT_* of an environment,
 * which may be NULL and whose lists are cut in place. Those that are empty, or name no option,
 * count for nothing: orchestrators set SMX_AGENT_PORT for a service of that name.
 * Returns: 0, or -EINVAL after having written one line to stderr that names the argument. */
int options_parse(int argc, char *argv[], char *environment[], struct options *out);

/* The text of --help. */
const char *options_help(void);

#endif
