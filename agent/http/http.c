/* SPDX-License-Identifier: MIT
 *
 * http.c - libmicrohttpd without a thread and a listening socket of its own: it is handed accepted
 * connections, and run by the loop when its epoll descriptor is readable. Only this file knows
 * libmicrohttpd, and it knows nothing of what is served.
 *
 * TLS is the library's business too, but for the keys: a session is given ours when it is new.
 *
 * Accepting and limits are not left to the library: where descriptors run out it polls a readable
 * socket without end, at its limit it accepts nobody, and it lets a peer that sends or takes a byte
 * now and then stay for ever.
 */
#include "agent/http/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of a connection: a request's line and headers must fit. */
enum { CONNECTION_MEMORY = 16384 };

struct http {
    struct http_options options;
    struct MHD_Daemon *daemon;
    struct tls *tls;                     /* for those who come now; NULL: plain */
    uint64_t handshakes[TLS_AGREED + 1]; /* by how far they came */
    int epoll_fd;
    struct loop_timer timer; /* what the library still has to do */
    struct intake intake;
    struct connections *connections;
    struct connection *entering; /* while the library is handed it */
    struct loop_timer expiry;
    bool exhausted;     /* said that descriptors ran out */
    unsigned in_flight; /* requests whose first line has come and whose answer is not all sent */
    bool draining;
    struct loop_timer drain_timer;
    void (*drained)(void *context);
    void *drained_context;
};

/* No query has more parameters: the library notes each in the connection's memory. */
enum { PARAMETERS_MAX = CONNECTION_MEMORY / 32 };

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
};

static void log_from_library(void *context, const char *format, va_list arguments)
{
    const struct http *http = context;
    char text[256];
    vsnprintf(text, sizeof text, format, arguments);
    text[strcspn(text, "\r\n")] = 0;
    LOG_DEBUG(http->options.log, "libmicrohttpd", "text", text);
}

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
    const struct {
        const char *name, *value;
    } headers[] = {
        {MHD_HTTP_HEADER_CONTENT_TYPE, reply->content_type},
        {"X-Content-Type-Options", "nosniff"},
        {MHD_HTTP_HEADER_ALLOW, reply->allow},
        {"Content-Security-Policy", reply->policy},
        {MHD_HTTP_HEADER_CONTENT_ENCODING, reply->encoding},
        {MHD_HTTP_HEADER_VARY, reply->vary},
        {MHD_HTTP_HEADER_CONNECTION, http->draining ? "close" : NULL},
    };
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
        if (headers[i].value)
            MHD_add_response_header(response, headers[i].name, headers[i].value);
    return response;
}

