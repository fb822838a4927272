/* SPDX-License-Identifier: MIT
 *
 * requests.c - counts a request where the access log writes its line, by the same rules: method and
 * virtual host are those of the request as it came, status and handler those of what it was
 * redirected to internally in the end.
 */
#include "config.h"
#include "hooks.h"

#include <http_core.h>
#include <http_protocol.h>
#include <string.h>

APLOG_USE_MODULE(smx);

/* What a request's labels say; NULL ends it. */
struct values {
    const char *at[N_LABELS + 1];
    char status[4];
};

/* Methods that httpd does not know are one: clients invent them. */
static const char *method_of(const request_rec *r)
{
    return r->method && ap_method_number_of(r->method) != M_INVALID ? r->method : "other";
}

static const char *status_of(const request_rec *r, char text[4])
{
    if (r->status < 100 || r->status > 999)
        return "other";
    text[0] = (char)('0' + r->status / 100);
    text[1] = (char)('0' + r->status / 10 % 10);
    text[2] = (char)('0' + r->status % 10);
    text[3] = '\0';
    return text;
}

/* Files are served by the default handler, and have none set, or a media type in its place; so have
 * requests that were refused before. A handler with an address is a proxy. */
static const char *handler_of(const request_rec *r)
{
    static const char proxy[] = "proxy:";
    if (r->handler && strncmp(r->handler, proxy, strlen(proxy)) == 0)
        return "proxy-server";
    return r->handler && !strchr(r->handler, '/') ? r->handler : "default-handler";
}

static void describe(const request_rec *r, const char *vhost, struct values *out)
{
    const request_rec *last = r;
    while (last->next)
        last = last->next;
    out->at[LABEL_VHOST] = vhost;
    out->at[LABEL_METHOD] = method_of(r);
    out->at[LABEL_STATUS] = status_of(last, out->status);
    out->at[LABEL_HANDLER] = handler_of(last);
    out->at[N_LABELS] = NULL;
}

/* What was not chosen is empty, which readers take for a label that is not there. */
static void choose(const struct values *all, int chosen, const char *out[N_LABELS + 1])
{
    for (int label = 0; label < N_LABELS; label++)
        out[label] = chosen & 1 << label ? all->at[label] : "";
    out[N_LABELS] = NULL;
}

static void count(const struct metrics *metrics, const char *values[])
{
    smx_counter counter = smx_counter_with(metrics->requests, values);
    /* Only the handler's name can be none: it may come from a .htaccess file, in any encoding. */
    if (!counter.base) {
        values[LABEL_HANDLER] = "other";
        counter = smx_counter_with(metrics->requests, values);
    }
    smx_counter_inc(counter);
}

static void measure(const request_rec *r, const struct metrics *metrics, uint64_t received,
                    const char *values[])
{
    smx_histogram duration = smx_histogram_with(metrics->duration, values);
    if (!duration.base) {
        values[LABEL_HANDLER] = "other";
        duration = smx_histogram_with(metrics->duration, values);
    }
    apr_time_t passed = apr_time_now() - r->request_time; /* in microseconds; clocks may be set */
    smx_histogram_record(duration, r->request_time && passed > 0 ? (uint64_t)passed * 1000 : 0);
    smx_histogram_record(smx_histogram_with(metrics->request_size, values), received);
    smx_histogram_record(smx_histogram_with(metrics->response_size, values),
                         r->sent_bodyct ? (uint64_t)r->bytes_sent : 0); /* not so for HEAD */
}

int request_begin(request_rec *r)
{
    const struct server_config *config = config_of(r->server);
    /* Internal redirects come here, too. */
    if (r->prev || !config_is_on(config))
        return DECLINED;
    ap_set_module_config(r->request_config, &smx_module, (void *)(uintptr_t)config);
    smx_gauge_inc(config->in_flight);
    return DECLINED;
}

int request_end(request_rec *r)
{
    /* None of a request that could not be read as one. */
    const struct server_config *begun = ap_get_module_config(r->request_config, &smx_module);
    if (begun)
        smx_gauge_dec(begun->in_flight);
    struct connection *connection = connection_of(r->connection);
    uint64_t received = 0;
    if (connection) {
        received = connection->received - connection->accounted;
        connection->accounted = connection->received;
    }
    const struct server_config *config = config_of(r->server);
    if (!config_is_on(config) || !config->metrics->segment)
        return DECLINED;
    struct values all;
    const char *chosen[N_LABELS + 1];
    describe(r, config->vhost, &all);
    choose(&all, config_request_labels(config), chosen);
    count(config->metrics, chosen);
    const request_rec *last = r;
    while (last->next)
        last = last->next;
    choose(&all, config_histogram_labels(config), chosen);
    measure(last, config->metrics, received, chosen);
    return DECLINED;
}
