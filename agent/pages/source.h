/* SPDX-License-Identifier: MIT
 *
 * source.h - the snapshot that pages are made of: reads the segments, gathers, knows how old what
 * is in it is. It does not know who uses it.
 */
#ifndef SMX_AGENT_SOURCE_H
#define SMX_AGENT_SOURCE_H

#include "agent/gather/gather.h"
#include "agent/gather/render.h"
#include "agent/http/http.h"
#include "agent/log/log.h"
#include "agent/loop/loop.h"
#include "agent/log/once.h"
#include "agent/segments/segments.h"
#include "agent/vitals.h"
#include "agent/workers/workers.h"

/* Fill in the first eight, leave the rest zero. */
struct source {
    struct loop *loop;
    const struct log *log;
    struct segments *segments;
    struct workers *workers; /* NULL: nothing is said of processes */
    struct health_rules health_rules;
    uint64_t max_age_ns;            /* of a snapshot that is shared; 0: a turn of the loop */
    void (*looking)(void *context); /* before the segments are looked at */
    void *context;

    const struct http *http; /* whose connections are told of; NULL: nobody is served */
    void (*measure)(void *context, struct self_web *out); /* what else there is to tell; NULL */
    void *measured;
    struct gather *gather;
    struct gather_source *readers;
    const struct snapshot *snapshot; /* NULL: there is none, or the readers have moved on */
    uint64_t serial;                 /* new with each */
    uint64_t gathered_ns;
    bool begun;              /* the segments are read, and the processes in part: */
    uint64_t updated_ns;     /* since then */
    uint64_t turn, turn_ns;  /* the last one in which somebody asked, and when */
    struct render_wants has; /* that, beside the texts escaped by underscores */
    struct self_stats self;
    struct vitals vitals; /* of the snapshot */
    struct once conflicts;
};

/* Returns: 0, -ENOMEM. */
int source_init(struct source *source);
void source_fini(struct source *source);

/* Whether there is a snapshot, and what is wanted in it not older than it may be, or than least_ns.
 * A wish of NULL is for all. */
bool source_is_young(struct source *source, const struct segments_wish *wish, uint64_t least_ns);

/* What is needed for pages of a format and an escaping comes with the next snapshot; whether it is
 * in this one. */
void source_want(struct source *source, enum exposition format, enum escaping escaping);
bool source_has(const struct source *source, enum exposition format, enum escaping escaping);

/* Read some of what the next snapshot takes; this one stands. False: all is read. */
bool source_read_ahead(struct source *source, const struct segments_wish *wish);

/* What was read ahead is not needed. */
void source_give_up(struct source *source);

/* See what segments there are. If one that the snapshot is of is gone, that holds no longer. */
void source_look(struct source *source);

/* Make a new snapshot, with new numbers of what is wanted: what of it was not read ahead is read
 * now, then the processes in pieces. The one before holds no longer, also on failure.
 * Returns: 1 when there is more to do, of this wish before any other; 0, -ENOMEM. */
int source_refresh(struct source *source, const struct segments_wish *wish);

/* The snapshot, if any, holds no longer, nor does what was begun of the next one. */
void source_begin_anew(struct source *source);

/* A reader is about to be closed. */
void source_forget(struct source *source, smx_reader *reader);

#endif
