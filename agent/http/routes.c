/* SPDX-License-Identifier: MIT
 *
 * routes.c - the table of paths. A path decides before the method does: an unknown one is 404 for
 * every method, a known one 405 for all but its own.
 */
#include "agent/http/routes.h"
#include "agent/http/applications.h"
#include "agent/http/health.h"
#include "agent/http/landing.h"

#include <string.h>

/* An application's name and its instance's in a path. */
enum { PROBED_MAX = 160 };

typedef void page_fn(const struct routes *routes, const struct http_request *request,
                     struct http_reply *reply);

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
        http_say(reply, 406, "the page can be had as it is, or as gzip");
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
    http_say(reply, 200, "live");
}

static void ready(const struct routes *routes, const struct http_request *request,
                  struct http_reply *reply)
{
    struct status status;
    const char *why;
    (void)request;
    routes->status(routes->context, &status);
    if (health_ready(&status, &why))
        http_say(reply, 200, "ready");
    else
        http_say(reply, 503, why);
}

/* /health/<app>/ready and /live: the question behind the name, -1 if it is no such path. */
static int question_of(const char *path, char name[PROBED_MAX])
{
    static const char prefix[] = "/health/";
    const char *begin = path + sizeof prefix - 1, *end = strrchr(path, '/');
    if (strncmp(path, prefix, sizeof prefix - 1) != 0 || end <= begin || end - begin >= PROBED_MAX)
        return -1;
    memcpy(name, begin, (size_t)(end - begin));
    name[end - begin] = 0;
    return strcmp(end, "/ready") == 0  ? APPLICATION_READY
           : strcmp(end, "/live") == 0 ? APPLICATION_LIVE
                                       : -1;
}

/* Of all that answers it alone tells by its status how an application is. */
static void probe(const struct routes *routes, const struct http_request *request,
                  struct http_reply *reply)
{
    struct status status;
    char name[PROBED_MAX];
    int question = question_of(request->path, name);
    routes->status(routes->context, &status);
    reply->content_type = "application/json";
    reply->body = body_new();
    int code = reply->body
                   ? applications_probe(status.health, name, (enum application_question)question,
                                        &reply->body->bytes)
                   : 0;
    if (code > 0) {
        reply->status = (unsigned)code;
        return;
    }
    body_unref(reply->body);
    reply->body = NULL;
}

static void landing(const struct routes *routes, const struct http_request *request,
                    struct http_reply *reply)
{
    (void)request;
    reply->content_type = "text/html; charset=utf-8";
    reply->policy = LANDING_POLICY;
    write_page(routes, reply, landing_encode);
}

/* A page in somebody's browser may send requests, also to this machine's loopback; what it sends
 * says where it is from. */
static void reload(const struct routes *routes, const struct http_request *request,
                   struct http_reply *reply)
{
    char why[ROUTES_WHY_SIZE];
    if (!routes->reload)
        http_say(reply, 403, "not enabled: start the agent with --web.enable-lifecycle");
    else if (request->origin)
        http_say(reply, 403, "not for pages in a browser");
    else if (routes->reload(routes->context, why) < 0)
        http_say(reply, 400, why);
    else
        http_say(reply, 200, "reloaded");
}

/* What may be asked for by which methods. */
enum { LOOK, DO };
static const struct {
    const char *names[2], *allow, *refusal;
} methods[] = {
    [LOOK] = {{"GET", "HEAD"}, "GET, HEAD", "only GET and HEAD"},
    [DO] = {{"POST", "PUT"}, "POST, PUT", "only POST and PUT"},
};

static const struct page {
    const char *path;
    int method;
    page_fn *write;
} pages[] = {
    {"/metrics", LOOK, metrics},    {"/health", LOOK, health},  {"/health/live", LOOK, live},
    {"/health/ready", LOOK, ready}, {"/-/healthy", LOOK, live}, {"/-/ready", LOOK, ready},
    {"/-/reload", DO, reload},      {"/", LOOK, landing},
};

/* /health/APP/ready and live. */
static const struct page probes = {"/health/", LOOK, probe};

static const struct page *find(const char *path)
{
    char name[PROBED_MAX];
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++)
        if (strcmp(pages[i].path, path) == 0)
            return &pages[i];
    return question_of(path, name) >= 0 ? &probes : NULL;
}

static bool takes(int method, const char *name)
{
    return strcmp(name, methods[method].names[0]) == 0 ||
           strcmp(name, methods[method].names[1]) == 0;
}

void routes_answer(void *routes, const struct http_request *request, struct http_reply *reply)
{
    const struct page *page = find(request->path);
    if (!page) {
        http_say(reply, 404, "not found");
    } else if (!takes(page->method, request->method)) {
        http_say(reply, 405, methods[page->method].refusal);
        reply->allow = methods[page->method].allow;
    } else {
        page->write(routes, request, reply);
    }
}

/* All that is below /health, but not /health itself, which tells more than yes or no. */
bool routes_is_probe(const char *path)
{
    return strncmp(path, "/health/", 8) == 0 || strcmp(path, "/-/healthy") == 0 ||
           strcmp(path, "/-/ready") == 0;
}

void routes_answer_probe(void *routes, const struct http_request *request, struct http_reply *reply)
{
    if (routes_is_probe(request->path))
        routes_answer(routes, request, reply);
    else
        http_say(reply, 404, "only probes are answered here");
}
