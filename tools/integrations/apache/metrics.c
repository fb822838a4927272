/* SPDX-License-Identifier: MIT
 *
 * metrics.c - opens the segment and registers what mod_smx counts. Runs in httpd's parent. Nothing
 * here keeps httpd from starting: what cannot be had is missing, and the error log says so.
 */
#include "metrics.h"
#include "config.h"

#include <ap_mpm.h>
#include <apr_strings.h>
#include <http_core.h>
#include <http_log.h>
#include <string.h>

const char *const label_names[N_LABELS] = {"vhost", "method", "status", "handler"};

static const char *const level_names[N_LEVELS] = {
    "emerg", "alert", "crit", "error", "warn", "notice", "info", "debug", "trace",
};
static const char *const child_names[N_CHILD_STATES] = {"serving", "full", "stopping"};
static const char *const worker_names[SERVER_NUM_STATUS] = {
    [SERVER_STARTING] = "starting",
    [SERVER_READY] = "ready",
    [SERVER_BUSY_READ] = "reading",
    [SERVER_BUSY_WRITE] = "sending",
    [SERVER_BUSY_KEEPALIVE] = "keepalive",
    [SERVER_BUSY_LOG] = "logging",
    [SERVER_BUSY_DNS] = "dns",
    [SERVER_CLOSING] = "closing",
    [SERVER_GRACEFUL] = "stopping",
    [SERVER_IDLE_KILL] = "idle_kill",
};

/* A metric was refused if diag says so; httpd goes on without it. */
static void check(struct smx_diag *diag, server_rec *server)
{
    if (diag->code)
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, server, "smx: without one metric: %s",
                     diag->text);
    diag->code = 0;
}

/* Bounds cannot change in a segment that is in use. The first ones stay while httpd runs, for which
 * it keeps this over restarts. */
struct bounds {
    double at[SMX_BOUNDS_MAX];
    size_t n;
};

static const struct bounds *keep_bounds(const struct server_config *config, server_rec *server)
{
    static const char key[] = "mod_smx-bounds";
    struct bounds *kept = ap_retained_data_get(key);
    if (!kept) {
        kept = ap_retained_data_create(key, sizeof *kept);
        memcpy(kept->at, config->bounds, sizeof kept->at);
        kept->n = config->n_bounds;
    } else if (kept->n != config->n_bounds ||
               memcmp(kept->at, config->bounds, kept->n * sizeof kept->at[0]) != 0) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, server,
                     "smx: SmxDurationBounds has changed; the former ones hold until httpd is "
                     "stopped and started");
    }
    return kept;
}

static smx_family labelled(smx_family (*make)(smx_segment *, const struct smx_metric *,
                                              struct smx_diag *),
                           smx_segment *segment, struct smx_metric metric, struct smx_diag *diag)
{
    memcpy(metric.labels, label_names, sizeof label_names);
    return make(segment, &metric, diag);
}

static void add_requests(struct metrics *m, const struct bounds *bounds, server_rec *server)
{
    struct smx_diag diag = {0};
    m->requests = labelled(smx_counter_family, m->segment,
                           (struct smx_metric){.name = "apache_http_requests_total",
                                               .help = "Requests, as in the access log."},
                           &diag);
    check(&diag, server);
    m->duration = labelled(smx_histogram_family, m->segment,
                           (struct smx_metric){.name = "apache_http_request_duration_seconds",
                                               .help = "From the request line to the log.",
                                               .unit = "seconds",
                                               .bounds = bounds->at,
                                               .n_bounds = bounds->n},
                           &diag);
    check(&diag, server);
    m->request_size = labelled(smx_histogram_family, m->segment,
                               (struct smx_metric){.name = "apache_http_request_size_bytes",
                                                   .help = "Requests with their headers.",
                                                   .unit = "bytes",
                                                   .schema = SMX_SCHEMA_0},
                               &diag);
    check(&diag, server);
    m->response_size = labelled(smx_histogram_family, m->segment,
                                (struct smx_metric){.name = "apache_http_response_size_bytes",
                                                    .help = "Responses without headers.",
                                                    .unit = "bytes",
                                                    .schema = SMX_SCHEMA_0},
                                &diag);
    check(&diag, server);
    m->in_flight = smx_gauge_family(m->segment,
                                    &(struct smx_metric){.name = "apache_http_in_flight_requests",
                                                         .help = "Requests not yet logged.",
                                                         .labels = {"vhost"}},
                                    &diag);
    check(&diag, server);
}

