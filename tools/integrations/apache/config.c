/* SPDX-License-Identifier: MIT
 *
 * config.c - the directives. What they refuse, they refuse when the configuration is read, with its
 * line: `apachectl configtest` shows it.
 */
#include "config.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <stdlib.h>
#include <string.h>

enum {
    ALL_LABELS = (1 << N_LABELS) - 1,
    NAME_MAX_LENGTH = 63, /* of an application, smx_open() says */
    MOST_BOUNDS = 63,     /* httpd hands over 64 arguments, and drops what follows */
};

void *config_create(apr_pool_t *pool, server_rec *server)
{
    (void)server;
    struct server_config *config = apr_pcalloc(pool, sizeof *config);
    config->engine = UNSET;
    config->request_labels = UNSET;
    config->histogram_labels = UNSET;
    return config;
}

static int inner_or(int inner, int outer)
{
    return inner != UNSET ? inner : outer;
}

void *config_merge(apr_pool_t *pool, void *outer, void *inner)
{
    const struct server_config *base = outer;
    const struct server_config *own = inner;
    struct server_config *merged = config_create(pool, NULL);
    merged->engine = inner_or(own->engine, base->engine);
    merged->request_labels = inner_or(own->request_labels, base->request_labels);
    merged->histogram_labels = inner_or(own->histogram_labels, base->histogram_labels);
    return merged;
}

bool config_is_on(const struct server_config *config)
{
    return config->engine != 0;
}

int config_request_labels(const struct server_config *config)
{
    return inner_or(config->request_labels, ALL_LABELS);
}

int config_histogram_labels(const struct server_config *config)
{
    return inner_or(config->histogram_labels, 1 << LABEL_VHOST);
}

void config_prepare(struct server_config *config, const char *vhost)
{
    config->counts = config_is_on(config) && config->metrics->segment;
    if (!config->counts)
        return;
    config->vhost = vhost;
    config->in_flight = smx_gauge_with(config->metrics->in_flight, SMX_VALUES(vhost));
}

static const char *set_engine(cmd_parms *cmd, void *unused, int on)
{
    (void)unused;
    config_of(cmd->server)->engine = on;
    return NULL;
}

static int label_named(const char *name)
{
    int label = 0;
    while (label < N_LABELS && strcasecmp(name, label_names[label]) != 0)
        label++;
    return label;
}

/* SmxLabels and SmxHistogramLabels; cmd->info says which. */
static const char *set_labels(cmd_parms *cmd, void *unused, int argc, char *const argv[])
{
    (void)unused;
    int chosen = 0;
    bool none = argc == 1 && strcasecmp(argv[0], "none") == 0;
    if (argc == 0)
        return apr_psprintf(cmd->pool, "%s: which labels, or none?", cmd->cmd->name);
    for (int i = 0; i < argc && !none; i++) {
        int label = label_named(argv[i]);
        if (label == N_LABELS)
            return apr_psprintf(cmd->pool,
                                "%s: '%s' is not a label; use vhost, method, status, handler, "
                                "or none alone",
                                cmd->cmd->name, argv[i]);
        chosen |= 1 << label;
    }
    int *field = (int *)(void *)((char *)config_of(cmd->server) + (uintptr_t)cmd->info);
    *field = chosen;
    return NULL;
}

/* SmxApplication and SmxInstance: a part of a file's name. */
static const char *set_name(cmd_parms *cmd, void *unused, const char *name)
{
    (void)unused;
    const char *wrong = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    if (wrong)
        return wrong;
    size_t length = strlen(name);
    bool fits = length > 0 && length <= NAME_MAX_LENGTH && name[0] != '.';
    for (size_t i = 0; i < length && fits; i++)
        fits = apr_isalnum(name[i]) || strchr("_.-", name[i]);
    if (!fits)
        return apr_psprintf(cmd->pool,
                            "%s: '%s' must be 1 to %d of A-Z a-z 0-9 _ . -, not starting with "
                            "a dot",
                            cmd->cmd->name, name, NAME_MAX_LENGTH);
    const char **field =
        (const char **)(void *)((char *)config_of(cmd->server) + (uintptr_t)cmd->info);
    *field = name;
    return NULL;
}

static const char *set_directory(cmd_parms *cmd, void *unused, const char *path)
{
    (void)unused;
    const char *wrong = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    if (wrong)
        return wrong;
    if (path[0] != '/')
        return apr_psprintf(cmd->pool, "SmxDirectory: '%s' must be an absolute path", path);
    config_of(cmd->server)->directory = path;
    return NULL;
}

static const char *set_bounds(cmd_parms *cmd, void *unused, int argc, char *const argv[])
{
    (void)unused;
    const char *wrong = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    if (wrong)
        return wrong;
    if (argc == 0 || argc > MOST_BOUNDS)
        return apr_psprintf(cmd->pool, "SmxDurationBounds takes 1 to %d bounds", MOST_BOUNDS);
    struct server_config *config = config_of(cmd->server);
    for (int i = 0; i < argc; i++) {
        char *end;
        double bound = strtod(argv[i], &end);
        if (*end || end == argv[i] || !(bound >= 1e-9 && bound <= 1e9) ||
            (i > 0 && bound <= config->bounds[i - 1]))
            return apr_psprintf(cmd->pool,
                                "SmxDurationBounds: '%s' must be a number of seconds, above the "
                                "bound before it",
                                argv[i]);
        config->bounds[i] = bound;
    }
    config->n_bounds = (size_t)argc;
    return NULL;
}

#define FIELD(name) ((void *)offsetof(struct server_config, name))

const command_rec config_commands[] = {
    AP_INIT_FLAG("SmxEngine", set_engine, NULL, RSRC_CONF,
                 "On or Off: whether requests of this server are counted (default On)"),
    AP_INIT_TAKE_ARGV("SmxLabels", set_labels, FIELD(request_labels), RSRC_CONF,
                      "labels of counted requests: vhost, method, status, handler (default all), "
                      "or none"),
    AP_INIT_TAKE_ARGV("SmxHistogramLabels", set_labels, FIELD(histogram_labels), RSRC_CONF,
                      "labels of durations and sizes, as for SmxLabels (default vhost)"),
    AP_INIT_TAKE_ARGV("SmxDurationBounds", set_bounds, NULL, RSRC_CONF,
                      "upper bounds of the buckets for durations, in seconds, ascending (default: "
                      "exponential, 9 % apart)"),
    AP_INIT_TAKE1("SmxApplication", set_name, FIELD(application), RSRC_CONF,
                  "the segment's name, which is the label app (default apache2)"),
    AP_INIT_TAKE1("SmxInstance", set_name, FIELD(instance), RSRC_CONF,
                  "tells two httpds of one machine apart: the label app_instance"),
    AP_INIT_TAKE1("SmxDirectory", set_directory, NULL, RSRC_CONF,
                  "where the segment is, on tmpfs (default /run/smx, else /dev/shm/smx-<uid>)"),
    {NULL, {NULL}, NULL, 0, RAW_ARGS, NULL},
};
