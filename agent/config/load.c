/* SPDX-License-Identifier: MIT
 *
 * load.c - the steps from a path to a configuration: read, outline, check by the table of keys, let
 * libcyaml fill the structs, let the sections use them. Only this file calls libcyaml.
 */
#include "agent/config/yaml/check.h"
#include "agent/config/file.h"
#include "agent/config/yaml/text.h"

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
    CONFIG_MAPPING("metrics", struct config_file, metrics, config_rules_keys),
    CONFIG_MAPPING("series", struct config_file, series, config_rules_keys),
    CONFIG_LIST("histograms", struct config_file, histograms, &config_histogram_entry,
                SETTINGS_BOUNDS_MAX),
    CYAML_FIELD_END,
};

static int (*const uses[])(struct loading *, const struct config_file *) = {
    config_segments_use,
    config_expose_use,
    config_histograms_use,
};

static const cyaml_schema_value_t root = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct config_file, keys)};

struct loading {
    const char *path;
    struct outline outline;
    const struct options *options;
    struct options merged; /* the settings that the file adds to, and a place for the others */
    struct config *config;
    char *why; /* CONFIG_WHY_SIZE */
};

/* FILE:LINE: KEY: sentence; a sentence about the whole file has neither line nor key. */
static int refuse(struct loading *l, size_t line, const char *key, const char *sentence)
{
    char at[24] = "";
    if (line)
        snprintf(at, sizeof at, ":%zu", line);
    snprintf(l->why, CONFIG_WHY_SIZE, "%s%s: %s%s%s", l->path, at, key, key[0] ? ": " : "",
             sentence);
    return -EINVAL;
}

static int refuse_check(struct loading *l, const struct check_error *error)
{
    char path[OUTLINE_PATH_SIZE];
    outline_path(error->node, path);
    return refuse(l, error->at_key ? error->node->key_line : error->node->line, path, error->why);
}

struct config *loading_config(struct loading *l)
{
    return l->config;
}

const struct outline_node *loading_find(const struct loading *l, const char *path)
{
    char found[OUTLINE_PATH_SIZE];
    const struct outline_node *node = outline_find(&l->outline, path);
    if (!node)
        return NULL;
    outline_path(node, found);
    return strcmp(found, path) == 0 ? node : NULL;
}

int loading_refuse_node(struct loading *l, const struct outline_node *node, const char *expected)
{
    struct check_error error;
    check_refuse(&error, node, expected);
    return refuse_check(l, &error);
}

static int refuse_at(struct loading *l, const char *expected, const char *format, va_list arguments)
{
    char path[OUTLINE_PATH_SIZE];
    vsnprintf(path, sizeof path, format, arguments);
    return loading_refuse_node(l, outline_find(&l->outline, path), expected);
}

int loading_refuse(struct loading *l, const char *expected, const char *path, ...)
{
    va_list arguments;
    va_start(arguments, path);
    int rc = refuse_at(l, expected, path, arguments);
    va_end(arguments);
    return rc;
}

/* What yields is set where nobody looks. */
static struct options *target(struct loading *l, enum option_id id, struct options *nowhere)
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
    if (options_set(target(l, id, &nowhere), id, value, expected) == 0)
        return 0;
    va_list arguments;
    va_start(arguments, path);
    int rc = refuse_at(l, expected, path, arguments);
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

/* The first of libcyaml's messages. None is expected, as the check was before. */
static void keep_message(cyaml_log_t level, void *context, const char *format, va_list arguments)
{
    char *message = context;
    (void)level;
    if (message[0])
        return;
    vsnprintf(message, VALUE_WHY_SIZE, format, arguments);
    message[strcspn(message, "\r\n")] = 0;
}

static int fill(struct loading *l, const char *text, size_t length)
{
    char message[VALUE_WHY_SIZE] = "", sentence[VALUE_WHY_SIZE + 64];
    const cyaml_config_t how = {.log_fn = keep_message,
                                .log_ctx = message,
                                .log_level = CYAML_LOG_ERROR,
                                .mem_fn = cyaml_mem,
                                .flags = CYAML_CFG_NO_ALIAS};
    cyaml_err_t e = cyaml_load_data((const uint8_t *)text, length, &how, &root,
                                    (cyaml_data_t **)&l->config->file, NULL);
    if (e == CYAML_ERR_OOM)
        return -ENOMEM;
    if (e == CYAML_OK)
        return 0;
    snprintf(sentence, sizeof sentence, "%s (%s)", message, cyaml_strerror(e));
    return refuse(l, 0, "", sentence);
}

static int use(struct loading *l, const char *text, size_t length)
{
    const struct outline_node *top = l->outline.n ? l->outline.nodes[0] : NULL;
    struct check_error error;
    if (!top || top->is_null)
        return 0;
    int rc = check_outline(&l->outline, &root, &error);
    if (rc == -EINVAL)
        return refuse_check(l, &error);
    if (rc == 0)
        rc = fill(l, text, length);
    for (size_t i = 0; rc == 0 && i < sizeof uses / sizeof uses[0]; i++)
        rc = uses[i](l, l->config->file);
    return rc;
}

static int load_file(struct loading *l)
{
    struct outline_error error;
    char why[TEXT_WHY_SIZE], *text;
    size_t length;
    int rc = text_read(l->path, &text, &length, why);
    if (rc < 0) {
        refuse(l, 0, "", why);
        return rc;
    }
    rc = outline_init(&l->outline, text, length, &error);
    if (rc == -EINVAL)
        refuse(l, error.line, "", error.why);
    if (rc == 0)
        rc = use(l, text, length);
    outline_fini(&l->outline);
    free(text);
    return rc;
}

int config_load(const struct options *options, struct config **out, char why[CONFIG_WHY_SIZE])
{
    struct loading l = {
        .path = options->config_file, .options = options, .merged = *options, .why = why};
    snprintf(why, CONFIG_WHY_SIZE, "out of memory");
    l.config = calloc(1, sizeof *l.config);
    if (!l.config)
        return -ENOMEM;
    l.config->path = l.path;
    int rc = l.path ? load_file(&l) : 0;
    l.config->settings = l.merged.settings;
    if (rc < 0) {
        config_free(l.config);
        return rc;
    }
    *out = l.config;
    return 0;
}

void config_free(struct config *config)
{
    const cyaml_config_t how = {.mem_fn = cyaml_mem};
    if (!config)
        return;
    cyaml_free(&how, &root, config->file, 0);
    free(config);
}
