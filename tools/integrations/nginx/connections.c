/* SPDX-License-Identifier: MIT
 *
 * connections.c - the connections of clients: accepted, open, idle; and TLS handshakes. Nothing of
 * it is nginx's own count (stub_status), which a new binary begins anew and a killed worker leaves
 * wrong for ever. Runs in the workers, but for what installs it.
 *
 * A connection is seen when its listening socket's handler gets it, and when its pool goes. Not
 * seen are connections to upstream servers, and those of mail and stream.
 */
#include "ngx_http_smx.h"
#if (NGX_HTTP_SSL)
#include <ngx_http_ssl_module.h>
#endif

/* In the pool of a connection. */
typedef struct {
    const ngx_http_smx_main_conf_t *mcf;
    enum { QUIET, BEGUN, DONE } handshake;
} seen_t;

static void closed(void *data)
{
    const seen_t *seen = data;
    smx_gauge_dec(seen->mcf->active);
    if (seen->handshake == BEGUN)
        smx_counter_inc(seen->mcf->handshakes_failed);
}

static void accepted(ngx_connection_t *c)
{
    const ngx_http_smx_main_conf_t *mcf =
        ngx_http_cycle_get_module_main_conf(ngx_cycle, ngx_http_smx_module);
    ngx_pool_cleanup_t *cleanup = ngx_pool_cleanup_add(c->pool, sizeof(seen_t));
    smx_counter_inc(mcf->accepted);
    if (cleanup) {
        *(seen_t *)cleanup->data = (seen_t){.mcf = mcf};
        cleanup->handler = closed;
        smx_gauge_inc(mcf->active);
    }
    ngx_http_init_connection(c);
}

void ngx_http_smx_watch_accept(ngx_cycle_t *cycle)
{
    ngx_listening_t *listening = cycle->listening.elts;
    for (ngx_uint_t i = 0; i < cycle->listening.nelts; i++)
        if (listening[i].handler == ngx_http_init_connection)
            listening[i].handler = accepted;
}

#if (NGX_HTTP_SSL)
static seen_t *seen_of(const SSL *ssl)
{
    const ngx_connection_t *c = ngx_ssl_get_connection(ssl);
    for (ngx_pool_cleanup_t *cleanup = c->pool->cleanup; cleanup; cleanup = cleanup->next)
        if (cleanup->handler == closed)
            return cleanup->data;
    return NULL;
}

/* OpenSSL calls this at each step of a handshake. */
static void handshake_step(const SSL *ssl, int where, int ret)
{
    const ngx_http_smx_main_conf_t *mcf =
        ngx_http_cycle_get_module_main_conf(ngx_cycle, ngx_http_smx_module);
    if (mcf->ssl_info)
        mcf->ssl_info(ssl, where, ret);
    if (!(where & (SSL_CB_HANDSHAKE_START | SSL_CB_HANDSHAKE_DONE)))
        return;
    seen_t *seen = seen_of(ssl);
    if (!seen)
        return;
    seen->handshake = where & SSL_CB_HANDSHAKE_DONE ? DONE : BEGUN;
    if (seen->handshake == DONE)
        smx_counter_inc(smx_counter_with(
            mcf->families.handshakes,
            SMX_VALUES(SSL_get_version(ssl), SSL_session_reused(ssl) ? "reused" : "new")));
}
#endif

/* nginx has set the same function in each server's context; one that has another is left alone. */
void ngx_http_smx_watch_handshakes(ngx_conf_t *cf, ngx_http_smx_main_conf_t *mcf)
{
#if (NGX_HTTP_SSL)
    const ngx_http_core_main_conf_t *core =
        ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    ngx_http_core_srv_conf_t **servers = core->servers.elts;
    for (ngx_uint_t i = 0; i < core->servers.nelts; i++) {
        const ngx_http_ssl_srv_conf_t *conf =
            servers[i]->ctx->srv_conf[ngx_http_ssl_module.ctx_index];
        if (!conf->ssl.ctx)
            continue;
        void (*theirs)(const SSL *, int, int) = SSL_CTX_get_info_callback(conf->ssl.ctx);
        if (!mcf->ssl_info)
            mcf->ssl_info = theirs;
        if (mcf->ssl_info == theirs)
            SSL_CTX_set_info_callback(conf->ssl.ctx, handshake_step);
    }
#else
    (void)cf;
    (void)mcf;
#endif
}

/* A worker that is to end, and waits for its last connections, says so by its role. */
static void each_second(ngx_event_t *event)
{
    const ngx_http_smx_main_conf_t *mcf =
        ngx_http_cycle_get_module_main_conf(ngx_cycle, ngx_http_smx_module);
    smx_gauge_set(mcf->waiting, (int64_t)ngx_cycle->reusable_connections_n);
    smx_gauge_set(mcf->free, (int64_t)ngx_cycle->free_connection_n);
    if (ngx_exiting)
        smx_set_role(mcf->segment, "worker shutting down");
    smx_heartbeat(mcf->segment);
    ngx_add_timer(event, 1000);
}

ngx_int_t ngx_http_smx_watch_worker(ngx_cycle_t *cycle, ngx_http_smx_main_conf_t *mcf)
{
    /* The debug log prints the descriptor of what an event belongs to. */
    ngx_connection_t *nobody = ngx_pcalloc(cycle->pool, sizeof *nobody);
    ngx_event_t *event = ngx_pcalloc(cycle->pool, sizeof *event);
    if (!nobody || !event)
        return NGX_ERROR;
    nobody->fd = (ngx_socket_t)-1;
    event->data = nobody;
    event->log = cycle->log;
    event->handler = each_second;
    event->cancelable = 1; /* does not keep a worker that is to end */
    /* There is a series as long as there is a worker. */
    smx_gauge_set(mcf->active, 0);
    smx_gauge_set(mcf->waiting, 0);
    smx_gauge_set(mcf->free, (int64_t)cycle->free_connection_n);
    ngx_add_timer(event, 1000);
    return NGX_OK;
}
