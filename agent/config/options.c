/* SPDX-License-Identifier: MIT
 *
 * options.c - what options there are, and how the value of each is read. Names have dots, as those
 * of Prometheus' own programs do.
 */
#include "agent/config/options.h"
#include "agent/http/listen.h"
#include "agent/web/hosts.h"

#include <errno.h>
#include <string.h>

/* To a list that has n of at most `most`. */
static int add_address(const char *list[], size_t *n, int most, const char *value,
                       char why[VALUE_WHY_SIZE])
{
    char rule[LISTEN_WHY_SIZE];
    if (*n == (size_t)most)
        return value_refuse(why, "one of at most %d addresses", most);
    if (listen_check(value, rule) < 0)
        return value_refuse(why, "an address to listen at: %s", rule);
    list[(*n)++] = value;
    return 0;
}

static int add_listen(struct options *o, const char *value, char why[VALUE_WHY_SIZE])
{
    return add_address(o->listen, &o->n_listen, OPTIONS_LISTEN_MAX, value, why);
}

static int set_lifecycle(struct options *o, const char *value, char why[VALUE_WHY_SIZE])
{
    return value_bool(value, &o->lifecycle, why);
}

static int add_directory(struct options *o, const char *value, char why[VALUE_WHY_SIZE])
{
    struct settings *s = &o->settings;
    if (s->n_directories == SETTINGS_DIRECTORIES_MAX)
        return value_refuse(why, "one of at most %d directories", SETTINGS_DIRECTORIES_MAX);
    if (value[0] != '/')
        return value_refuse(why, "an absolute path");
    for (size_t i = 0; i < s->n_directories; i++)
        if (strcmp(s->directories[i], value) == 0)
            return 0;
    s->directories[s->n_directories++] = value;
    return 0;
}

static int set_max_bytes(struct options *o, const char *value, char why[VALUE_WHY_SIZE])
{
    return value_bytes(value, &o->settings.max_bytes, why);
}

static int set_max_age(struct options *o, const char *value, char why[VALUE_WHY_SIZE])
{
    return value_duration(value, "1m", &o->settings.max_age_ns, why);
}

static int add_bounds(struct options *o, const char *value, char why[VALUE_WHY_SIZE])
{
    struct settings *s = &o->settings;
    if (s->n_bounds == SETTINGS_BOUNDS_MAX)
        return value_refuse(why, "one of at most %d lists", SETTINGS_BOUNDS_MAX);
    if (edges_wish_parse(value, &s->bounds[s->n_bounds]) < 0)
        return value_refuse(why, "[NAME=]LIST, of up to %d positive numbers that ascend",
                            EDGES_WISH_MAX);
    s->n_bounds++;
    return 0;
}

static int set_created_samples(struct options *o, const char *value, char why[VALUE_WHY_SIZE])
{
    return value_bool(value, &o->settings.created_samples, why);
}

static int set_workers(struct options *o, const char *value, char why[VALUE_WHY_SIZE])
{
    enum workers_detail *detail = &o->settings.workers;
    if (strcmp(value, "each") == 0)
        *detail = WORKERS_EACH;
    else if (strcmp(value, "sums") == 0)
        *detail = WORKERS_SUMS;
    else if (strcmp(value, "off") == 0)
        *detail = WORKERS_OFF;
    else
        return value_refuse(why, "each, sums or off");
    return 0;
}

static int set_workers_memory(struct options *o, const char *value, char why[VALUE_WHY_SIZE])
{
    return value_bool(value, &o->settings.workers_memory, why);
}

static int set_workers_io(struct options *o, const char *value, char why[VALUE_WHY_SIZE])
{
    return value_bool(value, &o->settings.workers_io, why);
}

static int add_rule(struct options *o, enum filter_kind kind, const char *value,
                    char why[VALUE_WHY_SIZE])
{
    struct settings *s = &o->settings;
    struct filter_rule rule = {kind, value};
    char expected[FILTER_WHY_SIZE];
    if (s->n_rules == SETTINGS_RULES_MAX)
        return value_refuse(why, "one of at most %d rules", SETTINGS_RULES_MAX);
    if (filter_check(&rule, expected) < 0)
        return value_refuse(why, "%s", expected);
    s->rules[s->n_rules++] = rule;
    return 0;
}

