/* SPDX-License-Identifier: MIT
 *
 * page.h - a finished exposition, kept for whoever asks next: as it is, and compressed once
 * somebody wants it so. The bytes are shared with the connections that send them.
 */
#ifndef SMX_AGENT_PAGE_H
#define SMX_AGENT_PAGE_H

#include "agent/gather/gather.h"
#include "agent/http/accept.h"
#include "agent/http/body.h"

#include <stdbool.h>
#include <stdint.h>

/* All-zero is no page. */
struct page {
    struct body *plain, *gzip;
    uint64_t made_ns; /* by the loop's clock; 0: there is none */
    uint64_t turn;    /* of the loop, in which its snapshot was gathered */
    bool packed;      /* gzip is of these bytes */
};

/* Encode a snapshot; on failure there is no page. Returns: 0, -ENOMEM. */
int page_encode(struct page *page, const struct accepted *accepted,
                const struct snapshot *snapshot);

/* Whether it is sent compressed to who takes these codings. */
bool page_wants_gzip(const struct page *page, struct codings codings);

/* Compress it, unless that is done. Returns: 0, -ENOMEM. */
int page_pack(struct page *page);

void page_fini(struct page *page);

#endif
