/* SPDX-License-Identifier: MIT
 *
 * routes.c - the table of paths. A path decides before the method does: an unknown one is 404 for
 * every method, a known one 405 for all but GET and HEAD.
 */
#include "agent/http/routes.h"
#include "agent/http/health.h"
#include "agent/http/landing.h"

#include <string.h>

#define PLAIN "text/plain; charset=utf-8"

typedef void page_fn(const struct routes *routes, const struct http_request *request,
                     struct http_reply *reply);

static void write_plain(struct http_reply *reply, unsigned status, const char *text)
{
    reply->status = status;
    reply->content_type = PLAIN;
    reply->body = body_new();
    if (!reply->body)
        return;
    buffer_puts(&reply->body->bytes, text);
    buffer_puts(&reply->body->bytes, "\n");
}

static void write_page(const struct routes *routes, struct http_reply *reply,
                       int (*encode)(const struct status *status, struct buffer *out))
{
    struct status status;
    routes->status(routes->context, &status);
    reply->status = 200;
    reply->body = body_new();
    if (reply->body && encode(&status, &reply->body->bytes) < 0) {
        body_unref(reply->body);
        reply->body = NULL;
    }
}

static void metrics(const struct routes *routes, const struct http_request *request,
                    struct http_reply *reply)
{
    struct accepted accepted = accept_choose(request->accept);
    struct codings codings = accept_codings(request->accept_encoding);
    if (!codings.identity && !codings.gzip)
        write_plain(reply, 406, "the page can be had as it is, or as gzip");
    else
        routes->scrape(routes->context, &accepted, codings, request, reply);
}

static void health(const struct routes *routes, const struct http_request *request,
                   struct http_reply *reply)
{
    (void)request;
    reply->content_type = "application/json";
    write_page(routes, reply, health_encode);
}

/* That the loop turned and came here is the answer. */
static void live(const struct routes *routes, const struct http_request *request,
                 struct http_reply *reply)
{
    (void)routes;
    (void)request;
    write_plain(reply, 200, "live");
}

static void ready(const struct routes *routes, const struct http_request *request,
                  struct http_reply *reply)
{
    struct status status;
    const char *why;
    (void)request;
    routes->status(routes->context, &status);
    if (health_ready(&status, &why))
        write_plain(reply, 200, "ready");
    else
        write_plain(reply, 503, why);
}

static void landing(const struct routes *routes, const struct http_request *request,
                    struct http_reply *reply)
{
    (void)request;
    reply->content_type = "text/html; charset=utf-8";
    reply->policy = LANDING_POLICY;
    write_page(routes, reply, landing_encode);
}

static const struct {
    const char *path;
    page_fn *write;
} pages[] = {
    {"/metrics", metrics}, {"/health", health}, {"/health/live", live}, {"/health/ready", ready},
    {"/-/healthy", live},  {"/-/ready", ready}, {"/", landing},
};

static page_fn *find(const char *path)
{
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++)
        if (strcmp(pages[i].path, path) == 0)
            return pages[i].write;
    return NULL;
}

void routes_answer(void *routes, const struct http_request *request, struct http_reply *reply)
{
    page_fn *write = find(request->path);
    if (!write) {
        write_plain(reply, 404, "not found");
    } else if (strcmp(request->method, "GET") != 0 && strcmp(request->method, "HEAD") != 0) {
        write_plain(reply, 405, "only GET and HEAD");
        reply->allow = "GET, HEAD";
    } else {
        write(routes, request, reply);
    }
}