static int allow_metrics(struct options *o, const char *value, char why[VALUE_WHY_SIZE])
{
    return add_rule(o, FILTER_ALLOW_FAMILY, value, why);
}

static int deny_metrics(struct options *o, const char *value, char why[VALUE_WHY_SIZE])
{
    return add_rule(o, FILTER_DENY_FAMILY, value, why);
}

static int allow_labels(struct options *o, const char *value, char why[VALUE_WHY_SIZE])
{
    return add_rule(o, FILTER_ALLOW_LABEL, value, why);
}

static int deny_labels(struct options *o, const char *value, char why[VALUE_WHY_SIZE])
{
    return add_rule(o, FILTER_DENY_LABEL, value, why);
}

static int add_label(struct options *o, const char *value, char why[VALUE_WHY_SIZE])
{
    const char *equals = strchr(value, '=');
    bool of_value;
    if (!equals)
        return value_refuse(why, "NAME=VALUE");
    struct smx_label label = {{value, (size_t)(equals - value)}, {equals + 1, strlen(equals + 1)}};
    return settings_add_label(&o->settings, label, &of_value, why);
}

static int set_level(struct options *o, const char *value, char why[VALUE_WHY_SIZE])
{
    return log_level_parse(value, &o->log_level) == 0
               ? 0
               : value_refuse(why, "debug, info, warn or error");
}

static int set_format(struct options *o, const char *value, char why[VALUE_WHY_SIZE])
{
    return log_format_parse(value, &o->log_format) == 0 ? 0 : value_refuse(why, "logfmt or json");
}

static int set_loop(struct options *o, const char *value, char why[VALUE_WHY_SIZE])
{
    if (strcmp(value, "auto") == 0)
        o->loop = LOOP_AUTO;
    else if (strcmp(value, "uring") == 0)
        o->loop = LOOP_URING;
    else if (strcmp(value, "epoll") == 0)
        o->loop = LOOP_EPOLL;
    else
        return value_refuse(why, "auto, uring or epoll");
    return 0;
}

static int set_sandbox(struct options *o, const char *value, char why[VALUE_WHY_SIZE])
{
    if (strcmp(value, "auto") != 0 && strcmp(value, "off") != 0)
        return value_refuse(why, "auto or off");
    o->no_sandbox = strcmp(value, "off") == 0;
    return 0;
}

static int set_action(struct options *o, enum options_action action, const char *value,
                      char why[VALUE_WHY_SIZE])
{
    bool wanted;
    int rc = value_bool(value, &wanted, why);
    if (rc == 0 && wanted && o->action == OPTIONS_SERVE)
        o->action = action;
    return rc;
}

static int set_once(struct options *o, const char *value, char why[VALUE_WHY_SIZE])
{
    return set_action(o, OPTIONS_ONCE, value, why);
}

static int set_check(struct options *o, const char *value, char why[VALUE_WHY_SIZE])
{
    return set_action(o, OPTIONS_CHECK, value, why);
}

static int set_config_file(struct options *o, const char *value, char why[VALUE_WHY_SIZE])
{
    if (!value[0])
        return value_refuse(why, "the path of a file");
    o->config_file = value;
    return 0;
}

static int set_web_config_file(struct options *o, const char *value, char why[VALUE_WHY_SIZE])
{
    if (!value[0])
        return value_refuse(why, "the path of a file");
    o->web_config_file = value;
    return 0;
}

static int set_systemd_socket(struct options *o, const char *value, char why[VALUE_WHY_SIZE])
{
    return value_bool(value, &o->systemd_socket, why);
}

static int add_probes(struct options *o, const char *value, char why[VALUE_WHY_SIZE])
{
    return add_address(o->probes, &o->n_probes, OPTIONS_PROBES_MAX, value, why);
}

static int add_host(struct options *o, const char *value, char why[VALUE_WHY_SIZE])
{
    if (o->n_hosts == OPTIONS_HOSTS_MAX)
        return value_refuse(why, "one of at most %d names", OPTIONS_HOSTS_MAX);
    if (!hosts_check(value))
        return value_refuse(why, "the name of a host, without a port");
    o->hosts[o->n_hosts++] = value;
    return 0;
}

