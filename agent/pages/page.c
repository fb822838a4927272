/* SPDX-License-Identifier: MIT
 *
 * page.c - encodes and compresses pages, piece by piece, into memory that is used again as soon as
 * nobody sends it any more.
 */
#include "agent/pages/page.h"

#include "agent/encode/openmetrics.h"
#include "agent/encode/proto.h"
#include "agent/encode/text.h"
#include "agent/loop/loop.h"

#include <errno.h>

/* What is compressed at a time: a fraction of a millisecond. */
enum { PACK_BYTES = 1 << 18 };

static bool (*const encoders[EXPOSITION_COUNT])(const struct snapshot *, struct progress *,
                                                struct buffer *) = {
    [EXPOSITION_TEXT] = text_step,
    [EXPOSITION_OPENMETRICS] = openmetrics_step,
    [EXPOSITION_PROTOBUF] = proto_step,
};

int page_encode(struct page *page, const struct snapshot *snapshot, uint64_t serial)
{
    page->serial = 0;
    page->packed = false;
    if (!body_reuse(&page->plain))
        return -ENOMEM;
    page->state = PAGE_ENCODING;
    page->snapshot = *snapshot;
    page->snapshot.escaping = page->escaping;
    page->snapshot.created = snapshot->created && page->format == EXPOSITION_OPENMETRICS;
    page->progress = (struct progress){0};
    page->serial = serial;
    page->encode_ns = 0;
    return 0;
}

bool page_wants_gzip(const struct page *page, struct codings codings)
{
    return codings.gzip && (page->plain->bytes.length >= GZIP_LEAST || !codings.identity);
}

int page_pack(struct page *page)
{
    page->packer = gzip_new();
    if (!page->packer || !body_reuse(&page->gzip)) {
        page_stop(page);
        return -ENOMEM;
    }
    page->state = PAGE_PACKING;
    page->pack_ns = 0;
    return 0;
}

static int encode(struct page *page)
{
    struct buffer *out = &page->plain->bytes;
    bool more = encoders[page->format](&page->snapshot, &page->progress, out);
    return out->failed ? -ENOMEM : more;
}

static int pack(struct page *page)
{
    int more = gzip_step(page->packer, &page->plain->bytes, PACK_BYTES, &page->gzip->bytes);
    page->packed = more == 0;
    return more;
}

int page_step(struct page *page)
{
    uint64_t begin = loop_now_ns();
    bool encoding = page->state == PAGE_ENCODING;
    int more = encoding ? encode(page) : pack(page);
    *(encoding ? &page->encode_ns : &page->pack_ns) += loop_now_ns() - begin;
    if (more == 0)
        page->state = PAGE_IDLE;
    if (more <= 0)
        page_stop(page);
    return more;
}

/* What was half encoded is no page. */
void page_stop(struct page *page)
{
    if (page->state == PAGE_ENCODING)
        page->serial = 0;
    gzip_free(page->packer);
    page->packer = NULL;
    page->state = PAGE_IDLE;
}

void page_fini(struct page *page)
{
    page_stop(page);
    body_unref(page->plain);
    body_unref(page->gzip);
    *page = (struct page){.format = page->format, .escaping = page->escaping};
}
