/* SPDX-License-Identifier: MIT
 *
 * limits.c - limits: how much is served at most. Each key is an option. What may be read of
 * segments is said where they are, in segments.
 */
#include "agent/config/file.h"

const cyaml_schema_field_t config_limits_keys[] = {
    CONFIG_TEXT("connections", struct config_limits, connections),
    CONFIG_TEXT("requests_per_second", struct config_limits, requests_per_second),
    CYAML_FIELD_END,
};

int config_limits_use(struct loading *l, const struct config_file *file)
{
    const struct config_limits *limits = file->limits;
    int rc = 0;
    if (limits && limits->connections)
        rc = loading_option(l, OPTION_CONNECTIONS, limits->connections, "limits.connections");
    if (rc == 0 && limits && limits->requests_per_second)
        rc = loading_option(l, OPTION_RATE, limits->requests_per_second,
                            "limits.requests_per_second");
    return rc;
}
