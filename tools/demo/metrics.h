/* SPDX-License-Identifier: MIT
 *
 * metrics.h - the server's metrics: one struct of handles, made once by the master before it forks,
 * good in every worker.
 */
#ifndef SMX_DEMO_METRICS_H
#define SMX_DEMO_METRICS_H

#include "http.h"
#include "route.h"

#include <smx/health.h>

struct metrics {
    smx_segment *segment;
    smx_family requests;            /* by method, route and status: looked up for each request */
    smx_histogram duration[ROUTES]; /* few and known label values: looked up once */
    smx_counter bytes[ROUTES];
    smx_gauge in_flight;
    smx_gauge connections;
    smx_gauge workers;
    smx_counter restarts;
    smx_check accepting;
};

/* Open the segment and register everything. The handles are good whatever happens.
 * Returns: 0, or a negative errno with diag saying what is missing: the server serves on. */
int metrics_open(struct metrics *metrics, struct smx_diag *diag);

/* Count one answered request. */
void metrics_count(const struct metrics *metrics, enum http_method method, enum route route,
                   enum http_status status, size_t bytes);

/* Report whether as many workers accept connections as should. */
void metrics_check(const struct metrics *metrics, size_t accepting, size_t wanted);

#endif
