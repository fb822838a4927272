/* SPDX-License-Identifier: MIT
 *
 * config.h - what the directives of mod_smx say, for each server: the main one and every virtual
 * host. Directives set it, httpd merges it, and what is found out at start is kept beside it.
 */
#ifndef SMX_APACHE_CONFIG_H
#define SMX_APACHE_CONFIG_H

#include "metrics.h"

#include <httpd.h>
#include <http_config.h>
#include <smx/smx.h>

struct server_config {
    /* Found out at start; what a request needs of it lies together. */
    bool counts; /* it is on, and there is a segment */
    const struct metrics *metrics;
    const char *vhost; /* the label */
    smx_gauge in_flight;
    int engine;           /* SmxEngine; like the next two UNSET, if not said here */
    int request_labels;   /* SmxLabels: bits 1 << enum label */
    int histogram_labels; /* SmxHistogramLabels */
    /* Of the main server alone. */
    const char *application;       /* SmxApplication */
    const char *instance;          /* SmxInstance */
    const char *directory;         /* SmxDirectory */
    double bounds[SMX_BOUNDS_MAX]; /* SmxDurationBounds, in seconds */
    size_t n_bounds;
};

enum { UNSET = -1 };

APLOG_USE_MODULE(smx);

extern const command_rec config_commands[];

void *config_create(apr_pool_t *pool, server_rec *server);
void *config_merge(apr_pool_t *pool, void *outer, void *inner);

/* Make ready for requests: config->metrics is there. */
void config_prepare(struct server_config *config, const char *vhost);

/* Of this server; what is UNSET has its default. */
static inline struct server_config *config_of(const server_rec *server)
{
    return ap_get_module_config(server->module_config, &smx_module);
}
bool config_is_on(const struct server_config *config);
int config_request_labels(const struct server_config *config);
int config_histogram_labels(const struct server_config *config);

#endif
