/* SPDX-License-Identifier: MIT
 *
 * expose.c - metrics and series: what is exposed at all. Each key is an option.
 */
#include "agent/config/file.h"

const cyaml_schema_field_t config_rules_keys[] = {
    CONFIG_LIST("allow", struct config_rules, allow, &config_text, SETTINGS_RULES_MAX),
    CONFIG_LIST("deny", struct config_rules, deny, &config_text, SETTINGS_RULES_MAX),
    CYAML_FIELD_END,
};

static int use_rules(struct loading *l, enum option_id id, char *const rules[], unsigned n,
                     const char *path)
{
    int rc = 0;
    for (unsigned i = 0; rc == 0 && i < n; i++)
        rc = loading_option(l, id, rules[i], "%s[%u]", path, i);
    return rc;
}

int config_expose_use(struct loading *l, const struct config_file *file)
{
    const struct config_rules *metrics = file->metrics, *series = file->series;
    int rc = 0;
    if (metrics)
        rc = use_rules(l, OPTION_METRICS_ALLOW, metrics->allow, metrics->allow_count,
                       "metrics.allow");
    if (rc == 0 && metrics)
        rc = use_rules(l, OPTION_METRICS_DENY, metrics->deny, metrics->deny_count, "metrics.deny");
    if (rc == 0 && series)
        rc = use_rules(l, OPTION_LABELS_ALLOW, series->allow, series->allow_count, "series.allow");
    if (rc == 0 && series)
        rc = use_rules(l, OPTION_LABELS_DENY, series->deny, series->deny_count, "series.deny");
    return rc;
}
