/* SPDX-License-Identifier: MIT
 *
 * file.h - the sections of the configuration file, as libcyaml fills them in, and what their own
 * files may use to judge them. See config.h for how to add one.
 *
 * Every section is optional, and NULL when it is not there or empty. Values that have a unit or a
 * syntax of their own are texts here.
 */
#ifndef SMX_AGENT_CONFIG_FILE_H
#define SMX_AGENT_CONFIG_FILE_H

#include "agent/config/config.h"
#include "agent/config/yaml/outline.h"

#include <cyaml/cyaml.h>

/* Keys of a section: another mapping, a text, a list; all may be left out, those that hold others
 * may also be empty. A list's member is `T *list` beside `unsigned list_count`. */
#define CONFIG_MAPPING(key, structure, member, fields)                                             \
    CYAML_FIELD_MAPPING_PTR(key, CYAML_FLAG_POINTER_NULL_STR | CYAML_FLAG_OPTIONAL, structure,     \
                            member, fields)
#define CONFIG_TEXT(key, structure, member)                                                        \
    CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, structure, member, 0,    \
                           CYAML_UNLIMITED)
#define CONFIG_LIST(key, structure, member, entry, most)                                           \
    CYAML_FIELD_SEQUENCE(key, CYAML_FLAG_POINTER_NULL_STR | CYAML_FLAG_OPTIONAL, structure,        \
                         member, entry, 0, most)

/* An entry of a list of texts. */
extern const cyaml_schema_value_t config_text;

struct config_segments {
    char **directories;
    unsigned directories_count;
    char *max_bytes;
};

struct config_scrape {
    char *max_age;
};

struct config_openmetrics {
    char *created_samples;
};

struct config_limits {
    char *connections, *requests_per_second;
};

struct config_workers {
    char *detail, *memory, *io;
};

struct config_health_workers {
    char *role, *min;
};

struct config_health_heartbeat {
    char *role, *max_age;
};

struct config_health_metric {
    char *family, *min, *max, *absent;
};

struct config_health_rule {
    char *name, *app, *critical;
    struct config_health_workers *workers;
    struct config_health_heartbeat *heartbeat;
    struct config_health_metric *metric;
};

struct config_health {
    struct config_health_rule *rules;
    unsigned rules_count;
};

struct config_rules {
    char **allow, **deny;
    unsigned allow_count, deny_count;
};

struct config_histogram {
    char *family; /* NULL: all that are not named */
    char **bounds;
    unsigned bounds_count;
};

/* The whole file. */
struct config_file {
    struct config_segments *segments;
    struct config_scrape *scrape;
    struct config_openmetrics *openmetrics;
    struct config_limits *limits;
    struct config_workers *workers;
    struct config_health *health;
    struct config_rules *metrics, *series;
    struct config_histogram *histograms;
    unsigned histograms_count;
};

extern const cyaml_schema_field_t config_segments_keys[], config_scrape_keys[],
    config_openmetrics_keys[], config_limits_keys[], config_workers_keys[], config_health_keys[],
    config_rules_keys[];
extern const cyaml_schema_value_t config_histogram_entry;

/* While a file is loaded. */
struct loading;

int config_segments_use(struct loading *loading, const struct config_file *file);
int config_limits_use(struct loading *loading, const struct config_file *file);
int config_workers_use(struct loading *loading, const struct config_file *file);
int config_health_use(struct loading *loading, const struct config_file *file);
int config_expose_use(struct loading *loading, const struct config_file *file);
int config_labels_use(struct loading *loading, const struct config_file *file);
int config_histograms_use(struct loading *loading, const struct config_file *file);

/* What config_health_use() has made. */
void config_health_free(struct config *config);

/* What is being made. */
struct config *loading_config(struct loading *loading);

/* Read a value as that of an option, whose place in the file is a path as a format makes it, say
 * "segments.directories[%u]". Where the command line or the environment has the option it is only
 * checked. Returns: 0, -EINVAL and has said why. */
int loading_option(struct loading *loading, enum option_id id, const char *value, const char *path,
                   ...) __attribute__((format(printf, 4, 5)));

/* The same of --histogram.bounds: one more list, of SETTINGS_BOUNDS_MAX at most. */
void loading_bounds(struct loading *loading, const struct edges_wish *wish);

/* Where the file's values of an option go: what yields goes to `nowhere`. */
struct options *loading_target(struct loading *loading, enum option_id id, struct options *nowhere);

/* Say what was expected at a path. Returns: -EINVAL. */
int loading_refuse(struct loading *loading, const char *expected, const char *path, ...)
    __attribute__((format(printf, 3, 4)));

/* The place itself, for mappings whose keys are the user's to choose; NULL: it is not there. Its
 * texts live as long as the configuration. */
const struct outline_node *loading_find(const struct loading *loading, const char *path);
int loading_refuse_node(struct loading *loading, const struct outline_node *node,
                        const char *expected);
int loading_refuse_key(struct loading *loading, const struct outline_node *node,
                       const char *expected);
/* The same, with a sentence instead of what was expected and what is there. */
int loading_say(struct loading *loading, const struct outline_node *node, const char *sentence);

#endif
