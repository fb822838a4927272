/* SPDX-License-Identifier: MIT
 *
 * hooks.h - what httpd calls while it works: requests.c and connections.c in the children, by many
 * threads at once; children.c in the parent.
 */
#ifndef SMX_APACHE_HOOKS_H
#define SMX_APACHE_HOOKS_H

#include "config.h"

#include <httpd.h>
#include <util_filter.h>

/* What the last request of a connection updated, and whose it is: the next one is often alike. Only
 * of requests without a handler: a handler's name may lie where the next request has another. No
 * longer than a connection: a series that there was no room for is made once there is. */
struct remembered {
    smx_counter counter;
    struct histograms histograms;
    const struct server_config *config;
    int status;
    char method[8]; /* none longer is remembered */
};

/* mod_smx's record of a client's connection. One thread at a time works on it. */
struct connection {
    smx_counter bytes_received;
    smx_counter bytes_sent;
    uint64_t received;  /* on this connection */
    uint64_t accounted; /* those of them that were of requests that have ended */
    struct remembered last;
};

/* The one of this connection; NULL if it is not a client's: a stream of HTTP/2, or our own one to
 * another server. */
struct connection *connection_of(const conn_rec *connection);

/* pre_connection, and the filters that count bytes, which it adds. */
int connection_begin(conn_rec *connection, void *socket);
void connection_register_filters(void);

/* post_read_request and log_transaction. */
int request_begin(request_rec *request);
int request_end(request_rec *request);

/* monitor: about every 10 seconds, and after every tenth death of a child. */
int children_count(apr_pool_t *pool, server_rec *server);

#endif
