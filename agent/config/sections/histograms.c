/* SPDX-License-Identifier: MIT
 *
 * histograms.c - histograms: which classic bounds are shown of exponential ones. The whole
 * list yields to --histogram.bounds.
 */
#include "agent/config/file.h"

#include <string.h>

static const cyaml_schema_field_t keys[] = {
    CONFIG_TEXT("family", struct config_histogram, family),
    CYAML_FIELD_SEQUENCE("bounds", CYAML_FLAG_POINTER, struct config_histogram, bounds,
                         &config_text, 1, EDGES_WISH_MAX),
    CYAML_FIELD_END,
};

const cyaml_schema_value_t config_histogram_entry = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct config_histogram, keys)};

static int use(struct loading *l, const struct config_histogram *h, unsigned index)
{
    struct edges_wish wish = {
        .family = {h->family ? h->family : "", h->family ? strlen(h->family) : 0}};
    for (unsigned i = 0; i < h->bounds_count; i++)
        if (edges_wish_add(&wish, h->bounds[i]) < 0)
            return loading_refuse(l, i ? "a number above the one before it" : "a number above 0",
                                  "histograms[%u].bounds[%u]", index, i);
    loading_bounds(l, &wish);
    return 0;
}

int config_histograms_use(struct loading *l, const struct config_file *file)
{
    int rc = 0;
    for (unsigned i = 0; rc == 0 && i < file->histograms_count; i++)
        rc = use(l, &file->histograms[i], i);
    return rc;
}
