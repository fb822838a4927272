/* SPDX-License-Identifier: MIT
 *
 * metrics.h - the metrics that mod_smx keeps. They are registered by httpd's parent before it
 * forks, anew after each restart, and found again in the same segment then.
 */
#ifndef SMX_APACHE_METRICS_H
#define SMX_APACHE_METRICS_H

#include <httpd.h>
#include <scoreboard.h>
#include <smx/smx.h>
#include <stdbool.h>

/* The labels of requests, in the order of the families. */
enum label { LABEL_VHOST, LABEL_METHOD, LABEL_STATUS, LABEL_HANDLER, N_LABELS };
extern const char *const label_names[N_LABELS];

/* Levels of the error log: emerg to debug, and all of trace. */
enum { N_LEVELS = 9 };

enum child_state { CHILD_SERVING, CHILD_FULL, CHILD_STOPPING, N_CHILD_STATES };

/* What is measured of a request. */
struct histograms {
    smx_histogram duration;
    smx_histogram request_size;
    smx_histogram response_size;
};

/* All zero without a segment: every update then goes nowhere. */
struct metrics {
    smx_segment *segment;
    smx_counter received; /* with each request, as is sent */
    smx_counter sent;
    smx_family requests;
    smx_family duration;
    smx_family request_size;
    smx_family response_size;
    smx_family in_flight;
    smx_counter connections_total;
    smx_gauge connections;
    smx_counter errors[N_LEVELS];
    smx_gauge children[N_CHILD_STATES];
    smx_gauge workers[SERVER_NUM_STATUS]; /* [SERVER_DEAD] is not used: such a slot is empty */
};

struct server_config;

/* Open the segment and register. What fails is logged, as a warning, and does not count. */
void metrics_open(struct metrics *metrics, const struct server_config *config, server_rec *server);

/* Those with these label values. */
struct histograms metrics_histograms(const struct metrics *metrics, const char *const values[]);

#endif
