/* SPDX-License-Identifier: MIT
 *
 * exchange.h - between http.c and exchange.c: the server as both see it, and what the library calls
 * for a request. Nobody else includes it.
 */
#ifndef SMX_AGENT_EXCHANGE_H
#define SMX_AGENT_EXCHANGE_H

#include "agent/http/http.h"

#include <microhttpd.h>

/* Of a connection: a request's line and headers must fit. */
enum { EXCHANGE_MEMORY = 16384 };

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
    unsigned in_flight; /* requests that have begun and are not all answered */
    bool draining;
    struct loop_timer drain_timer;
    void (*drained)(void *context);
    void *drained_context;
};

/* The callbacks of MHD_start_daemon(), MHD_OPTION_UNESCAPE_CALLBACK, MHD_OPTION_URI_LOG_CALLBACK
 * and MHD_OPTION_NOTIFY_COMPLETED, with the struct http as their context. */
enum MHD_Result exchange_handle(void *context, struct MHD_Connection *connection, const char *url,
                                const char *method, const char *version, const char *upload,
                                size_t *upload_size, void **state);
size_t exchange_unescape(void *context, struct MHD_Connection *connection, char *text);
void *exchange_begins(void *context, const char *uri, struct MHD_Connection *connection);
void exchange_ends(void *context, struct MHD_Connection *connection, void **state,
                   enum MHD_RequestTerminationCode code);

#endif
