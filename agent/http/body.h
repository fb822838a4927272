/* SPDX-License-Identifier: MIT
 *
 * body.h - the bytes of an answer, shared by the connections that still send them.
 *
 * Counted references, one thread. Whoever holds the only one may write the bytes again; so a scrape
 * that nobody reads any more lends its memory to the next.
 */
#ifndef SMX_AGENT_BODY_H
#define SMX_AGENT_BODY_H

#include "agent/encode/buffer.h"

struct body {
    struct buffer bytes;
    unsigned references;
    unsigned takers; /* connections that it is sent to */
};

/* Make an empty body with one reference, the caller's; NULL without memory. */
struct body *body_new(void);

/* Take another reference; give one back, the last with the body. NULL is fine. */
struct body *body_ref(struct body *body);
void body_unref(struct body *body);

/* Give a body to write into: *kept, emptied, if nobody else refers to it, else a new one that
 * replaces it. Returns NULL, and leaves *kept alone, without memory. */
struct body *body_reuse(struct body **kept);

#endif
