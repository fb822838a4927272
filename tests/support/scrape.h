/* SPDX-License-Identifier: MIT
 *
 * scrape.h - what a scraper would get from the segments of a private directory: the agent's gather
 * and encoders, run in the test's process without a server.
 */
#ifndef SMX_TESTS_SCRAPE_H
#define SMX_TESTS_SCRAPE_H

#include "agent/encode/buffer.h"
#include "agent/gather/gather.h"
#include "support/scratch.h"
#include "support/segwriter.h"

#include <smx/smx.h>

enum { SCRAPE_SOURCES = 8 };

struct scrape {
    char directory[SCRATCH_SIZE];
    struct gather *gather;
    struct gather_source sources[SCRAPE_SOURCES];
    size_t n;
    struct self_stats self;
    enum escaping escaping;
    struct buffer text, openmetrics;
    struct buffer part; /* what scrape_only() returned last */
};

void scrape_start(struct scrape *s);
void scrape_end(struct scrape *s);

/* Open a segment in the directory, as an application does, and a reader of it. */
smx_segment *scrape_open(struct scrape *s, const struct smx_options *options);

/* Save a segment of the writer, free it, and open a reader of it. */
void scrape_save(struct scrape *s, struct segwriter *w);

/* Scrape: update the readers, gather, encode in both formats, names escaped as s->escaping says. */
void scrape_run(struct scrape *s);

/* The part of a body whose families do not start with smx_ or process_; with a prefix, the part
 * whose families start with it. Without "# EOF". Holds until the next call. */
const char *scrape_only(struct scrape *s, const struct buffer *body, const char *prefix);

/* The application that the golden tests expose: one family of every kind, in application "shop",
 * and a second segment, instance "b". */
void scrape_shop(struct scrape *s);

#endif
