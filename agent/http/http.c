/* SPDX-License-Identifier: MIT
 *
 * http.c - libmicrohttpd without a thread of its own: one daemon for each listening socket, run by
 * the loop when its epoll descriptor is readable or its timeout is due. Only this file knows
 * libmicrohttpd, and it knows nothing of what is served.
 */
#include "agent/http/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* For each listening socket. A request's line and headers must fit the memory of a connection. */
enum { CONNECTIONS_MAX = 512, CONNECTION_MEMORY = 16384, IDLE_SECONDS = 30 };

/* At its limit, or when accept() finds no descriptor, the library stops listening until a run after
 * one in which a connection was closed; nothing else might ever come to cause it. */
enum { PAUSE_MS = 1000 };

struct listener {
    struct http *http;
    struct MHD_Daemon *daemon;
    struct loop_timer timer;
    int epoll_fd;
    bool quiet; /* accepts no more */
};

struct http {
    struct http_options options;
    struct listener listeners[HTTP_LISTEN_MAX];
    size_t n_listeners;
    unsigned in_flight; /* requests whose first line has come and whose answer is not all sent */
    bool draining;
    struct loop_timer drain_timer;
    void (*drained)(void *context);
    void *drained_context;
};

/* What a request's context points to: how far it is. */
static const char begun, headers_read;

static void log_from_library(void *context, const char *format, va_list arguments)
{
    const struct http *http = context;
    char text[256];
    vsnprintf(text, sizeof text, format, arguments);
    text[strcspn(text, "\r\n")] = 0;
    LOG_DEBUG(http->options.log, "libmicrohttpd", "text", text);
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
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, reply->content_type);
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (reply->allow)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, reply->allow);
    if (reply->policy)
        MHD_add_response_header(response, "Content-Security-Policy", reply->policy);
    if (http->draining)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
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
    enum MHD_Result result = MHD_queue_response(connection, reply->status, response);
    MHD_destroy_response(response);
    return result;
}

/* Called once when the headers are read, once for each piece of a request's body, which is thrown
 * away, and once at its end. The answer is queued at the end: queued on the first call, the library
 * closes the connection after it, and throughput falls to a fifth. */
static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **state)
{
    struct http *http = context;
    (void)version;
    (void)upload;
    if (*state != &headers_read) {
        *state = (void *)&headers_read;
        return MHD_YES;
    }
    if (*upload_size > 0) {
        *upload_size = 0;
        return MHD_YES;
    }
    struct http_request request = {
        .method = method,
        .path = url,
        .accept = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT)};
    struct http_reply reply = {0};
    http->options.answer(http->options.context, &request, &reply);
    return send_reply(http, connection, &reply);
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
    (void)connection;
    (void)code;
    if (*state)
        http->in_flight--;
    *state = NULL;
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
    struct listener *listener = context;
    struct http *http = listener->http;
    MHD_UNSIGNED_LONG_LONG ms;
    MHD_run(listener->daemon);
    if (MHD_get_timeout(listener->daemon, &ms) == MHD_NO || ms > PAUSE_MS)
        ms = PAUSE_MS;
    loop_timer_set(http->options.loop, &listener->timer, (uint64_t)ms * 1000000);
    if (http->draining && http->in_flight == 0)
        finish_drain(http);
}

int http_new(const struct http_options *options, struct http **out)
{
    struct http *http = calloc(1, sizeof *http);
    if (!http)
        return -ENOMEM;
    http->options = *options;
    http->drain_timer = (struct loop_timer){.fire = finish_drain, .context = http};
    *out = http;
    return 0;
}

static struct MHD_Daemon *start_daemon(struct http *http, int fd)
{
    return MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_ERROR_LOG | MHD_USE_ITC, 0, NULL, NULL, handle,
                            http, MHD_OPTION_EXTERNAL_LOGGER, log_from_library, http,
                            MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
                            (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
                            (unsigned)IDLE_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                            (size_t)CONNECTION_MEMORY, MHD_OPTION_URI_LOG_CALLBACK, request_begins,
                            http, MHD_OPTION_NOTIFY_COMPLETED, request_ends, http, MHD_OPTION_END);
}

/* Take the listening socket back, so that the library closes connections only. */
static void silence(struct listener *listener)
{
    if (!listener->quiet)
        MHD_quiesce_daemon(listener->daemon);
    listener->quiet = true;
}

static void stop(struct listener *listener)
{
    struct loop *loop = listener->http->options.loop;
    loop_unwatch(loop, listener->epoll_fd);
    loop_timer_cancel(loop, &listener->timer);
    silence(listener);
    MHD_stop_daemon(listener->daemon);
}

int http_listen(struct http *http, int fd)
{
    if (http->n_listeners == HTTP_LISTEN_MAX)
        return -ENOSPC;
    struct MHD_Daemon *daemon = start_daemon(http, fd);
    if (!daemon)
        return -ENOMEM;
    struct listener *listener = &http->listeners[http->n_listeners];
    *listener = (struct listener){.http = http, .daemon = daemon, .epoll_fd = -1};
    listener->timer = (struct loop_timer){.fire = run, .context = listener};
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD);
    int rc = -EIO;
    if (info) {
        listener->epoll_fd = info->listen_fd;
        rc = loop_watch(http->options.loop, listener->epoll_fd, run, listener);
    }
    if (rc < 0) {
        stop(listener);
        return rc;
    }
    http->n_listeners++;
    return 0;
}

/* What the kernel has accepted before is read before the sockets go: two runs, the first takes the
 * connections, the second their requests. */
void http_drain(struct http *http, uint64_t limit_ns, void (*drained)(void *context), void *context)
{
    if (http->draining)
        return;
    for (size_t i = 0; i < http->n_listeners; i++) {
        run(&http->listeners[i]);
        run(&http->listeners[i]);
        silence(&http->listeners[i]);
    }
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
    http->drained = NULL;
    loop_timer_cancel(http->options.loop, &http->drain_timer);
    for (size_t i = 0; i < http->n_listeners; i++)
        stop(&http->listeners[i]);
    free(http);
}
