/* SPDX-License-Identifier: MIT
 *
 * http.c - libmicrohttpd without a thread and a listening socket of its own: it is handed accepted
 * connections, and run by the loop when its epoll descriptor is readable. Only this file and
 * exchange.c, which has what happens to one request, know libmicrohttpd.
 *
 * TLS is the library's business too, but for the keys: a session is given ours when it is new.
 *
 * Accepting and limits are not left to the library: where descriptors run out it polls a readable
 * socket without end, at its limit it accepts nobody, and it lets a peer that sends or takes a byte
 * now and then stay for ever.
 */
#include "agent/http/http.h"
#include "agent/http/exchange.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void log_from_library(void *context, const char *format, va_list arguments)
{
    const struct http *http = context;
    char text[256];
    vsnprintf(text, sizeof text, format, arguments);
    text[strcspn(text, "\r\n")] = 0;
    LOG_DEBUG(http->options.log, "libmicrohttpd", "text", text);
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

static void enter(void *context, int fd, enum listen_scope scope, const struct sockaddr *address,
                  socklen_t length)
{
    struct http *http = context;
    const struct peer peer = peer_of(address, scope);
    if (http->options.admit && !http->options.admit(http->options.context, &peer)) {
        close(fd);
        return;
    }
    http->entering = connections_add(http->connections, fd, &peer, loop_now_ns());
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
        flags, 0, NULL, NULL, exchange_handle, http, MHD_OPTION_EXTERNAL_LOGGER, log_from_library,
        http, MHD_OPTION_ARRAY, http->tls ? of_tls : of_tls + 1, MHD_OPTION_CONNECTION_LIMIT, most,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)EXCHANGE_MEMORY, MHD_OPTION_UNESCAPE_CALLBACK,
        exchange_unescape, http, MHD_OPTION_URI_LOG_CALLBACK, exchange_begins, http,
        MHD_OPTION_NOTIFY_COMPLETED, exchange_ends, http, MHD_OPTION_NOTIFY_CONNECTION,
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

void http_use_headers(struct http *http, const struct headers *headers)
{
    http->options.headers = headers;
}

void http_use_tls(struct http *http, struct tls *tls)
{
    tls_ref(tls);
    tls_unref(http->tls);
    http->tls = tls;
}

int http_listen(struct http *http, const struct listen_socket *socket)
{
    return intake_open(&http->intake, socket);
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
