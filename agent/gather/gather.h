/* SPDX-License-Identifier: MIT
 *
 * gather.h - from segments to one exposition: families of the same name merged, every series
 * labelled with its application, contradictions left out and reported.
 *
 *       gather_run(g, sources, n, &stats, &snapshot);
 *       text_encode(snapshot, &body);
 *
 * The snapshot points into the readers: it holds until the next gather_run() or until one of the
 * sources is updated or closed. Encoders only read it, so one snapshot serves many of them.
 */
#ifndef SMX_AGENT_GATHER_H
#define SMX_AGENT_GATHER_H

#include "agent/gather/filter.h"
#include "agent/gather/edges.h"
#include "agent/gather/escape.h"
#include "agent/gather/self.h"
#include "agent/health/rules.h"

#include <smx/reader.h>
#include <stddef.h>

/* A segment whose last smx_reader_update() succeeded. */
struct gather_source {
    smx_reader *reader;
};

struct gather;
struct snapshot;
struct processes;
struct health;

/* A family that is left out. The strings hold until the next gather_run(). */
struct gather_conflict {
    const char *name;     /* of the family; of the file when the whole segment is left out */
    const char *app;      /* whose family it is */
    const char *instance; /* may be empty */
    const char *reason;   /* one word, the label `reason` of smx_agent_family_conflicts */
    const char *why;      /* the same as a clause: "another application has it with another type" */
};

/* Make a gatherer; it keeps the rendered names of the segments from scrape to scrape.
 * Returns: 0, -ENOMEM. */
int gather_new(struct gather **out);
void gather_free(struct gather *gather);

/* What is exposed, and how. Borrowed, all of it. */
struct gather_rules {
    const struct filter *filter;    /* only what it lets through; NULL: everything */
    struct edges_wishes wishes;     /* classic bounds of exponential histograms */
    const struct smx_label *labels; /* as of struct render_rules */
    size_t n_labels;
    struct health_rules health; /* by which others judge, and gather_health() tells */
    bool created; /* names of samples _created are taken, and snapshots may be exposed with them */
};

/* Put rules in force instead of those before. Names are rendered anew, and what the last
 * gather_run() has made holds no longer. It cannot fail: rules are whole before they are set. */
void gather_set(struct gather *gather, const struct gather_rules *rules);

/* What hides and labels, as it was set. */
struct render_rules;
const struct render_rules *gather_in_force(const struct gather *gather);

/* Forget what is kept of a reader. Call it before smx_reader_close(): another reader may get the
 * same address. */
void gather_forget(struct gather *gather, const smx_reader *reader);

/* From the next gather_run() on the snapshots are also for proto_encode(), or for another escaping
 * than underscores, which costs memory. */
void gather_messages(struct gather *gather);
void gather_escaping(struct gather *gather, enum escaping escaping);

/* Merge the sources, in any order, into one view. On failure *out is left alone.
 * Returns: 0, -ENOMEM. */
int gather_run(struct gather *gather, const struct gather_source sources[], size_t n,
               const struct self_stats *self, const struct snapshot **out);

/* The applications' processes, which the next gather_run() shows with the rest. Borrowed. */
void gather_processes(struct gather *gather, struct processes *const list[], size_t n);

/* The applications' health, the same; it holds as long as the snapshot. NULL: nothing is said. */
void gather_health(struct gather *gather, const struct health *health);
const struct health *gather_has_health(const struct gather *gather);

/* What the last gather_run() made, and the segments that are in it. */
const struct snapshot *gather_snapshot(const struct gather *gather);
const struct smx_segment_info *const *gather_infos(const struct gather *gather, size_t *n);

/* The families that the last gather_run() left out. */
const struct gather_conflict *gather_conflicts(const struct gather *gather, size_t *n);

#endif
