/* SPDX-License-Identifier: MIT
 *
 * segments.c - segments, scrape, openmetrics: where the numbers come from, how old and in
 * which form. Each key is an option.
 */
#include "agent/config/file.h"

const cyaml_schema_field_t config_segments_keys[] = {
    CONFIG_LIST("directories", struct config_segments, directories, &config_text,
                SETTINGS_DIRECTORIES_MAX),
    CONFIG_TEXT("max_bytes", struct config_segments, max_bytes),
    CYAML_FIELD_END,
};

const cyaml_schema_field_t config_scrape_keys[] = {
    CONFIG_TEXT("max_age", struct config_scrape, max_age),
    CYAML_FIELD_END,
};

const cyaml_schema_field_t config_openmetrics_keys[] = {
    CONFIG_TEXT("created_samples", struct config_openmetrics, created_samples),
    CYAML_FIELD_END,
};

int config_segments_use(struct loading *l, const struct config_file *file)
{
    int rc = 0;
    for (unsigned i = 0; file->segments && rc == 0 && i < file->segments->directories_count; i++)
        rc = loading_option(l, OPTION_DIRECTORY, file->segments->directories[i],
                            "segments.directories[%u]", i);
    if (rc == 0 && file->segments && file->segments->max_bytes)
        rc = loading_option(l, OPTION_MAX_BYTES, file->segments->max_bytes, "segments.max_bytes");
    if (rc == 0 && file->scrape && file->scrape->max_age)
        rc = loading_option(l, OPTION_MAX_AGE, file->scrape->max_age, "scrape.max_age");
    if (rc == 0 && file->openmetrics && file->openmetrics->created_samples)
        rc = loading_option(l, OPTION_CREATED_SAMPLES, file->openmetrics->created_samples,
                            "openmetrics.created_samples");
    return rc;
}
