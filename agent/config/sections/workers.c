/* SPDX-License-Identifier: MIT
 *
 * workers.c - workers: what is told of the applications' processes. Each key is an option.
 */
#include "agent/config/file.h"

const cyaml_schema_field_t config_workers_keys[] = {
    CONFIG_TEXT("detail", struct config_workers, detail),
    CONFIG_TEXT("memory", struct config_workers, memory),
    CONFIG_TEXT("io", struct config_workers, io),
    CYAML_FIELD_END,
};

int config_workers_use(struct loading *l, const struct config_file *file)
{
    const struct config_workers *workers = file->workers;
    int rc = 0;
    if (workers && workers->detail)
        rc = loading_option(l, OPTION_WORKERS_DETAIL, workers->detail, "workers.detail");
    if (rc == 0 && workers && workers->memory)
        rc = loading_option(l, OPTION_WORKERS_MEMORY, workers->memory, "workers.memory");
    if (rc == 0 && workers && workers->io)
        rc = loading_option(l, OPTION_WORKERS_IO, workers->io, "workers.io");
    return rc;
}