static void add_connections(struct metrics *m, server_rec *server)
{
    struct smx_diag diag = {0};
    m->connections_total = smx_counter_new(
        m->segment,
        &(struct smx_metric){.name = "apache_connections_total", .help = "Connections accepted."},
        &diag);
    check(&diag, server);
    m->connections = smx_gauge_new(
        m->segment,
        &(struct smx_metric){.name = "apache_open_connections", .help = "Connections now open."},
        &diag);
    check(&diag, server);
    m->received = smx_counter_new(m->segment,
                                  &(struct smx_metric){.name = "apache_received_bytes_total",
                                                       .help = "Bytes read from clients.",
                                                       .unit = "bytes"},
                                  &diag);
    check(&diag, server);
    m->sent = smx_counter_new(m->segment,
                              &(struct smx_metric){.name = "apache_sent_bytes_total",
                                                   .help = "Bytes on their way to clients.",
                                                   .unit = "bytes"},
                              &diag);
    check(&diag, server);
}

static void add_states(struct metrics *m, server_rec *server)
{
    struct smx_diag diag = {0};
    smx_family family =
        smx_counter_family(m->segment,
                           &(struct smx_metric){.name = "apache_error_log_messages_total",
                                                .help = "Messages in the error logs.",
                                                .labels = {"level"}},
                           &diag);
    check(&diag, server);
    for (int i = 0; i < N_LEVELS; i++)
        m->errors[i] = smx_counter_with(family, SMX_VALUES(level_names[i]));
    family = smx_gauge_family(m->segment,
                              &(struct smx_metric){.name = "apache_children",
                                                   .help = "Child processes, every 10 seconds.",
                                                   .labels = {"state"}},
                              &diag);
    check(&diag, server);
    for (int i = 0; i < N_CHILD_STATES; i++)
        m->children[i] = smx_gauge_with(family, SMX_VALUES(child_names[i]));
    family = smx_gauge_family(m->segment,
                              &(struct smx_metric){.name = "apache_workers",
                                                   .help = "Threads, or children of prefork, "
                                                           "every 10 seconds.",
                                                   .labels = {"state"}},
                              &diag);
    check(&diag, server);
    for (int i = SERVER_DEAD + 1; i < SERVER_NUM_STATUS; i++)
        m->workers[i] = smx_gauge_with(family, SMX_VALUES(worker_names[i]));
}

static void add_build(const struct metrics *m, apr_pool_t *pool, server_rec *server)
{
    struct smx_diag diag = {0};
    ap_version_t version;
    ap_get_server_revision(&version);
    const char *text = apr_psprintf(pool, "%d.%d.%d", version.major, version.minor, version.patch);
    (void)smx_info(m->segment,
                   &(struct smx_metric){.name = "apache_build",
                                        .help = "The httpd that runs.",
                                        .labels = {"version", "mpm"}},
                   SMX_VALUES(text, ap_show_mpm()), &diag);
    check(&diag, server);
}

/* Room for the children of two generations, the parent, and what children start for a moment. */
static uint32_t slots_needed(void)
{
    enum { DEFAULT_SLOTS = 1024, MOST_SLOTS = 65536 };
    int children = 0;
    (void)ap_mpm_query(AP_MPMQ_HARD_LIMIT_DAEMONS, &children);
    int needed = children < MOST_SLOTS / 2 - 64 ? 2 * children + 64 : MOST_SLOTS;
    return needed > DEFAULT_SLOTS ? (uint32_t)needed : DEFAULT_SLOTS;
}

void metrics_open(struct metrics *m, const struct server_config *config, server_rec *server)
{
    struct smx_diag diag = {0};
    int error = smx_open(
        &(struct smx_options){
            .app = config->application ? config->application : "apache2",
            .instance = config->instance,
            .directory = config->directory,
            .role = "master",
            .slots = slots_needed(),
        },
        &m->segment, &diag);
    if (error) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, server,
                     "smx: httpd runs without metrics: %s. Once that is remedied, or SmxDirectory "
                     "names a directory on tmpfs that can be written to, restart it gracefully",
                     diag.text);
        return;
    }
    add_requests(m, keep_bounds(config, server), server);
    add_connections(m, server);
    add_states(m, server);
    add_build(m, server->process->pconf, server);
}

struct histograms metrics_histograms(const struct metrics *m, const char *const values[])
{
    return (struct histograms){
        .duration = smx_histogram_with(m->duration, values),
        .request_size = smx_histogram_with(m->request_size, values),
        .response_size = smx_histogram_with(m->response_size, values),
    };
}
