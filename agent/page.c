/* SPDX-License-Identifier: MIT
 *
 * page.c - encodes and compresses pages into memory that is used again as soon as nobody sends it
 * any more.
 */
#include "agent/page.h"

#include "agent/encode/gzip.h"
#include "agent/encode/openmetrics.h"
#include "agent/encode/proto.h"
#include "agent/encode/text.h"
#include "agent/gather/snapshot.h"

#include <errno.h>

static int (*const encoders[EXPOSITION_COUNT])(const struct snapshot *, struct buffer *) = {
    [EXPOSITION_TEXT] = text_encode,
    [EXPOSITION_OPENMETRICS] = openmetrics_encode,
    [EXPOSITION_PROTOBUF] = proto_encode,
};

int page_encode(struct page *page, const struct accepted *accepted, const struct snapshot *snapshot)
{
    struct snapshot escaped = *snapshot;
    escaped.escaping = accepted->escaping;
    escaped.created = snapshot->created && accepted->format == EXPOSITION_OPENMETRICS;
    struct body *body = body_reuse(&page->plain);
    page->made_ns = 0;
    page->packed = false;
    return body ? encoders[accepted->format](&escaped, &body->bytes) : -ENOMEM;
}

bool page_wants_gzip(const struct page *page, struct codings codings)
{
    return codings.gzip && (page->plain->bytes.length >= GZIP_LEAST || !codings.identity);
}

int page_pack(struct page *page)
{
    if (page->packed)
        return 0;
    struct body *body = body_reuse(&page->gzip);
    int rc = body ? gzip_encode(&page->plain->bytes, &body->bytes) : -ENOMEM;
    page->packed = rc == 0;
    return rc;
}

void page_fini(struct page *page)
{
    body_unref(page->plain);
    body_unref(page->gzip);
    *page = (struct page){0};
}
