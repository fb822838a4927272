/* SPDX-License-Identifier: MIT
 *
 * pages.h - makes the pages that scrapers get: reads the segments, gathers, encodes and compresses,
 * in slices of a few milliseconds between which the loop turns. Whoever comes while a page is made
 * waits for it; whoever comes soon after gets the same.
 *
 * A page is made of a snapshot, which points into the readers: these are shown anew only when no
 * page is being encoded. So that this is no long wait, nor a long stop, they read ahead meanwhile.
 * Of segments only those are read that the page is of.
 * The snapshot could own its numbers instead; but the readers have two sets of them already, and a
 * third would take more memory than a page that is late takes time.
 */
#ifndef SMX_AGENT_PAGES_H
#define SMX_AGENT_PAGES_H

#include "agent/gather/gather.h"
#include "agent/http/accept.h"
#include "agent/http/http.h"
#include "agent/log/log.h"
#include "agent/loop/loop.h"
#include "agent/segments/segments.h"
#include "agent/workers/workers.h"

struct pages;

struct pages_options {
    struct loop *loop;
    const struct log *log;
    struct segments *segments;
    struct workers *workers; /* NULL: nothing is said of processes */
    uint64_t max_age_ns;     /* of a snapshot that is shared; 0: a turn of the loop */
    uint64_t slice_ns;       /* of CPU time in a turn, one piece at least; 0: 4 ms */
    struct gather_rules rules;
    const struct self_config *config; /* told of in each snapshot; NULL: not */
    void (*looking)(void *context);   /* before the segments are looked at */
    void *context;
};

/* Make a maker of pages. Returns: 0, -ENOMEM. */
int pages_new(const struct pages_options *options, struct pages **out);

/* Go on by other rules, from the next page on: what is being made is begun anew. */
void pages_set(struct pages *pages, const struct gather_rules *rules, uint64_t max_age_ns);

/* Answer whoever waits that nothing comes any more. Before http_free(). */
void pages_stop(struct pages *pages);

/* After segments_free(), which still has something to say to it; NULL is fine. */
void pages_free(struct pages *pages);

/* Who takes them, and what they tell of that. */
void pages_serve(struct pages *pages, const struct http *http,
                 void (*measure)(void *context, struct self_web *out), void *context);

/* A reader is about to be closed. */
void pages_forget(struct pages *pages, smx_reader *reader);

/* What a scraper asks for. */
struct pages_scrape {
    struct accepted accepted;
    struct codings codings; /* one of them at least */
};

/* Answer a scrape, or defer the answer. */
void pages_answer(struct pages *pages, const struct pages_scrape *scrape,
                  const struct http_request *request, struct http_reply *reply);

/* Make the whole page at once. NULL without memory. Owns: the caller has a reference. */
struct body *pages_make(struct pages *pages, const struct accepted *accepted);

/* Look at the segments: some of what is to be read is read at once, which for a few thousand series
 * is all of it, the rest in slices as for a page. */
void pages_look(struct pages *pages);

/* The same, unless they were looked at just before. */
void pages_refresh(struct pages *pages);

/* Whether there ever was a snapshot: what was there at the start has been read. */
bool pages_looked(const struct pages *pages);

/* What the last snapshot leaves out. */
const struct gather_conflict *pages_conflicts(const struct pages *pages, size_t *n);

#endif
