/* SPDX-License-Identifier: MIT
 *
 * ngx_http_smx.h - what the files of the nginx module share. module.c has the directives and opens
 * the segment, families.c the metrics that are always there, requests.c counts requests, custom.c
 * what a configuration asks for besides, connections.c connections and TLS handshakes, text.c makes
 * label values.
 *
 * The master opens the segment before it forks, and again for each configuration, which gives the
 * same one; the workers inherit mapping and descriptor, so that their user needs no rights. All
 * state hangs on the configuration of a cycle: the old workers of a reload keep theirs.
 */
#ifndef NGX_HTTP_SMX_H
#define NGX_HTTP_SMX_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <smx/smx.h>

/* Handles of the metrics that are always there; they go nowhere without a segment. */
typedef struct {
    smx_family requests, duration, received, sent;
    smx_family upstream_responses, upstream_connect, upstream_header, upstream_response;
    smx_family cache, handshakes;
    smx_family handshakes_failed, accepted, active, waiting, free; /* without labels */
} ngx_http_smx_families_t;

typedef struct {
    ngx_str_t app, instance, directory;
    ngx_int_t max_series; /* of a family; 0: libshm's */
    size_t max_bytes;
    ngx_flag_t wanted;   /* some location says `smx on` */
    ngx_array_t customs; /* ngx_http_smx_custom_t *, of all places */
    smx_segment *segment;
    ngx_http_smx_families_t families;
    smx_counter handshakes_failed, accepted;
    smx_gauge active, waiting, free;
#if (NGX_HTTP_SSL)
    void (*ssl_info)(const SSL *ssl, int where, int ret); /* nginx's own, which ours calls */
#endif
} ngx_http_smx_main_conf_t;

/* A status that the location has answered with. */
typedef struct {
    ngx_uint_t code; /* 0: an unused entry */
    smx_counter requests;
} ngx_http_smx_status_t;

#define NGX_HTTP_SMX_STATUSES 16

/* A location. The handles are found at the first request of each second, in each worker. */
typedef struct {
    ngx_flag_t enable;
    ngx_array_t *customs; /* ngx_http_smx_custom_t *; those of the level above if there are none */
    const char *server, *location;
    time_t found; /* when all below were */
    smx_histogram duration;
    smx_counter received, sent;
    ngx_http_smx_status_t statuses[NGX_HTTP_SMX_STATUSES];
} ngx_http_smx_loc_conf_t;

extern ngx_module_t ngx_http_smx_module;

/* families.c: register them. Each that is refused is logged. */
void ngx_http_smx_register(ngx_http_smx_main_conf_t *mcf, ngx_log_t *log);

/* families.c: say that a metric is refused, at a level that a start always shows. */
void ngx_http_smx_complain(ngx_log_t *log, const char *name, const struct smx_diag *diag);

/* requests.c: the handler of the log phase. */
ngx_int_t ngx_http_smx_log(ngx_http_request_t *r);

/* custom.c: the directives smx_counter and smx_histogram; register what they name; count it. */
char *ngx_http_smx_custom(ngx_conf_t *cf, ngx_command_t *command, void *conf);
void ngx_http_smx_custom_register(ngx_http_smx_main_conf_t *mcf, ngx_log_t *log);
void ngx_http_smx_custom_count(ngx_http_request_t *r, const ngx_array_t *customs);

/* text.c: put a '?' for each byte that is not of well-formed UTF-8. Returns its argument. */
char *ngx_http_smx_clean(u_char *text);

/* text.c: two strings as one label value; NULL where there is no memory. */
char *ngx_http_smx_text(ngx_pool_t *pool, const char *prefix, const ngx_str_t *text);

/* connections.c: see new connections of the listening sockets, and TLS handshakes. */
void ngx_http_smx_watch_accept(ngx_cycle_t *cycle);
void ngx_http_smx_watch_handshakes(ngx_conf_t *cf, ngx_http_smx_main_conf_t *mcf);

/* connections.c: look at a worker's connections every second. */
ngx_int_t ngx_http_smx_watch_worker(ngx_cycle_t *cycle, ngx_http_smx_main_conf_t *mcf);

#endif
