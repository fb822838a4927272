/* SPDX-License-Identifier: MIT
 *
 * page.h - an exposition in the making, and then kept for whoever asks next: as it is, and
 * compressed once somebody wants it so. The bytes are shared with the connections that send them.
 */
#ifndef SMX_AGENT_PAGE_H
#define SMX_AGENT_PAGE_H

#include "agent/encode/gzip.h"
#include "agent/encode/slice.h"
#include "agent/http/accept.h"
#include "agent/http/body.h"

#include <stdbool.h>
#include <stdint.h>

enum page_state {
    PAGE_IDLE,     /* as it is it stays */
    PAGE_WANTED,   /* waits for a snapshot */
    PAGE_ENCODING, /* the snapshot must hold */
    PAGE_PACKING,  /* the plain bytes are there, and read */
};

/* All-zero is no page. */
struct page {
    enum page_state state;
    enum exposition format;
    enum escaping escaping;
    struct body *plain, *gzip;
    uint64_t serial;          /* of the snapshot that it is of; 0: there is none */
    bool packed;              /* gzip is of these bytes */
    struct snapshot snapshot; /* while it is encoded */
    struct progress progress;
    struct gzip *packer;
    uint64_t encode_ns, pack_ns; /* that it took */
};

/* Begin to encode a snapshot, whose number is serial. Returns: 0, -ENOMEM. */
int page_encode(struct page *page, const struct snapshot *snapshot, uint64_t serial);

/* Whether it is sent compressed to who takes these codings. */
bool page_wants_gzip(const struct page *page, struct codings codings);

/* Begin to compress it. Returns: 0, -ENOMEM. */
int page_pack(struct page *page);

/* Go on with what was begun, for a fraction of a millisecond; then it is idle.
 * Returns: 1 when there is more to do, 0, -ENOMEM: there is no page, or no compressed one. */
int page_step(struct page *page);

/* End what was begun. */
void page_stop(struct page *page);

void page_fini(struct page *page);

#endif
