/* SPDX-License-Identifier: MIT
 *
 * connection.c - one client connection of a worker: requests in, answers out, and the place where
 * the metrics of a request are taken. Requests may be pipelined; they are answered in order.
 */
#include "connection.h"

#include <smx/scope.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void connection_init(struct connection *c, int fd)
{
    c->fd = fd;
    c->last = c->answered = false;
    c->in_used = c->out_used = c->out_sent = 0;
}

void connection_fini(struct connection *c)
{
    close(c->fd);
    c->fd = -1;
}

bool connection_idle(const struct connection *c)
{
    return c->answered && c->in_used == 0 && c->out_used == 0;
}

/* The part of a request that counts as in flight, and whose time is taken. */
static enum http_status answer(struct connection *c, const struct service *service,
                               const struct http_request *request, enum route route)
{
    SMX_TIME_SCOPE(service->metrics->duration[route]);
    SMX_ACTIVE_SCOPE(service->metrics->in_flight);
    char body[ROUTE_BODY_SIZE];
    struct http_answer reply = {
        .status = route_answer(route, request->method, body),
        .body = body,
        .head = request->method == HTTP_HEAD,
        .keep_alive = !c->last,
    };
    reply.body_length = strlen(body);
    c->out_used = http_format(c->out, sizeof c->out, &reply);
    return reply.status;
}

/* The tally comes last, so that a SIGKILL anywhere costs it one request and no more. */
static void count(const struct connection *c, const struct service *service,
                  enum http_method method, enum route route, enum http_status status)
{
    metrics_count(service->metrics, method, route, status, c->out_used);
    tally_count(service->life, method, route, status, c->out_used);
}

static void reject(struct connection *c, const struct service *service)
{
    static const char body[] = "This is not an HTTP/1.1 request.\n";
    c->last = true;
    c->out_used = http_format(
        c->out, sizeof c->out,
        &(struct http_answer){.status = HTTP_400, .body = body, .body_length = sizeof body - 1});
    count(c, service, HTTP_OTHER, ROUTE_OTHER, HTTP_400);
}

/* Answer the request at the front of the input. Returns: whether there was one. */
static bool answer_next(struct connection *c, const struct service *service)
{
    struct http_request request;
    int used = http_parse(c->in, c->in_used, &request);
    if (used == 0 && c->in_used < sizeof c->in)
        return false;
    if (used <= 0) {
        reject(c, service);
        return true;
    }
    c->last = !request.keep_alive || service->draining;
    c->answered = true;
    enum route route = route_find(request.path, request.path_length);
    enum http_status status = answer(c, service, &request, route);
    count(c, service, request.method, route, status);
    c->in_used -= (size_t)used;
    memmove(c->in, c->in + used, c->in_used);
    return true;
}

/* Send what is left of the answer. Returns: false when the client is gone. */
static bool flush(struct connection *c)
{
    while (c->out_sent < c->out_used) {
        ssize_t n = send(c->fd, c->out + c->out_sent, c->out_used - c->out_sent, MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN;
        c->out_sent += (size_t)n;
    }
    c->out_used = c->out_sent = 0;
    return true;
}

/* Say that no more comes, and wait for the client to close. Closing with input unread would reset
 * the connection, and could take the answer from the client before it has read it. */
static bool linger(struct connection *c)
{
    ssize_t n;
    shutdown(c->fd, SHUT_WR);
    do
        n = recv(c->fd, c->in, sizeof c->in, 0);
    while (n > 0);
    return n < 0 && errno == EAGAIN;
}

bool connection_run(struct connection *c, const struct service *service)
{
    for (;;) {
        if (!flush(c))
            return false;
        if (c->out_used)
            return true;
        if (c->last)
            return linger(c);
        if (answer_next(c, service))
            continue;
        ssize_t n = recv(c->fd, c->in + c->in_used, sizeof c->in - c->in_used, 0);
        if (n <= 0)
            return n < 0 && errno == EAGAIN;
        c->in_used += (size_t)n;
    }
}
