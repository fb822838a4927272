/* SPDX-License-Identifier: MIT
 *
 * health.c - health: rules, what the operator asks of applications. Each is of one kind, which the
 * key says that it has: workers, heartbeat or metric.
 */
#include "agent/config/file.h"
#include "agent/config/value.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const cyaml_schema_field_t workers_keys[] = {
    CONFIG_TEXT("role", struct config_health_workers, role),
    CONFIG_TEXT("min", struct config_health_workers, min),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t heartbeat_keys[] = {
    CONFIG_TEXT("role", struct config_health_heartbeat, role),
    CONFIG_TEXT("max_age", struct config_health_heartbeat, max_age),
    CYAML_FIELD_END,
};

/* Names of labels are the user's choice: they are read from the outline. */
static const cyaml_schema_field_t metric_keys[] = {
    CONFIG_TEXT("family", struct config_health_metric, family),
    CYAML_FIELD_IGNORE("labels", CYAML_FLAG_OPTIONAL),
    CONFIG_TEXT("min", struct config_health_metric, min),
    CONFIG_TEXT("max", struct config_health_metric, max),
    CONFIG_TEXT("absent", struct config_health_metric, absent),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t rule_keys[] = {
    CONFIG_TEXT("name", struct config_health_rule, name),
    CONFIG_TEXT("app", struct config_health_rule, app),
    CONFIG_TEXT("critical", struct config_health_rule, critical),
    CONFIG_MAPPING("workers", struct config_health_rule, workers, workers_keys),
    CONFIG_MAPPING("heartbeat", struct config_health_rule, heartbeat, heartbeat_keys),
    CONFIG_MAPPING("metric", struct config_health_rule, metric, metric_keys),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t rule_entry = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct config_health_rule, rule_keys)};

const cyaml_schema_field_t config_health_keys[] = {
    CONFIG_LIST("rules", struct config_health, rules, &rule_entry, HEALTH_RULES_MAX),
    CYAML_FIELD_END,
};

/* Texts of a rule that the file does not have as they are. */
struct config_health_texts {
    char name[160];
    char app[64], instance[64];
};

/* The rule that is being read, and where it stands. */
struct reading {
    struct loading *loading;
    const struct config_health_rule *from;
    struct config_health_texts *texts;
    struct health_rule *to;
    unsigned index;
};

static int refuse(const struct reading *r, const char *key, const char *expected)
{
    return loading_refuse(r->loading, expected, "health.rules[%u]%s%s", r->index, *key ? "." : "",
                          key);
}

/* What a mapping in it lacks. */
static int lack(const struct reading *r, const char *key, const char *sentence)
{
    char path[64];
    snprintf(path, sizeof path, "health.rules[%u]%s%s", r->index, *key ? "." : "", key);
    const struct outline_node *node = loading_find(r->loading, path);
    return node ? loading_say(r->loading, node, sentence) : refuse(r, key, sentence);
}

static bool is_name(const char *text, size_t length)
{
    if (length == 0 || length > 63 || text[0] == '.')
        return false;
    for (size_t i = 0; i < length; i++)
        if (!(text[i] >= 'a' && text[i] <= 'z') && !(text[i] >= 'A' && text[i] <= 'Z') &&
            !(text[i] >= '0' && text[i] <= '9') && !strchr("_.-", text[i]))
            return false;
    return true;
}

static int read_app(const struct reading *r)
{
    const char *text = r->from->app;
    if (!text)
        return 0;
    const char *at = strchr(text, '@');
    size_t length = at ? (size_t)(at - text) : strlen(text);
    if (!is_name(text, length) || (at && !is_name(at + 1, strlen(at + 1))))
        return refuse(r, "app", "APPLICATION or APPLICATION@INSTANCE");
    snprintf(r->texts->app, sizeof r->texts->app, "%.*s", (int)length, text);
    r->to->app = r->texts->app;
    if (at) {
        snprintf(r->texts->instance, sizeof r->texts->instance, "%s", at + 1);
        r->to->instance = r->texts->instance;
    }
    return 0;
}

static int read_role(const struct reading *r, const char *role, const char *key)
{
    const size_t most = sizeof((struct smx_process_info *)0)->role - 1;
    if (role && (!*role || strlen(role) > most))
        return refuse(r, key, "a role of 1 to 31 bytes");
    r->to->role = role;
    return 0;
}

static int read_workers(const struct reading *r)
{
    const struct config_health_workers *from = r->from->workers;
    char expected[VALUE_WHY_SIZE];
    r->to->kind = HEALTH_WORKERS;
    r->to->least = 1;
    if (from->min && value_number(from->min, 1, 65536, &r->to->least, expected) < 0)
        return refuse(r, "workers.min", expected);
    return read_role(r, from->role, "workers.role");
}

static int read_heartbeat(const struct reading *r)
{
    const struct config_health_heartbeat *from = r->from->heartbeat;
    char expected[VALUE_WHY_SIZE];
    r->to->kind = HEALTH_HEARTBEAT;
    if (!from->max_age)
        return lack(r, "heartbeat", "needs max_age, how old a heartbeat may be");
    if (value_duration(from->max_age, "24h", &r->to->max_age_ns, expected) < 0)
        return refuse(r, "heartbeat.max_age", expected);
    if (r->to->max_age_ns == 0)
        return refuse(r, "heartbeat.max_age", "a duration above 0");
    return read_role(r, from->role, "heartbeat.role");
}

