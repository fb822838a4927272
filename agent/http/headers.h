/* SPDX-License-Identifier: MIT
 *
 * headers.h - the headers that every answer has beside its own: for browsers, who otherwise guess
 * types, keep pages, and show them inside those of others.
 */
#ifndef SMX_AGENT_HEADERS_H
#define SMX_AGENT_HEADERS_H

#include <stddef.h>

enum header_id {
    HEADER_POLICY,       /* Content-Security-Policy */
    HEADER_FRAME,        /* X-Frame-Options */
    HEADER_CONTENT_TYPE, /* X-Content-Type-Options */
    HEADER_XSS,          /* X-XSS-Protection */
    HEADER_TRANSPORT,    /* Strict-Transport-Security */
};
enum { HEADERS_CHOSEN = HEADER_TRANSPORT + 1 };

/* Those that the operator may choose: NULL is our own choice, "" none. */
struct headers {
    const char *at[HEADERS_CHOSEN];
};

/* Its name, as in an answer. */
const char *header_name(enum header_id id);

struct header {
    const char *name, *value;
};
enum { HEADERS_MAX = HEADERS_CHOSEN + 2 };

/* List those of an answer with a policy of its own, or NULL. Returns: how many. */
size_t headers_list(const struct headers *chosen_or_null, const char *policy,
                    struct header out[HEADERS_MAX]);

#endif
