/* SPDX-License-Identifier: MIT
 *
 * source.h - the snapshot that pages are made of: updates the segments, gathers, knows how old the
 * snapshot is. It does not know who uses it.
 */
#ifndef SMX_AGENT_SOURCE_H
#define SMX_AGENT_SOURCE_H

#include "agent/gather/gather.h"
#include "agent/gather/render.h"
#include "agent/http/http.h"
#include "agent/log.h"
#include "agent/loop/loop.h"
#include "agent/once.h"
#include "agent/segments/segments.h"

/* Fill in the first six, leave the rest zero. */
struct source {
    struct loop *loop;
    const struct log *log;
    struct segments *segments;
    uint64_t max_age_ns;            /* of a snapshot that is shared; 0: a turn of the loop */
    void (*looking)(void *context); /* before the segments are looked at */
    void *context;

    const struct http *http; /* whose connections are told of; NULL: nobody is served */
    struct gather *gather;
    struct gather_source *readers;
    const struct snapshot *snapshot; /* NULL: there is none, or the readers have moved on */
    uint64_t serial;                 /* new with each */
    uint64_t gathered_ns, gathered_turn;
    struct render_wants has; /* that, beside the texts escaped by underscores */
    bool reading;            /* the next one ahead */
    struct self_stats self;
    struct once conflicts;
};

/* Returns: 0, -ENOMEM. */
int source_init(struct source *source);
void source_fini(struct source *source);

/* Whether there is a snapshot, and not older than it may be, or than least_ns. */
bool source_is_young(const struct source *source, uint64_t least_ns);

/* Read some of what the next snapshot takes; this one stands. False: all is read. */
bool source_read_ahead(struct source *source);

/* What was read ahead is not needed. */
void source_give_up(struct source *source);

/* Make a new snapshot. The one before holds no longer, also on failure. Returns: 0, -ENOMEM. */
int source_refresh(struct source *source);

#endif
