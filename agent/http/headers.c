/* SPDX-License-Identifier: MIT
 *
 * headers.c - what is sent unless somebody chose otherwise. Pure.
 */
#include "agent/http/headers.h"

/* X-XSS-Protection did more harm than good, Strict-Transport-Security is for whoever owns the whole
 * host: neither unless chosen. A page that loads something has a policy of its own. */
static const struct {
    const char *name, *value;
} kinds[HEADERS_CHOSEN] = {
    [HEADER_POLICY] = {"Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"},
    [HEADER_FRAME] = {"X-Frame-Options", "DENY"},
    [HEADER_CONTENT_TYPE] = {"X-Content-Type-Options", "nosniff"},
    [HEADER_XSS] = {"X-XSS-Protection", ""},
    [HEADER_TRANSPORT] = {"Strict-Transport-Security", ""},
};

const char *header_name(enum header_id id)
{
    return kinds[id].name;
}

size_t headers_list(const struct headers *chosen, const char *policy,
                    struct header out[HEADERS_MAX])
{
    size_t n = 0;
    out[n++] = (struct header){"Cache-Control", "no-store"};
    out[n++] = (struct header){"Referrer-Policy", "no-referrer"};
    for (unsigned id = 0; id < HEADERS_CHOSEN; id++) {
        const char *value = id == HEADER_POLICY && policy ? policy : kinds[id].value;
        if (chosen && chosen->at[id])
            value = chosen->at[id];
        if (value[0])
            out[n++] = (struct header){kinds[id].name, value};
    }
    return n;
}
