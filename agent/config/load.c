/* SPDX-License-Identifier: MIT
 *
 * load.c - from a path to a configuration: the file by the table of its keys, then let the sections
 * use what is in it.
 */
#include "agent/config/file.h"
#include "agent/config/yaml/document.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const cyaml_schema_value_t config_text = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 0, CYAML_UNLIMITED)};

static const cyaml_schema_field_t keys[] = {
    CONFIG_MAPPING("segments", struct config_file, segments, config_segments_keys),
    CONFIG_MAPPING("scrape", struct config_file, scrape, config_scrape_keys),
    CONFIG_MAPPING("openmetrics", struct config_file, openmetrics, config_openmetrics_keys),
    CONFIG_MAPPING("limits", struct config_file, limits, config_limits_keys),
    CONFIG_MAPPING("workers", struct config_file, workers, config_workers_keys),
    CONFIG_MAPPING("health", struct config_file, health, config_health_keys),
    CONFIG_MAPPING("metrics", struct config_file, metrics, config_rules_keys),
    CONFIG_MAPPING("series", struct config_file, series, config_rules_keys),
    CYAML_FIELD_IGNORE("labels", CYAML_FLAG_OPTIONAL),
    CONFIG_LIST("histograms", struct config_file, histograms, &config_histogram_entry,
                SETTINGS_BOUNDS_MAX),
    CYAML_FIELD_END,
};

static int (*const uses[])(struct loading *, const struct config_file *) = {
    config_segments_use, config_limits_use, config_workers_use,    config_expose_use,
    config_health_use,   config_labels_use, config_histograms_use,
};

static const cyaml_schema_value_t root = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct config_file, keys)};

struct loading {
    struct document document;
    const struct options *options;
    struct options merged; /* the settings that the file adds to, and a place for the others */
    struct config *config;
};

struct config *loading_config(struct loading *l)
{
    return l->config;
}

const struct outline_node *loading_find(const struct loading *l, const char *path)
{
    return document_find(&l->document, path);
}

int loading_refuse_node(struct loading *l, const struct outline_node *node, const char *expected)
{
    return document_refuse_node(&l->document, node, expected);
}

int loading_refuse_key(struct loading *l, const struct outline_node *node, const char *expected)
{
    return document_refuse_key(&l->document, node, expected);
}

int loading_say(struct loading *l, const struct outline_node *node, const char *sentence)
{
    return document_say(&l->document, node, sentence);
}

int loading_refuse(struct loading *l, const char *expected, const char *path, ...)
{
    va_list arguments;
    va_start(arguments, path);
    int rc = document_vrefuse(&l->document, expected, path, arguments);
    va_end(arguments);
    return rc;
}

struct options *loading_target(struct loading *l, enum option_id id, struct options *nowhere)
{
    if (!l->options->given[id])
        return &l->merged;
    options_init(nowhere);
    return nowhere;
}

int loading_option(struct loading *l, enum option_id id, const char *value, const char *path, ...)
{
    struct options nowhere;
    char expected[VALUE_WHY_SIZE];
    if (options_set(loading_target(l, id, &nowhere), id, value, expected) == 0)
        return 0;
    va_list arguments;
    va_start(arguments, path);
    int rc = document_vrefuse(&l->document, expected, path, arguments);
    va_end(arguments);
    return rc;
}

void loading_bounds(struct loading *l, const struct edges_wish *wish)
{
    struct settings *s = &l->merged.settings;
    if (l->options->given[OPTION_BOUNDS])
        return;
    assert(s->n_bounds < SETTINGS_BOUNDS_MAX);
    s->bounds[s->n_bounds++] = *wish;
}

static int load_file(struct loading *l, const char *path, char why[CONFIG_WHY_SIZE])
{
    void *data = NULL;
    int rc = document_open(&l->document, path, &root, &data, why);
    l->config->file = data;
    for (size_t i = 0; rc == 0 && data && i < sizeof uses / sizeof uses[0]; i++)
        rc = uses[i](l, l->config->file);
    l->config->outline = l->document.outline;
    return rc;
}

int config_load(const struct options *options, struct config **out, char why[CONFIG_WHY_SIZE])
{
    struct loading l = {.options = options, .merged = *options};
    snprintf(why, CONFIG_WHY_SIZE, "out of memory");
    l.config = calloc(1, sizeof *l.config);
    if (!l.config)
        return -ENOMEM;
    l.config->path = options->config_file;
    int rc = l.config->path ? load_file(&l, l.config->path, why) : 0;
    l.config->settings = l.merged.settings;
    const struct settings *s = &l.config->settings;
    if (rc == 0 && s->n_rules > 0)
        rc = filter_new(s->rules, s->n_rules, &l.config->filter);
    if (rc < 0) {
        config_free(l.config);
        return rc;
    }
    *out = l.config;
    return 0;
}

int config_blame(const struct config *config, const char *path, const char *reason,
                 char why[CONFIG_WHY_SIZE])
{
    const struct document d = {.path = config->path, .outline = config->outline, .why = why};
    const struct outline_node *node = document_find(&d, path);
    if (node)
        return document_say(&d, node, reason);
    snprintf(why, CONFIG_WHY_SIZE, "%s: %s: %s", config->path, path, reason);
    return -EINVAL;
}

/* If all are the file's they are in its order, but for those that it names twice. */
int config_blame_directory(const struct config *config, size_t index, const char *reason,
                           char why[CONFIG_WHY_SIZE])
{
    const struct document d = {.path = config->path, .outline = config->outline, .why = why};
    const char *directory = config->settings.directories[index];
    const struct outline_node *list = document_find(&d, "segments.directories");
    for (const struct outline_node *node = list ? list->first : NULL; node; node = node->next)
        if (node->text && strcmp(node->text, directory) == 0)
            return document_say(&d, node, reason);
    snprintf(why, CONFIG_WHY_SIZE, "%s: %s", directory, reason);
    return -EINVAL;
}

void config_free(struct config *config)
{
    if (!config)
        return;
    config_health_free(config);
    filter_free(config->filter);
    document_free(&root, config->file);
    outline_fini(&config->outline);
    free(config);
}
