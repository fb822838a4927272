/* SPDX-License-Identifier: MIT
 *
 * metrics.c - the server's metrics: every name, help text and label stands here and nowhere else.
 *
 * The master registers them before it forks; the handles are plain values that the workers inherit.
 * A failure leaves handles whose updates go nowhere, so no other file asks whether it worked.
 */
#include "metrics.h"

#include <stdio.h>

/* The prefix "demo" is put before each name by libshm. */
static const struct smx_metric requests = {
    .name = "http_requests_total",
    .help = "Requests answered, by method, route and status.",
    .labels = {"method", "route", "status"},
};
static const struct smx_metric duration = {
    .name = "http_request_duration_seconds",
    .help = "Time from a complete request to its answer, by route.",
    .unit = "seconds",
    .labels = {"route"},
    .min = 1e-6,
    .max = 16,
};
static const struct smx_metric bytes = {
    .name = "http_response_bytes_total",
    .help = "Bytes of answers, headers included, by route.",
    .unit = "bytes",
    .labels = {"route"},
};
static const struct smx_metric in_flight = {
    .name = "http_in_flight_requests",
    .help = "Requests being answered now.",
    .mode = SMX_SUM,
};
static const struct smx_metric connections = {
    .name = "worker_connections",
    .help = "Connections that a worker holds.",
    .mode = SMX_EACH,
};
static const struct smx_metric workers = {
    .name = "table_entries",
    .help = "Entries of the master's table of workers, draining ones included.",
    .mode = SMX_LAST,
};
static const struct smx_metric restarts = {
    .name = "worker_restarts_total",
    .help = "Workers that ended unasked and were replaced.",
};

static const struct smx_check_options accepting = {
    .name = "workers",
    .help = "Requests wait without workers that accept connections.",
    .interval_ms = 10000,
    .critical = true,
};

/* Keep the first thing that went wrong: it is the cause, the rest are consequences. */
static void keep_first(struct smx_diag *first, struct smx_diag *now)
{
    if (now->code && !first->code)
        *first = *now;
    now->code = 0;
}

static void register_by_route(struct metrics *m, struct smx_diag *first)
{
    struct smx_diag diag = {0};
    smx_family durations = smx_histogram_family(m->segment, &duration, &diag);
    keep_first(first, &diag);
    smx_family sizes = smx_counter_family(m->segment, &bytes, &diag);
    keep_first(first, &diag);
    for (enum route r = ROUTE_ROOT; r < ROUTES; r++) {
        m->duration[r] = smx_histogram_with(durations, SMX_VALUES(route_name(r)));
        m->bytes[r] = smx_counter_with(sizes, SMX_VALUES(route_name(r)));
    }
}

static void register_all(struct metrics *m, struct smx_diag *first)
{
    struct smx_diag diag = {0};
    m->requests = smx_counter_family(m->segment, &requests, &diag);
    keep_first(first, &diag);
    m->in_flight = smx_gauge_new(m->segment, &in_flight, &diag);
    keep_first(first, &diag);
    m->connections = smx_gauge_new(m->segment, &connections, &diag);
    keep_first(first, &diag);
    m->workers = smx_gauge_new(m->segment, &workers, &diag);
    keep_first(first, &diag);
    m->restarts = smx_counter_new(m->segment, &restarts, &diag);
    keep_first(first, &diag);
    m->accepting = smx_check_new(m->segment, &accepting, &diag);
    keep_first(first, &diag);
    register_by_route(m, first);
}

int metrics_open(struct metrics *metrics, struct smx_diag *diag)
{
    const struct smx_options options = {.app = "demo", .name_prefix = "demo", .role = "master"};
    struct smx_diag first = {0};
    (void)smx_open(&options, &metrics->segment, &first);
    register_all(metrics, &first);
    if (first.code)
        *diag = first;
    return first.code;
}

void metrics_count(const struct metrics *metrics, enum http_method method, enum route route,
                   enum http_status status, size_t n_bytes)
{
    smx_counter_inc(
        smx_counter_with(metrics->requests, SMX_VALUES(http_method_name(method), route_name(route),
                                                       http_status_name(status))));
    smx_counter_add(metrics->bytes[route], n_bytes);
}

void metrics_check(const struct metrics *metrics, size_t n, size_t wanted)
{
    char message[64];
    snprintf(message, sizeof message, "%zu of %zu workers accept connections", n, wanted);
    if (n < wanted)
        smx_check_report(metrics->accepting, n ? SMX_CHECK_DEGRADED : SMX_CHECK_FAILED, message);
    else
        smx_check_report(metrics->accepting, SMX_CHECK_OK, NULL);
}