static int read_labels(const struct reading *r)
{
    char path[64];
    snprintf(path, sizeof path, "health.rules[%u].metric.labels", r->index);
    const struct outline_node *labels = loading_find(r->loading, path);
    if (!labels || labels->is_null)
        return 0;
    if (labels->kind != OUTLINE_MAPPING)
        return loading_refuse_node(r->loading, labels, "a mapping");
    if (labels->n_children > SMX_LABELS_MAX)
        return loading_refuse_node(r->loading, labels, "16 labels at most");
    for (const struct outline_node *node = labels->first; node; node = node->next) {
        if (node->kind != OUTLINE_SCALAR || node->is_null)
            return loading_refuse_node(r->loading, node, "a text");
        r->to->labels[r->to->n_labels++] = (struct health_matcher){node->key, node->text};
    }
    return 0;
}

static int read_metric(const struct reading *r)
{
    const struct config_health_metric *from = r->from->metric;
    struct health_rule *to = r->to;
    char expected[VALUE_WHY_SIZE];
    to->kind = HEALTH_METRIC;
    to->metric = from->family;
    to->min = -INFINITY;
    to->max = INFINITY;
    if (!from->family || !*from->family)
        return lack(r, "metric", "needs family, the name of a metric");
    if (!from->min && !from->max)
        return lack(r, "metric", "needs min or max, or both");
    if (from->min && value_real(from->min, &to->min, expected) < 0)
        return refuse(r, "metric.min", expected);
    if (from->max && value_real(from->max, &to->max, expected) < 0)
        return refuse(r, "metric.max", expected);
    if (to->min > to->max)
        return refuse(r, "metric.min", "no more than max");
    if (from->absent && strcmp(from->absent, "ok") != 0 && strcmp(from->absent, "failed") != 0)
        return refuse(r, "metric.absent", "ok or failed");
    to->may_be_absent = from->absent && strcmp(from->absent, "ok") == 0;
    return read_labels(r);
}

/* One of the three; a key with nothing behind it is NULL, as if it were not there. */
static int read_kind(const struct reading *r)
{
    const struct config_health_rule *from = r->from;
    char path[64];
    snprintf(path, sizeof path, "health.rules[%u].workers", r->index);
    const bool plain = !from->workers && loading_find(r->loading, path);
    int n = plain + (from->workers != NULL) + (from->heartbeat != NULL) + (from->metric != NULL);
    if (n != 1)
        return lack(r, "", "needs one of workers, heartbeat and metric");
    if (from->heartbeat)
        return read_heartbeat(r);
    if (from->metric)
        return read_metric(r);
    if (from->workers)
        return read_workers(r);
    r->to->kind = HEALTH_WORKERS;
    r->to->least = 1;
    return 0;
}

/* workers worker of shop@eu */
static int make_name(const struct reading *r)
{
    const struct health_rule *to = r->to;
    const char *about = to->kind == HEALTH_METRIC ? to->metric : to->role;
    int length = snprintf(r->texts->name, sizeof r->texts->name, "%s%s%s%s%s",
                          health_kind_name(to->kind), about ? " " : "", about ? about : "",
                          r->from->app ? " of " : "", r->from->app ? r->from->app : "");
    /* One that is cut off might not be text any more. */
    return length < 0 || (size_t)length >= sizeof r->texts->name
               ? lack(r, "", "needs a name: that of the family is too long for one")
               : 0;
}

static int read_name(const struct reading *r, const struct health_rule *first)
{
    const char *name = r->from->name;
    if (name && (!*name || strlen(name) > 128))
        return refuse(r, "name", "a name of 1 to 128 bytes");
    if (!name && make_name(r) < 0)
        return -EINVAL;
    r->to->name = name ? name : r->texts->name;
    for (const struct health_rule *other = first; other < r->to; other++)
        if (strcmp(other->name, r->to->name) == 0)
            return name ? refuse(r, "name", "a name that no other rule has")
                        : lack(r, "", "needs a name: another rule is the same but for numbers");
    return 0;
}

static int read_rule(const struct reading *r, const struct health_rule *first)
{
    char expected[VALUE_WHY_SIZE];
    int rc = read_app(r);
    if (rc == 0 && r->from->critical &&
        value_bool(r->from->critical, &r->to->critical, expected) < 0)
        rc = refuse(r, "critical", expected);
    if (rc == 0)
        rc = read_kind(r);
    return rc == 0 ? read_name(r, first) : rc;
}

int config_health_use(struct loading *l, const struct config_file *file)
{
    const unsigned n = file->health ? file->health->rules_count : 0;
    struct config *config = loading_config(l);
    struct health_rule *rules = calloc(n + 1, sizeof *rules);
    config->health = (struct health_rules){.at = rules, .n = n};
    config->health_texts = calloc(n + 1, sizeof *config->health_texts);
    if (!rules || !config->health_texts)
        return -ENOMEM;
    int rc = 0;
    for (unsigned i = 0; i < n && rc == 0; i++) {
        const struct reading reading = {.loading = l,
                                        .from = &file->health->rules[i],
                                        .texts = &config->health_texts[i],
                                        .to = &rules[i],
                                        .index = i};
        rc = read_rule(&reading, rules);
    }
    return rc;
}

void config_health_free(struct config *config)
{
    free((struct health_rule *)(uintptr_t)config->health.at);
    free(config->health_texts);
}
