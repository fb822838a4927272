/* SPDX-License-Identifier: MIT
 *
 * body.c - counted references to the bytes of an answer.
 */
#include "agent/http/body.h"

#include <stdlib.h>

struct body *body_new(void)
{
    struct body *body = calloc(1, sizeof *body);
    if (body)
        body->references = 1;
    return body;
}

struct body *body_ref(struct body *body)
{
    if (body)
        body->references++;
    return body;
}

void body_unref(struct body *body)
{
    if (!body || --body->references > 0)
        return;
    buffer_fini(&body->bytes);
    free(body);
}

struct body *body_reuse(struct body **kept)
{
    struct body *body = *kept;
    if (body && body->references == 1) {
        body->bytes.length = 0;
        body->bytes.failed = false;
        return body;
    }
    struct body *fresh = body_new();
    if (!fresh)
        return NULL;
    body_unref(body);
    *kept = fresh;
    return fresh;
}
