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
#include <sys/time.h>

/* A request as it came, and what it was redirected to in the end. */
struct request {
    const request_rec *first;
    const request_rec *last;
    const struct server_config *config;
    char initial; /* of the method */
    bool plain;   /* read as a request, not redirected, without a handler */
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

/* Without a branch: among the many of httpd one is rarely foreseen. */
static bool is_like(const struct remembered *last, const struct request *r)
{
    return r->plain & (last->config == r->config) & (last->status == r->last->status) &
           (last->method_number == r->first->method_number) & (last->initial == r->initial);
}

static __attribute__((cold, noinline)) void find(struct request *r, struct remembered *last)
{
    last->config = r->plain ? r->config : NULL;
    last->status = r->last->status;
    last->method_number = r->first->method_number;
    last->initial = r->initial;
    last->counter = find_counter(r);
    last->histograms = find_histograms(r);
}

/* apr_time_now(), but not by way of apr, whose code for it is in no cache when a request ends: 5 %
 * of what this module costs. */
static apr_time_t now(void)
{
    struct timeval tv;
    (void)gettimeofday(&tv, NULL);
    return apr_time_make(tv.tv_sec, tv.tv_usec);
}

/* In microseconds. */
static uint64_t duration_of(const request_rec *r)
{
    /* It is 0 if there was no request line; and clocks are set. */
    apr_time_t passed = r->request_time ? now() - r->request_time : 0;
    return passed > 0 ? (uint64_t)passed : 0;
}

static void measure(const request_rec *r, const struct histograms *to, uint64_t received)
{
    smx_histogram_record(to->duration, duration_of(r) * 1000);
    smx_histogram_record(to->request_size, received);
    /* What would be the size of the answer is there for HEAD, too. */
    smx_histogram_record(to->response_size, r->sent_bodyct ? (uint64_t)r->bytes_sent : 0);
}

static void count(request_rec *first, bool begun, struct connection *connection)
{
    const struct server_config *config = config_of(first->server);
    uint64_t received = connection->request_size;
    connection->request_size = 0;
    if (!config->counts)
        return;
    struct request r = {.first = first, .last = first, .config = config};
    r.initial = first->method ? first->method[0] : '\0';
    while (r.last->next)
        r.last = r.last->next;
    r.plain = begun & !r.last->handler & (r.first == r.last);
    if (!is_like(&connection->last, &r))
        find(&r, &connection->last);
    smx_counter_inc(connection->last.counter);
    measure(r.last, &connection->last.histograms, received);
}

/* Of HTTP/2: its bytes are not known. */
static void count_stream(request_rec *r, bool begun)
{
    struct connection stream = {0};
    count(r, begun, &stream);
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
    struct connection *connection = connection_of(r->connection);
    if (connection) {
        connection_count_bytes(connection);
        count(r, begun != NULL, connection);
    } else {
        count_stream(r, begun != NULL);
    }
    if (begun)
        smx_gauge_dec(begun->in_flight);
    return DECLINED;
}
