/* SPDX-License-Identifier: MIT
 *
 * connections.c - counts clients' connections and the bytes on them, as they are on the wire but
 * for what the kernel adds: encrypted where they are.
 */
#include "hooks.h"
#include "metrics.h"

#include "config.h"

#include <http_connection.h>

static const char filter_name[] = "SMX_BYTES";

/* Bytes of a request that goes on are counted in lots of so many. */
enum { MOST_UNCOUNTED = 16384 };

/* Of the buckets whose length is known, as that of all is which come from or go to the network. */
static uint64_t length_of(const apr_bucket_brigade *brigade)
{
    uint64_t length = 0;
    for (const apr_bucket *b = APR_BRIGADE_FIRST(brigade); b != APR_BRIGADE_SENTINEL(brigade);
         b = APR_BUCKET_NEXT(b))
        if (b->length != (apr_size_t)-1)
            length += b->length;
    return length;
}

void connection_count_bytes(struct connection *connection)
{
    smx_counter_add(connection->metrics->received, connection->received);
    smx_counter_add(connection->metrics->sent, connection->sent);
    connection->request_size += connection->received;
    connection->received = 0;
    connection->sent = 0;
}

static apr_status_t count_input(ap_filter_t *filter, apr_bucket_brigade *brigade,
                                ap_input_mode_t mode, apr_read_type_e block, apr_off_t wanted)
{
    struct connection *connection = filter->ctx;
    apr_status_t status = ap_get_brigade(filter->next, brigade, mode, block, wanted);
    if (status == APR_SUCCESS && mode != AP_MODE_SPECULATIVE) { /* else it will come again */
        connection->received += length_of(brigade);
        if (connection->received >= MOST_UNCOUNTED)
            connection_count_bytes(connection);
    }
    return status;
}

static apr_status_t count_output(ap_filter_t *filter, apr_bucket_brigade *brigade)
{
    struct connection *connection = filter->ctx;
    if (brigade) /* NULL asks to send what is kept below */
        connection->sent += length_of(brigade);
    if (connection->sent >= MOST_UNCOUNTED)
        connection_count_bytes(connection);
    return ap_pass_brigade(filter->next, brigade);
}

void connection_register_filters(void)
{
    /* The last before the network. */
    ap_register_input_filter(filter_name, count_input, NULL, AP_FTYPE_NETWORK - 1);
    ap_register_output_filter(filter_name, count_output, NULL, AP_FTYPE_NETWORK - 1);
}

static apr_status_t connection_end(void *data)
{
    struct connection *connection = data;
    connection_count_bytes(connection);
    smx_gauge_dec(connection->metrics->connections);
    return APR_SUCCESS;
}

int connection_begin(conn_rec *c, void *socket)
{
    (void)socket;
    const struct metrics *metrics = config_of(c->base_server)->metrics;
    /* Streams of HTTP/2 have a master; a connection of ours to another server no place on the
     * scoreboard. */
    if (!metrics->segment || c->master || !c->sbh)
        return DECLINED;
    struct connection *connection = apr_pcalloc(c->pool, sizeof *connection);
    connection->metrics = metrics;
    ap_set_module_config(c->conn_config, &smx_module, connection);
    smx_counter_inc(metrics->connections_total);
    smx_gauge_inc(metrics->connections);
    apr_pool_cleanup_register(c->pool, connection, connection_end, apr_pool_cleanup_null);
    ap_add_input_filter(filter_name, connection, NULL, c);
    ap_add_output_filter(filter_name, connection, NULL, c);
    return DECLINED;
}
