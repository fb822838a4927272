/* SPDX-License-Identifier: MIT
 *
 * exchange.c - one request and its answer, between libmicrohttpd and the callback: told in our
 * terms, answered at once or later, counted while it is in flight.
 */
#include "agent/http/exchange.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* No query has more parameters: the library notes each in the connection's memory. */
enum { PARAMETERS_MAX = EXCHANGE_MEMORY / 32 };

/* What a request's context points to: how far it is, or its struct http_deferred. */
static const char begun, headers_read;

/* A request while it is answered; one whose answer comes later. */
struct http_exchange {
    struct http *http;
    struct MHD_Connection *connection;
    struct http_deferred *deferred;
    struct http_parameter parameters[PARAMETERS_MAX];
    size_t n_parameters;
};

struct http_deferred {
    struct http *http;
    struct MHD_Connection *connection;
    struct http_reply reply; /* when it is there */
    bool retry;              /* there is none: ask again */
};

static struct connection *place_of(struct MHD_Connection *connection)
{
    return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

static void unref_body(void *body)
{
    body_unref(body);
}

static struct MHD_Response *make_response(struct http *http, const struct http_reply *reply)
{
    const struct buffer *bytes = &reply->body->bytes;
    struct MHD_Response *response = MHD_create_response_from_buffer_with_free_callback_cls(
        bytes->length, bytes->at ? bytes->at : "", unref_body, reply->body);
    if (!response)
        return NULL;
    char seconds[16];
    snprintf(seconds, sizeof seconds, "%u", reply->retry_after_s);
    struct header headers[HEADERS_MAX + 7] = {
        {MHD_HTTP_HEADER_CONTENT_TYPE, reply->content_type},
        {MHD_HTTP_HEADER_ALLOW, reply->allow},
        {MHD_HTTP_HEADER_CONTENT_ENCODING, reply->encoding},
        {MHD_HTTP_HEADER_VARY, reply->vary},
        {MHD_HTTP_HEADER_WWW_AUTHENTICATE, reply->challenge},
        {MHD_HTTP_HEADER_RETRY_AFTER, reply->retry_after_s ? seconds : NULL},
        {MHD_HTTP_HEADER_CONNECTION, http->draining ? "close" : NULL},
    };
    size_t n = 7 + headers_list(http->options.headers, reply->policy, headers + 7);
    for (size_t i = 0; i < n; i++)
        if (headers[i].value)
            MHD_add_response_header(response, headers[i].name, headers[i].value);
    return response;
}

static enum MHD_Result send_reply(struct http *http, struct MHD_Connection *connection,
                                  struct http_reply *reply)
{
    if (!reply->body)
        http_say(reply, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory");
    if (!reply->body)
        return MHD_NO;
    struct MHD_Response *response = make_response(http, reply);
    if (!response) {
        body_unref(reply->body);
        return MHD_NO;
    }
    connections_answer(http->connections, place_of(connection), reply->body, loop_now_ns());
    enum MHD_Result result = MHD_queue_response(connection, reply->status, response);
    MHD_destroy_response(response);
    return result;
}

void http_say(struct http_reply *reply, unsigned status, const char *line)
{
    reply->status = status;
    reply->content_type = "text/plain; charset=utf-8";
    reply->body = body_new();
    if (!reply->body)
        return;
    buffer_puts(&reply->body->bytes, line);
    buffer_puts(&reply->body->bytes, "\n");
}

static const char *header_of(struct MHD_Connection *connection, const char *name)
{
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

static enum MHD_Result add_parameter(void *context, enum MHD_ValueKind kind, const char *name,
                                     const char *value)
{
    struct http_exchange *exchange = context;
    (void)kind;
    if (exchange->n_parameters == PARAMETERS_MAX)
        return MHD_NO;
    exchange->parameters[exchange->n_parameters++] = (struct http_parameter){name, value};
    return MHD_YES;
}

/* Suspended, a connection is not polled: that its client has gone is found out when it is
 * answered. */
struct http_deferred *http_defer(const struct http_request *request)
{
    struct http_exchange *exchange = request->exchange;
    struct http_deferred *deferred = calloc(1, sizeof *deferred);
    if (!deferred)
        return NULL;
    *deferred = (struct http_deferred){.http = exchange->http, .connection = exchange->connection};
    exchange->deferred = deferred;
    connections_begin(place_of(exchange->connection), loop_now_ns());
    MHD_suspend_connection(exchange->connection);
    return deferred;
}

/* The library calls exchange_handle() again in its next run. Without a thread it wakes nobody for
 * that. */
static void resume(struct http_deferred *deferred)
{
    struct http *http = deferred->http;
    MHD_resume_connection(deferred->connection);
    loop_timer_set(http->options.loop, &http->timer, 0);
}

void http_answer(struct http_deferred *deferred, const struct http_reply *reply)
{
    deferred->reply = *reply;
    resume(deferred);
}

void http_retry(struct http_deferred *deferred)
{
    deferred->retry = true;
    resume(deferred);
}

void http_peer_name(const struct http_request *request, char out[HTTP_PEER_NAME_SIZE])
{
    const struct sockaddr *address =
        MHD_get_connection_info(request->exchange->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)
            ->client_addr;
    const void *bytes = NULL;
    if (address->sa_family == AF_INET)
        bytes = &((const struct sockaddr_in *)address)->sin_addr;
    else if (address->sa_family == AF_INET6)
        bytes = &((const struct sockaddr_in6 *)address)->sin6_addr;
    if (!bytes || !inet_ntop(address->sa_family, bytes, out, HTTP_PEER_NAME_SIZE))
        snprintf(out, HTTP_PEER_NAME_SIZE, "a socket in the file system");
}

static enum MHD_Result answer(struct http *http, struct MHD_Connection *connection,
                              struct http_request *request, void **state)
{
    struct http_reply reply = {0};
    struct http_exchange exchange = {.http = http, .connection = connection};
    MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, add_parameter, &exchange);
    request->parameters = exchange.parameters;
    request->n_parameters = exchange.n_parameters;
    request->exchange = &exchange;
    http->options.answer(http->options.context, request, &reply);
    if (!exchange.deferred)
        return send_reply(http, connection, &reply);
    *state = exchange.deferred;
    return MHD_YES;
}

/* Its answer has come, or it is to be asked for once more. */
static enum MHD_Result take_up(struct http *http, struct MHD_Connection *connection,
                               struct http_request *request, void **state)
{
    struct http_deferred *deferred = *state;
    struct http_reply reply = deferred->reply;
    request->again = deferred->retry;
    free(deferred);
    *state = (void *)&headers_read;
    return request->again ? answer(http, connection, request, state)
                          : send_reply(http, connection, &reply);
}

static struct http_request describe(struct MHD_Connection *connection, const char *url,
                                    const char *method)
{
    const struct connection *place = place_of(connection);
    return (struct http_request){
        .method = method,
        .path = url,
        .peer = place->peer,
        .host = header_of(connection, MHD_HTTP_HEADER_HOST),
        .authorization = header_of(connection, MHD_HTTP_HEADER_AUTHORIZATION),
        .origin = header_of(connection, MHD_HTTP_HEADER_ORIGIN),
        .accept = header_of(connection, MHD_HTTP_HEADER_ACCEPT),
        .accept_encoding = header_of(connection, MHD_HTTP_HEADER_ACCEPT_ENCODING),
        .scrape_timeout = header_of(connection, "X-Prometheus-Scrape-Timeout-Seconds")};
}

/* Called once when the headers are read, once for each piece of a request's body, which is thrown
 * away, once at its end, and once more if the answer was deferred then. The answer is queued at the
 * end: queued on the first call, the library closes the connection after it, and throughput falls
 * to a fifth. */
enum MHD_Result exchange_handle(void *context, struct MHD_Connection *connection, const char *url,
                                const char *method, const char *version, const char *upload,
                                size_t *upload_size, void **state)
{
    struct http *http = context;
    (void)version;
    (void)upload;
    if (*state == NULL || *state == &begun) {
        *state = (void *)&headers_read;
        return MHD_YES;
    }
    if (*state == &headers_read && *upload_size > 0) {
        *upload_size = 0;
        return MHD_YES;
    }
    struct http_request request = describe(connection, url, method);
    return *state == &headers_read ? answer(http, connection, &request, state)
                                   : take_up(http, connection, &request, state);
}

/* A NUL, which the library would take for the end, becomes a byte that no path has: /metrics%00x is
 * not /metrics. */
size_t exchange_unescape(void *context, struct MHD_Connection *connection, char *text)
{
    (void)context;
    (void)connection;
    size_t length = MHD_http_unescape(text);
    for (char *nul = text; (nul = memchr(nul, 0, length - (size_t)(nul - text)));)
        *nul = '\xff';
    return length;
}

void *exchange_begins(void *context, const char *uri, struct MHD_Connection *connection)
{
    struct http *http = context;
    (void)uri;
    (void)connection;
    http->in_flight++;
    return (void *)&begun;
}

void exchange_ends(void *context, struct MHD_Connection *connection, void **state,
                   enum MHD_RequestTerminationCode code)
{
    struct http *http = context;
    (void)code;
    if (*state)
        http->in_flight--;
    if (*state && *state != &begun && *state != &headers_read) {
        struct http_deferred *deferred = *state; /* the connection ended first */
        body_unref(deferred->reply.body);
        free(deferred);
    }
    *state = NULL;
    connections_wait(http->connections, place_of(connection), loop_now_ns());
}