static enum MHD_Result send_reply(struct http *http, struct MHD_Connection *connection,
                                  struct http_reply *reply)
{
    if (!reply->body) {
        reply->status = MHD_HTTP_SERVICE_UNAVAILABLE;
        reply->content_type = "text/plain; charset=utf-8";
        reply->body = body_new();
        if (!reply->body)
            return MHD_NO;
        buffer_puts(&reply->body->bytes, "out of memory\n");
    }
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

/* The library calls handle() again in its next run. Without a thread it wakes nobody for that. */
void http_answer(struct http_deferred *deferred, const struct http_reply *reply)
{
    struct http *http = deferred->http;
    deferred->reply = *reply;
    MHD_resume_connection(deferred->connection);
    loop_timer_set(http->options.loop, &http->timer, 0);
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

static enum MHD_Result answer_deferred(struct http *http, struct MHD_Connection *connection,
                                       void **state)
{
    struct http_deferred *deferred = *state;
    struct http_reply reply = deferred->reply;
    free(deferred);
    *state = (void *)&headers_read;
    return send_reply(http, connection, &reply);
}

/* Called once when the headers are read, once for each piece of a request's body, which is thrown
 * away, once at its end, and once more if the answer was deferred then. The answer is queued at the
 * end: queued on the first call, the library closes the connection after it, and throughput falls
 * to a fifth. */
static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *url,
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
    if (*state != &headers_read)
        return answer_deferred(http, connection, state);
    if (*upload_size > 0) {
        *upload_size = 0;
        return MHD_YES;
    }
    struct http_request request = {
        .method = method,
        .path = url,
        .accept = header_of(connection, MHD_HTTP_HEADER_ACCEPT),
        .accept_encoding = header_of(connection, MHD_HTTP_HEADER_ACCEPT_ENCODING),
        .scrape_timeout = header_of(connection, "X-Prometheus-Scrape-Timeout-Seconds")};
    return answer(http, connection, &request, state);
}

/* A NUL, which the library would take for the end, becomes a byte that no path has: /metrics%00x is
 * not /metrics. */
static size_t unescape(void *context, struct MHD_Connection *connection, char *text)
{
    (void)context;
    (void)connection;
    size_t length = MHD_http_unescape(text);
    for (char *nul = text; (nul = memchr(nul, 0, length - (size_t)(nul - text)));)
        *nul = '\xff';
    return length;
}

static void *request_begins(void *context, const char *uri, struct MHD_Connection *connection)
{
    struct http *http = context;
    (void)uri;
    (void)connection;
    http->in_flight++;
    return (void *)&begun;
}

static void request_ends(void *context, struct MHD_Connection *connection, void **state,
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

/* A session that has not got all that it needs has the library's certificate, which is none: it
 * will not agree with anybody. */
static void begin_tls(struct http *http, struct MHD_Connection *connection,
                      struct connection *place)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    if (http->tls && info)
        tls_begin(http->tls, info->tls_session, &place->handshake);
}

/* The session has gone before this, the descriptor of the connection is closed after it. */
static void connection_changes(void *context, struct MHD_Connection *connection, void **place,
                               enum MHD_ConnectionNotificationCode code)
{
    struct http *http = context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        *place = http->entering;
        begin_tls(http, connection, http->entering);
        return;
    }
    if (http->tls)
        http->handshakes[tls_end(&((struct connection *)*place)->handshake)]++;
    connections_remove(http->connections, *place);
    if (*place == http->entering)
        http->entering = NULL;
}

static void finish_drain(void *context)
{
    struct http *http = context;
    void (*drained)(void *) = http->drained;
    loop_timer_cancel(http->options.loop, &http->drain_timer);
    http->drained = NULL;
    if (drained)
        drained(http->drained_context);
}

static void run(void *context)
{
    struct http *http = context;
    MHD_UNSIGNED_LONG_LONG ms;
    MHD_run(http->daemon);
    if (MHD_get_timeout(http->daemon, &ms) == MHD_YES)
        loop_timer_set(http->options.loop, &http->timer, (uint64_t)ms * 1000000);
    else
        loop_timer_cancel(http->options.loop, &http->timer);
    if (http->draining && http->in_flight == 0)
        finish_drain(http);
}

static void expire(void *context)
{
    struct http *http = context;
    uint64_t now = loop_now_ns(), next = connections_expire(http->connections, now);
    if (next != UINT64_MAX)
        loop_timer_set(http->options.loop, &http->expiry, next - now);
}

static void enter(void *context, int fd, const struct sockaddr *address, socklen_t length)
{
    struct http *http = context;
    http->entering = connections_add(http->connections, fd, address, loop_now_ns());
    if (!http->entering) {
        close(fd);
        return;
    }
    if (MHD_add_connection(http->daemon, fd, address, length) != MHD_YES && http->entering)
        connections_remove(http->connections, http->entering);
    if (!http->expiry.set)
        expire(http);
}

static bool exhausted(void *context)
{
    struct http *http = context;
    bool yielded = connections_yield(http->connections);
    if (!yielded && !http->exhausted)
        LOG_WARN(http->options.log, "cannot accept connections: no descriptor is left", "do",
                 "raise the limit of open files (LimitNOFILE=, ulimit -n)");
    http->exhausted = http->exhausted || !yielded;
    return yielded;
}

