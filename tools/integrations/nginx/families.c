/* SPDX-License-Identifier: MIT
 *
 * families.c - the table of the metrics that are always there. README.md has them for people.
 * Runs in the master, for each configuration: what is registered already is found.
 */
#include "ngx_http_smx.h"

#define AT(member) offsetof(ngx_http_smx_families_t, member)

/* nginx's clock has milliseconds: so have the histograms, from one to some 17 minutes. */
#define MILLISECONDS .unit = "seconds", .digits = 3, .min = 1e-3, .max = 1024

typedef smx_family make_family(smx_segment *segment, const struct smx_metric *metric,
                               struct smx_diag *diag);

static const struct {
    make_family *make;
    size_t at;
    struct smx_metric metric;
} families[] = {
    {smx_counter_family,
     AT(requests),
     {.name = "nginx_http_requests_total",
      .help = "Requests that the access log would have a line for.",
      .labels = {"server", "location", "status"}}},
    {smx_histogram_family,
     AT(duration),
     {.name = "nginx_http_request_duration_seconds",
      .help = "From the first byte of a request to the last of its response ($request_time).",
      .labels = {"server", "location"},
      MILLISECONDS}},
    {smx_counter_family,
     AT(received),
     {.name = "nginx_http_received_bytes_total",
      .help = "Bytes of requests, with their headers ($request_length).",
      .unit = "bytes",
      .labels = {"server", "location"}}},
    {smx_counter_family,
     AT(sent),
     {.name = "nginx_http_sent_bytes_total",
      .help = "Bytes sent to clients, with headers ($bytes_sent).",
      .unit = "bytes",
      .labels = {"server", "location"}}},
    {smx_counter_family,
     AT(upstream_responses),
     {.name = "nginx_upstream_responses_total",
      .help = "Tries to get a response of an upstream server; status - has none.",
      .labels = {"upstream", "peer", "status"}}},
    {smx_histogram_family,
     AT(upstream_connect),
     {.name = "nginx_upstream_connect_seconds",
      .help = "Time to connect to an upstream server ($upstream_connect_time).",
      .labels = {"upstream"},
      MILLISECONDS}},
    {smx_histogram_family,
     AT(upstream_header),
     {.name = "nginx_upstream_header_seconds",
      .help = "Time until an upstream server's header is there ($upstream_header_time).",
      .labels = {"upstream"},
      MILLISECONDS}},
    {smx_histogram_family,
     AT(upstream_response),
     {.name = "nginx_upstream_response_seconds",
      .help = "Time until an upstream server's response is complete ($upstream_response_time).",
      .labels = {"upstream"},
      MILLISECONDS}},
    {smx_counter_family,
     AT(cache),
     {.name = "nginx_cache_requests_total",
      .help = "Requests that a cache was asked for ($upstream_cache_status).",
      .labels = {"server", "location", "status"}}},
    {smx_counter_family,
     AT(handshakes),
     {.name = "nginx_ssl_handshakes_total",
      .help = "TLS handshakes with clients that were completed.",
      .labels = {"protocol", "session"}}},
    {smx_counter_family,
     AT(handshakes_failed),
     {.name = "nginx_ssl_handshakes_failed_total",
      .help = "TLS handshakes with clients that were begun and not completed."}},
    {smx_counter_family,
     AT(accepted),
     {.name = "nginx_connections_accepted_total", .help = "Connections of clients."}},
    {smx_gauge_family,
     AT(active),
     {.name = "nginx_connections_active", .help = "Connections of clients that are open."}},
    {smx_gauge_family,
     AT(waiting),
     {.name = "nginx_connections_waiting",
      .help = "Connections of clients that are open and idle, each second."}},
    {smx_gauge_family,
     AT(free),
     {.name = "nginx_worker_connections_free",
      .help = "What is left of worker_connections in the worker that has least, each second.",
      .mode = SMX_MIN}},
};

void ngx_http_smx_complain(ngx_log_t *log, const char *name, const struct smx_diag *diag)
{
    ngx_log_error_core(NGX_LOG_WARN, log, 0,
                       "smx: %s is not counted: %s; what contradicts the metrics of before needs "
                       "another name, or a restart",
                       name, diag->text);
}

void ngx_http_smx_register(ngx_http_smx_main_conf_t *mcf, ngx_log_t *log)
{
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        const struct smx_metric *metric = &families[i].metric;
        struct smx_diag diag = {0};
        smx_family family = families[i].make(mcf->segment, metric, &diag);
        if (!family.record)
            ngx_http_smx_complain(log, metric->name, &diag);
        memcpy((char *)&mcf->families + families[i].at, &family, sizeof family);
    }
    const char *const none[] = {NULL};
    mcf->handshakes_failed = smx_counter_with(mcf->families.handshakes_failed, none);
    mcf->accepted = smx_counter_with(mcf->families.accepted, none);
    mcf->active = smx_gauge_with(mcf->families.active, none);
    mcf->waiting = smx_gauge_with(mcf->families.waiting, none);
    mcf->free = smx_gauge_with(mcf->families.free, none);
}
