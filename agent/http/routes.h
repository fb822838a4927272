/* SPDX-License-Identifier: MIT
 *
 * routes.h - which path gives what. Knows the pages, not who serves them nor what they are about.
 */
#ifndef SMX_AGENT_ROUTES_H
#define SMX_AGENT_ROUTES_H

#include "agent/http/accept.h"
#include "agent/http/http.h"
#include "agent/http/status.h"

enum { ROUTES_WHY_SIZE = 1024 };

/* Where the pages get their content. */
struct routes {
    /* Answer a scrape, at once or deferred; the codings allow one at least. */
    void (*scrape)(void *context, const struct accepted *accepted, struct codings codings,
                   const struct http_request *request, struct http_reply *reply);
    /* Read the configuration again. Returns: 0, or a negative errno and why. NULL: whoever asks for
     * it is refused. */
    int (*reload)(void *context, char why[ROUTES_WHY_SIZE]);
    /* The state now. */
    void (*status)(void *context, struct status *out);
    void *context;
};

/* Answer a request: http_options.answer with a struct routes as its context. */
void routes_answer(void *routes, const struct http_request *request, struct http_reply *reply);

/* Whether a path is for probes: orchestrators, who have no credentials and learn but yes or no. */
bool routes_is_probe(const char *path);

/* The same, for a listener that only probes may use. */
void routes_answer_probe(void *routes, const struct http_request *request,
                         struct http_reply *reply);

#endif