static int start_daemon(struct http *http)
{
    unsigned most = (unsigned)http->options.limits.connections + CONNECTIONS_SLACK;
    unsigned flags = MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ERROR_LOG |
                     MHD_ALLOW_SUSPEND_RESUME | (http->tls ? MHD_USE_TLS : 0);
    const struct MHD_OptionItem of_tls[] = {
        {MHD_OPTION_HTTPS_CERT_CALLBACK, 0, tls_no_certificate()}, {MHD_OPTION_END, 0, NULL}};
    http->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, handle, http, MHD_OPTION_EXTERNAL_LOGGER, log_from_library, http,
        MHD_OPTION_ARRAY, http->tls ? of_tls : of_tls + 1, MHD_OPTION_CONNECTION_LIMIT, most,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY, MHD_OPTION_UNESCAPE_CALLBACK,
        unescape, http, MHD_OPTION_URI_LOG_CALLBACK, request_begins, http,
        MHD_OPTION_NOTIFY_COMPLETED, request_ends, http, MHD_OPTION_NOTIFY_CONNECTION,
        connection_changes, http, MHD_OPTION_END);
    if (!http->daemon)
        return -ENOMEM;
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (!info)
        return -EIO;
    http->epoll_fd = info->listen_fd;
    return loop_watch(http->options.loop, http->epoll_fd, run, http);
}

/* Few enough that none of those accepted in a turn goes for another of them, before its request is
 * looked at. */
static size_t batch(size_t connections)
{
    size_t n = connections / 4;
    return n < 1 ? 1 : n > CONNECTIONS_SLACK ? CONNECTIONS_SLACK : n;
}

int http_new(const struct http_options *options, struct http **out)
{
    struct http *http = calloc(1, sizeof *http);
    if (!http)
        return -ENOMEM;
    http->options = *options;
    http->tls = tls_ref(options->tls);
    http->epoll_fd = -1;
    http->timer = (struct loop_timer){.fire = run, .context = http};
    http->expiry = (struct loop_timer){.fire = expire, .context = http};
    http->drain_timer = (struct loop_timer){.fire = finish_drain, .context = http};
    http->intake.options = (struct intake_options){.loop = options->loop,
                                                   .batch = batch(options->limits.connections),
                                                   .accepted = enter,
                                                   .exhausted = exhausted,
                                                   .done = run,
                                                   .context = http};
    int rc = connections_new(&options->limits, &http->connections);
    if (rc == 0)
        rc = start_daemon(http);
    if (rc < 0) {
        http_free(http);
        return rc;
    }
    *out = http;
    return 0;
}

void http_use_tls(struct http *http, struct tls *tls)
{
    tls_ref(tls);
    tls_unref(http->tls);
    http->tls = tls;
}

int http_listen(struct http *http, int fd)
{
    return intake_open(&http->intake, fd);
}

struct self_connections http_connections(const struct http *http)
{
    return connections_count(http->connections);
}

struct http_handshakes http_handshakes(const struct http *http)
{
    return (struct http_handshakes){.silent = http->handshakes[TLS_SILENT],
                                    .refused = http->handshakes[TLS_REFUSED],
                                    .failed = http->handshakes[TLS_GREETED]};
}

bool http_strained(const struct http *http)
{
    return connections_strained(http->connections);
}

/* What the kernel has accepted before is taken, and its requests read, before the sockets go. */
void http_drain(struct http *http, uint64_t limit_ns, void (*drained)(void *context), void *context)
{
    if (http->draining)
        return;
    intake_drain(&http->intake);
    intake_close(&http->intake);
    http->draining = true;
    http->drained = drained;
    http->drained_context = context;
    if (http->in_flight == 0)
        finish_drain(http);
    else
        loop_timer_set(http->options.loop, &http->drain_timer, limit_ns);
}

void http_free(struct http *http)
{
    if (!http)
        return;
    struct loop *loop = http->options.loop;
    http->drained = NULL;
    intake_close(&http->intake);
    loop_timer_cancel(loop, &http->drain_timer);
    if (http->daemon) {
        loop_unwatch(loop, http->epoll_fd);
        MHD_stop_daemon(http->daemon);
    }
    loop_timer_cancel(loop, &http->timer);
    loop_timer_cancel(loop, &http->expiry);
    connections_free(http->connections);
    tls_unref(http->tls);
    free(http);
}
