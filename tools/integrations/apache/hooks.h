/* SPDX-License-Identifier: MIT
 *
 * hooks.h - what httpd calls while it works: requests.c and connections.c in the children, by many
 * threads at once; children.c in the parent.
 */
#ifndef SMX_APACHE_HOOKS_H
#define SMX_APACHE_HOOKS_H

#include <httpd.h>
#include <util_filter.h>

/* mod_smx's record of a client's connection. One thread at a time works on it. */
struct connection {
    const struct metrics *metrics;
    uint64_t received;  /* bytes */
    uint64_t accounted; /* those of them that were of requests that have ended */
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
