/* SPDX-License-Identifier: MIT
 *
 * render.h - the part of a sample line that does not change: name and labels of every series of a
 * segment, made once and kept until the segment's names move.
 */
#ifndef SMX_AGENT_RENDER_H
#define SMX_AGENT_RENDER_H

#include "agent/gather/edges.h"
#include "agent/gather/escape.h"
#include "agent/gather/filter.h"

#include <smx/reader.h>
#include <stddef.h>
#include <stdint.h>

/* Why a family is left out. */
enum refusal {
    REFUSAL_NONE,
    REFUSAL_RESERVED_NAME,
    REFUSAL_RESERVED_LABEL,
    REFUSAL_DUPLICATE_LABEL,
    REFUSAL_DUPLICATE_SEGMENT,
    REFUSAL_NAME_CLASH,
    REFUSAL_TYPE,
    REFUSAL_UNIT,
    REFUSAL_BUCKETS,
    REFUSAL_SIZE,
};
enum { REFUSAL_COUNT = REFUSAL_SIZE + 1 };

/* Its word for a label, and the reason as a clause. */
const char *refusal_name(enum refusal refusal);
const char *refusal_text(enum refusal refusal);

/* One run of bytes for each series, one after the other; RENDER_SLACK more can be read. */
struct kept_bytes {
    size_t *ends; /* of series i */
    char *at;
    size_t begin; /* of the first: 0, but in a slice */
};

/* The texts of one family's series:
 *   counters, gauges           name{app="shop",method="GET"} and a space
 *   histograms                 name_bucket{app="shop",method="GET"
 *   statesets, mode `each`     name{app="shop",method="GET"
 * where the last two go on with le, worker or the state. The messages, if they are wanted: a Metric
 * but for its value, where the last two have the labels alone. With a name that is not of the old
 * alphabet the text is {"my.name",app="shop"} where that is asked for. Of a series that a filter
 * hides all are empty. */
struct rendered {
    enum refusal refusal; /* if any, there is nothing else */
    bool hidden;          /* by a filter; the same */
    size_t n_series;
    size_t stem, suffix; /* bytes of a text before its suffix, and of that: _bucket, _total, none */
    struct kept_bytes text, message;
    struct edges edges; /* histograms */
    /* statesets, by state: ,name="open"} and a space; the same label as a field of a Metric */
    struct kept_bytes states, state_labels;
    /* Where a name is not of the old alphabet: the family by escaping, underscores too, and its
     * name so; the texts and messages of those that were asked for, with the same edges. Those of
     * underscores are above. NULL: there is no difference. */
    struct rendered *as;
    struct smx_str name; /* of such a one */
};

/* A family as it is in an escaping that was asked for. */
static inline const struct rendered *rendered_as(const struct rendered *r, enum escaping escaping)
{
    return r->as && escaping != ESCAPING_UNDERSCORES ? &r->as[escaping] : r;
}

/* What is needed besides the texts escaped by underscores. */
struct render_wants {
    bool escapings[ESCAPING_COUNT];
    bool messages; /* in those, and by underscores */
};

enum { RENDER_LABELS_MAX = 16 };

/* What the user wants to see of what segments have. */
struct render_rules {
    const struct filter *filter; /* or NULL */
    struct edges_wishes wishes;
    /* For every series that has no label of that name of its own, by the segment, the family or the
     * agent; names of the old alphabet. */
    const struct smx_label *labels;
    size_t n_labels; /* RENDER_LABELS_MAX at most */
};

/* All families of one segment, as its reader shows them. */
struct rendered_segment {
    const smx_reader *reader;
    uint64_t epoch;
    dev_t device;
    ino_t inode;
    uint64_t created_ns;
    size_t n_families;
    struct rendered *families;
    struct render_wants has;
    const struct render_rules *rules;
};

/* Render the segment that a reader shows now, by rules that stay as they are. Returns: 0, -ENOMEM.
 * Owns: the caller ends with render_fini(). */
int render_segment(struct rendered_segment *out, const smx_reader *reader,
                   const struct render_rules *rules);
void render_fini(struct rendered_segment *segment);

/* Render what else is wanted of a segment that still holds. Returns: 0, -ENOMEM. */
int render_wanted(struct rendered_segment *out, const struct render_wants *wants);

/* Whether what was rendered is still what the reader shows. */
bool render_holds(const struct rendered_segment *segment, const smx_reader *reader);

#endif
