/* SPDX-License-Identifier: MIT
 *
 * requests.c - counts a request, in the log phase: what nginx has a line of access log for, it has
 * a count for. The log's handler comes first, so that a worker which is killed between the two has
 * written one line more than it has counted. Runs in the workers.
 */
#include "ngx_http_smx.h"

/* What $status is. */
static ngx_uint_t status_of(const ngx_http_request_t *r)
{
    if (r->err_status)
        return r->err_status;
    if (r->headers_out.status)
        return r->headers_out.status;
    return r->http_version == NGX_HTTP_VERSION_9 ? 9 : 0;
}

/* What $request_time is, in milliseconds. */
static uint64_t duration_of(const ngx_http_request_t *r)
{
    const ngx_time_t *now = ngx_timeofday();
    ngx_msec_int_t ms = (ngx_msec_int_t)((now->sec - r->start_sec) * 1000) +
                        ((ngx_msec_int_t)now->msec - (ngx_msec_int_t)r->start_msec);
    return ms > 0 ? (uint64_t)ms : 0;
}

/* The text of a status, as the access log has it. */
static const char *status_text(char text[static NGX_INT_T_LEN + 1], ngx_uint_t status)
{
    *ngx_sprintf((u_char *)text, "%03ui", status) = '\0';
    return text;
}

/* A location answers with few statuses: two of them rarely fall on one entry. */
static smx_counter requests_of(ngx_http_smx_loc_conf_t *lcf, smx_family family, ngx_uint_t status)
{
    ngx_http_smx_status_t *entry = &lcf->statuses[status % NGX_HTTP_SMX_STATUSES];
    if (entry->code != status || status == 0) {
        char text[NGX_INT_T_LEN + 1];
        entry->code = status;
        entry->requests = smx_counter_with(
            family, SMX_VALUES(lcf->server, lcf->location, status_text(text, status)));
    }
    return entry->requests;
}

/* Anew each second: a series that there was no room for is made once there is. */
static void find_handles(ngx_http_smx_loc_conf_t *lcf, const ngx_http_smx_families_t *families)
{
    const char *const values[] = {lcf->server, lcf->location, NULL};
    lcf->duration = smx_histogram_with(families->duration, values);
    lcf->received = smx_counter_with(families->received, values);
    lcf->sent = smx_counter_with(families->sent, values);
    ngx_memzero(lcf->statuses, sizeof lcf->statuses);
    lcf->found = ngx_time();
}

/* A time that nginx has not come to measure is -1. */
static void record(smx_family family, const char *upstream, ngx_msec_t ms)
{
    if (ms != (ngx_msec_t)-1)
        smx_histogram_record(smx_histogram_with(family, SMX_VALUES(upstream)), ms);
}

/* One try of one server. */
static void count_try(const ngx_http_smx_families_t *families, const char *upstream,
                      const char *peer, const ngx_http_upstream_state_t *state)
{
    char text[NGX_INT_T_LEN + 1] = "-";
    if (state->status)
        status_text(text, state->status);
    smx_counter_inc(smx_counter_with(families->upstream_responses,
                                     SMX_VALUES(upstream, peer, (const char *)text)));
    record(families->upstream_connect, upstream, state->connect_time);
    record(families->upstream_header, upstream, state->header_time);
    record(families->upstream_response, upstream, state->response_time);
}

/* The name of an `upstream` block, or host and port where there is none. */
static const char *upstream_name(ngx_pool_t *pool, const ngx_http_upstream_srv_conf_t *conf)
{
    char *host = ngx_http_smx_text(pool, "", &conf->host);
    if (!conf->port || !host)
        return host;
    size_t size = strlen(host) + sizeof ":65535";
    u_char *name = ngx_pnalloc(pool, size);
    if (name)
        ngx_snprintf(name, size, "%s:%ui%Z", host, (ngx_uint_t)conf->port);
    return (char *)name;
}

/* All tries, of all upstreams that the request was led to. A state without a peer stands between
 * two of these; which upstream was tried before the last one is not known any more. */
static void count_upstream(ngx_http_request_t *r, const ngx_http_smx_families_t *families)
{
    const ngx_http_upstream_state_t *states = r->upstream_states->elts;
    ngx_uint_t n = r->upstream_states->nelts, last = n;
    while (last > 0 && states[last - 1].peer)
        last--;
    const ngx_http_upstream_srv_conf_t *conf = r->upstream ? r->upstream->upstream : NULL;
    const char *name = conf ? upstream_name(r->pool, conf) : "-";
    for (ngx_uint_t i = 0; i < n; i++)
        if (states[i].peer)
            count_try(families, i < last ? "-" : name,
                      ngx_http_smx_text(r->pool, "", states[i].peer), &states[i]);
}

#if (NGX_HTTP_CACHE)
static void count_cache(const ngx_http_request_t *r, const ngx_http_smx_loc_conf_t *lcf,
                        smx_family family)
{
    if (!r->upstream || !r->upstream->cache_status)
        return;
    const char *status = (const char *)ngx_http_cache_status[r->upstream->cache_status - 1].data;
    smx_counter_inc(smx_counter_with(family, SMX_VALUES(lcf->server, lcf->location, status)));
}
#endif

ngx_int_t ngx_http_smx_log(ngx_http_request_t *r)
{
    ngx_http_smx_loc_conf_t *lcf = ngx_http_get_module_loc_conf(r, ngx_http_smx_module);
    const ngx_http_smx_main_conf_t *mcf = ngx_http_get_module_main_conf(r, ngx_http_smx_module);
    if (!lcf->enable || !mcf->segment)
        return NGX_OK;
    const ngx_http_smx_families_t *families = &mcf->families;
    if (lcf->found != ngx_time())
        find_handles(lcf, families);
    smx_counter_inc(requests_of(lcf, families->requests, status_of(r)));
    smx_histogram_record(lcf->duration, duration_of(r));
    smx_counter_add(lcf->received, (uint64_t)r->request_length);
    smx_counter_add(lcf->sent, (uint64_t)r->connection->sent);
    if (r->upstream_states && r->upstream_states->nelts)
        count_upstream(r, families);
#if (NGX_HTTP_CACHE)
    count_cache(r, lcf, families->cache);
#endif
    if (lcf->customs)
        ngx_http_smx_custom_count(r, lcf->customs);
    return NGX_OK;
}
