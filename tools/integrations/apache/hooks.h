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
 * of requests without a handler: a handler's name may lie where the next request has another; that
 * were read as one and not redirected: else a method's number may be another's. No longer than a
 * connection: a series that there was no room for is made once there is. */
struct remembered {
    const struct server_config *config;
    int status;
    int method_number;
    char initial; /* of the method: HEAD has the number of GET */
    smx_counter counter;
    struct histograms histograms;
};

/* mod_smx's record of a client's connection. One thread at a time works on it. */
struct connection {
    const struct metrics *metrics;
    uint64_t received;     /* bytes that are not counted yet */
    uint64_t sent;         /* likewise */
    uint64_t request_size; /* bytes received that are, of this request */
    struct remembered last;
};

/* The one of this connection; NULL if it is not a client's: a stream of HTTP/2, or our own one to
 * another server. */
static inline struct connection *connection_of(const conn_rec *connection)
{
    return ap_get_module_config(connection->conn_config, &smx_module);
}

/* pre_connection, and the filters that see bytes, which it adds. */
int connection_begin(conn_rec *connection, void *socket);
void connection_register_filters(void);

/* Count the bytes that have come and gone. Filters are called several times a request. */
void connection_count_bytes(struct connection *connection);

/* post_read_request and log_transaction. */
int request_begin(request_rec *request);
int request_end(request_rec *request);

/* monitor: about every 10 seconds, and after every tenth death of a child. */
int children_count(apr_pool_t *pool, server_rec *server);

#endif
