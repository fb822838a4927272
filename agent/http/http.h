/* SPDX-License-Identifier: MIT
 *
 * http.h - HTTP over the loop. The only module that knows libmicrohttpd; knows no path.
 *
 * Every request is answered by one callback, at once or, if it defers the answer, when it has one.
 * HEAD is answered as GET, without the body.
 */
#ifndef SMX_AGENT_HTTP_H
#define SMX_AGENT_HTTP_H

#include "agent/http/body.h"
#include "agent/http/connections.h"
#include "agent/http/headers.h"
#include "agent/http/intake.h"
#include "agent/http/tls.h"
#include "agent/log/log.h"
#include "agent/loop/loop.h"

enum { HTTP_LISTEN_MAX = INTAKE_MAX, HTTP_PEER_NAME_SIZE = 64 };

struct http;

/* One of a query, percent-decoded; the value may be NULL. */
struct http_parameter {
    const char *name, *value;
};

struct http_request {
    const char *method;
    const char *path; /* percent-decoded, without the query */
    struct peer peer;
    const char *host; /* the header, or NULL, as those below */
    const char *authorization;
    const char *origin; /* of a page in a browser */
    const char *accept;
    const char *accept_encoding;
    const char *scrape_timeout; /* X-Prometheus-Scrape-Timeout-Seconds */
    bool again;                 /* it has been in the callback before, see http_retry() */
    const struct http_parameter *parameters;
    size_t n_parameters;
    struct http_exchange *exchange; /* for http_defer() */
};

/* The strings must be constants. */
struct http_reply {
    unsigned status;
    const char *content_type;
    const char *allow;      /* the header Allow, or NULL */
    const char *policy;     /* the header Content-Security-Policy, or NULL */
    const char *encoding;   /* the header Content-Encoding, or NULL */
    const char *vary;       /* the header Vary, or NULL */
    const char *challenge;  /* the header WWW-Authenticate, or NULL */
    unsigned retry_after_s; /* the header Retry-After, or 0 */
    struct body *body;      /* the reply owns one reference; NULL: without memory, status 503 */
};

struct http_options {
    struct loop *loop;
    const struct log *log;
    struct connections_limits limits;
    struct tls *tls;               /* NULL: plain, for ever */
    const struct headers *headers; /* those that somebody chose; NULL: nobody did */
    /* Somebody is about to connect. Returns: whether he may; NULL: everybody may. */
    bool (*admit)(void *context, const struct peer *peer);
    void (*answer)(void *context, const struct http_request *request, struct http_reply *reply);
    void *context;
};

/* Make a server that listens nowhere yet. Returns: 0, -ENOMEM, -EIO. */
int http_new(const struct http_options *options, struct http **out);

/* Shake hands with other keys from now on; only where it was made with some. */
void http_use_tls(struct http *http, struct tls *tls);

/* Serve what connects to a listening socket. It stays the caller's, to be closed after http_drain()
 * or http_free(). Returns: as intake_open(). */
int http_listen(struct http *http, const struct listen_socket *socket);

/* In the callback: answer this request later. The rest of the callback's reply counts for nothing,
 * and the request is gone when it returns. Returns: what http_answer() takes, NULL without memory.
 */
struct http_deferred *http_defer(const struct http_request *request);

/* Answer it, once; before http_free(). Whether the client is still there, nobody knows. */
void http_answer(struct http_deferred *deferred, const struct http_reply *reply);

/* Put it to the callback once more instead. */
void http_retry(struct http_deferred *deferred);

/* The address of who asks, as text for the log; only in the callback. */
void http_peer_name(const struct http_request *request, char out[HTTP_PEER_NAME_SIZE]);

/* Other headers from now on; they must stay as long as they are in use. NULL: as in the options. */
void http_use_headers(struct http *http, const struct headers *headers);

/* The connections, now and so far. */
struct self_connections http_connections(const struct http *http);

/* Connections that ended without TLS having been agreed on, so far. */
struct http_handshakes {
    uint64_t silent;  /* nothing came, or nothing that is TLS */
    uint64_t refused; /* the client had no certificate that would do */
    uint64_t failed;  /* no version or suite in common, or our certificate was not good enough */
};
struct http_handshakes http_handshakes(const struct http *http);

/* Fill in a reply of one line of text. */
void http_say(struct http_reply *reply, unsigned status, const char *line);

/* Whether those who take answers hold so much memory that the next ones should share theirs. */
bool http_strained(const struct http *http);

/* Accept no more, let the requests that have begun finish, then call drained(context): in this
 * call or later, and after limit_ns in any case. */
void http_drain(struct http *http, uint64_t limit_ns, void (*drained)(void *context),
                void *context);

/* Close all connections. NULL is fine. */
void http_free(struct http *http);

#endif