static int set_rate(struct options *o, const char *value, char why[VALUE_WHY_SIZE])
{
    return value_number(value, 0, 1000000, &o->settings.rate, why);
}

static int set_connections(struct options *o, const char *value, char why[VALUE_WHY_SIZE])
{
    return value_number(value, SETTINGS_CONNECTIONS_LEAST, SETTINGS_CONNECTIONS_MOST,
                        &o->settings.connections, why);
}

const struct option_kind option_kinds[OPTION_COUNT] = {
    [OPTION_CONFIG_FILE] = {"config.file", FORM_ONE, set_config_file},
    [OPTION_WEB_CONFIG_FILE] = {"web.config.file", FORM_ONE, set_web_config_file},
    [OPTION_LISTEN] = {"web.listen-address", FORM_COMMAS, add_listen},
    [OPTION_LIFECYCLE] = {"web.enable-lifecycle", FORM_SWITCH, set_lifecycle},
    [OPTION_SYSTEMD_SOCKET] = {"web.systemd-socket", FORM_SWITCH, set_systemd_socket},
    [OPTION_PROBES] = {"web.probe-address", FORM_COMMAS, add_probes},
    [OPTION_HOSTS] = {"web.allowed-hosts", FORM_COMMAS, add_host},
    [OPTION_RATE] = {"web.rate-limit", FORM_ONE, set_rate},
    [OPTION_CONNECTIONS] = {"web.max-connections", FORM_ONE, set_connections},
    [OPTION_DIRECTORY] = {"segments.dir", FORM_COMMAS, add_directory},
    [OPTION_MAX_AGE] = {"scrape.max-age", FORM_ONE, set_max_age},
    [OPTION_METRICS_ALLOW] = {"metrics.allow", FORM_LINES, allow_metrics},
    [OPTION_METRICS_DENY] = {"metrics.deny", FORM_LINES, deny_metrics},
    [OPTION_LABELS_ALLOW] = {"labels.allow", FORM_LINES, allow_labels},
    [OPTION_LABELS_DENY] = {"labels.deny", FORM_LINES, deny_labels},
    [OPTION_LABELS_ADD] = {"labels.add", FORM_LINES, add_label},
    [OPTION_MAX_BYTES] = {"segments.max-bytes", FORM_ONE, set_max_bytes},
    [OPTION_BOUNDS] = {"histogram.bounds", FORM_LINES, add_bounds},
    [OPTION_CREATED_SAMPLES] = {"openmetrics.created-samples", FORM_SWITCH, set_created_samples},
    [OPTION_WORKERS_DETAIL] = {"workers.detail", FORM_ONE, set_workers},
    [OPTION_WORKERS_MEMORY] = {"workers.memory", FORM_SWITCH, set_workers_memory},
    [OPTION_WORKERS_IO] = {"workers.io", FORM_SWITCH, set_workers_io},
    [OPTION_LOG_LEVEL] = {"log.level", FORM_ONE, set_level},
    [OPTION_LOG_FORMAT] = {"log.format", FORM_ONE, set_format},
    [OPTION_LOOP] = {"loop", FORM_ONE, set_loop},
    [OPTION_SANDBOX] = {"sandbox", FORM_ONE, set_sandbox},
    [OPTION_ONCE] = {"once", FORM_SWITCH, set_once},
    [OPTION_CHECK_CONFIG] = {"check-config", FORM_SWITCH, set_check},
};

void options_init(struct options *out)
{
    *out = (struct options){.log_level = LOG_LEVEL_INFO,
                            .settings = {.max_age_ns = SETTINGS_DEFAULT_MAX_AGE_NS,
                                         .rate = SETTINGS_DEFAULT_RATE,
                                         .connections = SETTINGS_DEFAULT_CONNECTIONS}};
}

int options_set(struct options *options, enum option_id id, const char *value,
                char why[VALUE_WHY_SIZE])
{
    int rc = option_kinds[id].set(options, value, why);
    if (rc == 0)
        options->given[id] = true;
    return rc;
}
