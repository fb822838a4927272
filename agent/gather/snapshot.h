/* SPDX-License-Identifier: MIT
 *
 * snapshot.h - what gather makes and the encoders read: families in the order of exposition, each
 * with the parts that the segments contribute. The encoders add the headers of their format;
 * sample lines are the same bytes in all of them.
 */
#ifndef SMX_AGENT_SNAPSHOT_H
#define SMX_AGENT_SNAPSHOT_H

#include "agent/encode/buffer.h"
#include "agent/gather/render.h"

#include <smx/reader.h>

/* One segment's contribution to a family. */
struct part {
    const struct smx_family_info *family;
    const struct rendered *rendered;
    struct smx_str app;  /* whose it is */
    uint64_t created_ns; /* of its segment */
    const struct part *next;
    size_t first; /* where a slice's series begin in the family */
};

/* A family as it is exposed. The agent's own have no parts but finished lines. */
struct exposed {
    struct smx_str name, help, unit;
    const struct rendered *as; /* its name by escaping; NULL: it is the same in all of them */
    enum smx_type type;
    const struct part *first;
    struct smx_str lines, metrics; /* as text, and as fields of a MetricFamily */
};

struct snapshot {
    const struct exposed *families;
    size_t n;
    size_t n_parts;         /* of all of them */
    enum escaping escaping; /* one that was asked for; underscores need not be */
    bool created;           /* with samples _created; of OpenMetrics, if the rules say so */
};

/* The name of a family, escaped. */
static inline struct smx_str exposed_name(const struct exposed *family, enum escaping escaping)
{
    return family->as ? family->as[escaping].name : family->name;
}

/* A part as it is in an escaping. */
static inline struct part part_as(const struct part *p, enum escaping escaping)
{
    return (struct part){.family = p->family,
                         .rendered = rendered_as(p->rendered, escaping),
                         .created_ns = p->created_ns};
}

struct progress; /* agent/encode/slice.h */

/* Append the next slice of the families: the format's header, then the sample lines, name{labels}
 * value, which are the same in all text formats, but for exemplars. A family without any (gauges
 * that nobody alive has written) is left out. False, and nothing is done: there is none left. */
bool families_put(const struct snapshot *snapshot, struct progress *at,
                  void (*put_header)(const struct exposed *family, enum escaping escaping,
                                     struct buffer *out),
                  bool exemplars, struct buffer *out);

/* Append a family's name, as exposed_name() or a part of it: in quotes if it is not of the old
 * alphabet. */
void families_put_name(const struct exposed *family, struct smx_str name, struct buffer *out);

#endif
