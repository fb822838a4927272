/* SPDX-License-Identifier: MIT
 *
 * mod_smx.c - the module as httpd sees it: its hooks, and what happens at start and restart.
 *
 * httpd loads the module, reads the configuration, and does so again before it works; at each
 * restart it unloads and loads it once more. The segment is opened by the parent after the
 * configuration was read for good, before children are forked, while it is still root: children
 * inherit the mapping, so that they need no rights to the file. libshm itself stays loaded all the
 * time, so that opening again finds the same segment.
 */
#include "config.h"
#include "hooks.h"

#include <ap_listen.h>
#include <apr_strings.h>
#include <http_config.h>
#include <http_connection.h>
#include <http_core.h>
#include <http_log.h>
#include <http_main.h>
#include <http_protocol.h>
#include <mpm_common.h>

/* A label must be UTF-8, which a name in a configuration need not be. */
static char *printable(char *name)
{
    for (char *at = name; *at; at++)
        if (*at <= ' ' || *at > '~')
            *at = '?';
    return name;
}

/* As configured: what clients send in Host must not make series. */
static const char *vhost_of(apr_pool_t *pool, const server_rec *server)
{
    const char *name = server->server_hostname ? server->server_hostname : "unnamed";
    apr_port_t port = server->port;
    if (!port && server->addrs)
        port = server->addrs->host_port;
    if (!port && ap_listeners && ap_listeners->bind_addr)
        port = ap_listeners->bind_addr->port;
    return printable(apr_psprintf(pool, "%s:%u", name, (unsigned)port));
}

static bool any_is_on(const server_rec *server)
{
    for (; server; server = server->next)
        if (config_is_on(config_of(server)))
            return true;
    return false;
}

static int start(apr_pool_t *pool, apr_pool_t *log, apr_pool_t *temporary, server_rec *server)
{
    (void)log;
    (void)temporary;
    struct metrics *metrics = apr_pcalloc(pool, sizeof *metrics);
    /* The first of the two rounds at start only looks whether the configuration is sound. */
    if (ap_state_query(AP_SQ_MAIN_STATE) != AP_SQ_MS_CREATE_PRE_CONFIG && any_is_on(server))
        metrics_open(metrics, config_of(server), server);
    for (server_rec *s = server; s; s = s->next) {
        /* A virtual host without a directive of ours shares the main server's until now. */
        struct server_config *config = apr_pmemdup(pool, config_of(s), sizeof *config);
        ap_set_module_config(s->module_config, &smx_module, config);
        config->metrics = metrics;
        config_prepare(config, vhost_of(pool, s));
    }
    return OK;
}

static void start_child(apr_pool_t *pool, server_rec *server)
{
    (void)pool;
    smx_set_role(config_of(server)->metrics->segment, "worker");
}

/* Once for each line that goes to an error log. May be called before start(). */
static void count_error(const ap_errorlog_info *info, const char *text)
{
    (void)text;
    const server_rec *server = info->s ? info->s : ap_server_conf;
    const struct server_config *config = server ? config_of(server) : NULL;
    if (!config || !config->metrics || info->level < 0)
        return;
    int level = info->level < N_LEVELS ? info->level : N_LEVELS - 1;
    smx_counter_inc(config->metrics->errors[level]);
}

static void register_hooks(apr_pool_t *pool)
{
    (void)pool;
    /* Right before the access log writes its line: so a child that is killed in between leaves
     * a request that was counted and not logged, never one that was logged and not counted. */
    static const char *const before[] = {"mod_log_config.c", NULL};
    ap_hook_post_config(start, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_init(start_child, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_pre_connection(connection_begin, NULL, NULL, APR_HOOK_MIDDLE);
    connection_register_filters();
    ap_hook_post_read_request(request_begin, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_log_transaction(request_end, NULL, before, APR_HOOK_MIDDLE);
    ap_hook_error_log(count_error, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_monitor(children_count, NULL, NULL, APR_HOOK_MIDDLE);
}

/* What httpd looks for when it loads the module; it keeps its own notes in it. */
__attribute__((visibility("default"))) module smx_module = {
    STANDARD20_MODULE_STUFF, NULL,           NULL, config_create, config_merge,
    config_commands,         register_hooks, 0,
};
