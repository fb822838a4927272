/* SPDX-License-Identifier: MIT
 *
 * requests.c - counts a request where the access log writes its line, by the same rules: method and
 * virtual host are those of the request as it came, status and handler those of what it was
 * redirected to internally in the end.
 */
#include "config.h"
#include "hooks.h"

#include <apr_strings.h>
#include <http_core.h>
#include <http_protocol.h>
#include <string.h>

APLOG_USE_MODULE(smx);

/* A request as it came, and what it was redirected to in the end. */
struct request {
    const request_rec *first;
    const request_rec *last;
    const struct server_config *config;
    char status[4];
};

/* Methods that httpd does not know are one: clients invent them. */
static const char *method_of(const struct request *r)
{
    const char *method = r->first->method;
    return method && ap_method_number_of(method) != M_INVALID ? method : "other";
}

static const char *status_of(struct request *r)
{
    int status = r->last->status;
    if (status < 100 || status > 999)
        return "other";
    r->status[0] = (char)('0' + status / 100);
    r->status[1] = (char)('0' + status / 10 % 10);
    r->status[2] = (char)('0' + status % 10);
    r->status[3] = '\0';
    return r->status;
}

/* Files are served by the default handler, and have none set, or a media type in its place; so have
 * requests that were refused before. A handler with an address is a proxy. */
static const char *handler_of(const struct request *r)
{
    static const char proxy[] = "proxy:";
    const char *handler = r->last->handler;
    if (handler && strncmp(handler, proxy, strlen(proxy)) == 0)
        return "proxy-server";
    return handler && !strchr(handler, '/') ? handler : "default-handler";
}

/* The values of the chosen labels; the others are empty, which readers take for not there. */
static void describe(struct request *r, int chosen, const char *values[N_LABELS + 1])
{
    values[LABEL_VHOST] = chosen & 1 << LABEL_VHOST ? r->config->vhost : "";
    values[LABEL_METHOD] = chosen & 1 << LABEL_METHOD ? method_of(r) : "";
    values[LABEL_STATUS] = chosen & 1 << LABEL_STATUS ? status_of(r) : "";
    values[LABEL_HANDLER] = chosen & 1 << LABEL_HANDLER ? handler_of(r) : "";
    values[N_LABELS] = NULL;
}

static smx_counter find_counter(struct request *r)
{
    const char *values[N_LABELS + 1];
    describe(r, config_request_labels(r->config), values);
    smx_counter found = smx_counter_with(r->config->metrics->requests, values);
    if (found.base)
        return found;
    /* Only the handler's name can be wrong: a .htaccess file may have it in any encoding. */
    values[LABEL_HANDLER] = "other";
    return smx_counter_with(r->config->metrics->requests, values);
}

static struct histograms find_histograms(struct request *r)
{
    const char *values[N_LABELS + 1];
    describe(r, config_histogram_labels(r->config), values);
    struct histograms found = metrics_histograms(r->config->metrics, values);
    if (found.duration.base)
        return found;
    values[LABEL_HANDLER] = "other";
    return metrics_histograms(r->config->metrics, values);
}

static bool is_like(const struct remembered *last, const struct request *r, const char *method)
{
    return last->config == r->config && last->status == r->last->status && !r->last->handler &&
           strcmp(last->method, method) == 0;
}

/* What a request updates: what the last one did, if it is like that one. */
static void find(struct request *r, struct remembered *last)
{
    const char *method = r->first->method ? r->first->method : "";
    if (is_like(last, r, method))
        return;
    last->counter = find_counter(r);
    last->histograms = find_histograms(r);
    bool again = !r->last->handler && strlen(method) < sizeof last->method;
    last->config = again ? r->config : NULL;
    last->status = r->last->status;
    apr_cpystrn(last->method, method, sizeof last->method);
}

static void measure(const struct request *r, const struct histograms *to, uint64_t received)
{
    apr_time_t began = r->last->request_time; /* in microseconds; 0 if there was no request line */
    apr_time_t passed = began ? apr_time_now() - began : 0;
    smx_histogram_record(to->duration,
                         passed > 0 ? (uint64_t)passed * 1000 : 0); /* clocks are set */
    smx_histogram_record(to->request_size, received);
    /* What would be the size of the answer is there for HEAD, too. */
    smx_histogram_record(to->response_size,
                         r->last->sent_bodyct ? (uint64_t)r->last->bytes_sent : 0);
}

int request_begin(request_rec *r)
{
    const struct server_config *config = config_of(r->server);
    /* Internal redirects come here, too. */
    if (r->prev || !config->counts)
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
    struct connection stream = {0}; /* of HTTP/2: its bytes are not known */
    struct connection *connection = connection_of(r->connection);
    if (!connection)
        connection = &stream;
    uint64_t received = connection->received - connection->accounted;
    connection->accounted = connection->received;
    struct request request = {.first = r, .last = r, .config = config_of(r->server)};
    if (!request.config->counts)
        return DECLINED;
    while (request.last->next)
        request.last = request.last->next;
    find(&request, &connection->last);
    smx_counter_inc(connection->last.counter);
    measure(&request, &connection->last.histograms, received);
    return DECLINED;
}
