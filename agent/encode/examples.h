/* SPDX-License-Identifier: MIT
 *
 * examples.h - which of a family's exemplars goes with which line or message: an encoder that goes
 * through the series in their order takes them one after the other.
 */
#ifndef SMX_AGENT_EXAMPLES_H
#define SMX_AGENT_EXAMPLES_H

#include "agent/gather/snapshot.h"

#include <smx/reader.h>

/* Those that were not taken yet. */
struct examples {
    const struct smx_exemplar *at, *end;
    size_t first; /* series of the family: what an encoder counts from */
};

static inline struct examples examples_of(const struct part *p)
{
    const struct smx_family_info *f = p->family;
    /* Without any they are NULL, to which nothing may be added. */
    const struct smx_exemplar *end = f->n_exemplars ? f->exemplars + f->n_exemplars : f->exemplars;
    return (struct examples){f->exemplars, end, p->first};
}

/* Take those of a series up to a bucket, and pass over those of series before it. Gives the latest,
 * NULL if there is none. */
static inline const struct smx_exemplar *examples_take(struct examples *e, size_t series,
                                                       size_t bucket)
{
    const struct smx_exemplar *latest = NULL;
    series += e->first;
    for (; e->at < e->end &&
           (e->at->series < series || (e->at->series == series && e->at->bucket <= bucket));
         e->at++)
        if (e->at->series == series && (!latest || e->at->time_ns >= latest->time_ns))
            latest = e->at;
    return latest;
}

#endif
