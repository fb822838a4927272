/* SPDX-License-Identifier: MIT
 *
 * slice.h - an exposition in pieces of bounded work, however large a family is: the encoders put
 * one at a time, and whoever calls them may do other things in between. A slice of a part looks to
 * them like a part of a few series.
 */
#ifndef SMX_AGENT_SLICE_H
#define SMX_AGENT_SLICE_H

#include "agent/gather/snapshot.h"

/* How far an encoder is. All-zero is the beginning. */
struct progress {
    size_t family;           /* the one that the next slice is of */
    const struct part *part; /* of it, NULL before its first slice */
    size_t series;           /* of the part */
    /* the encoder's: where in its buffer the family begins, and what follows its header */
    size_t begin, body;
    size_t most; /* bytes that the family may take */
};

struct slice {
    const struct exposed *family;
    bool first, last;        /* of the family's */
    const struct part *part; /* some series; NULL: the family has only finished lines */
    struct part some;        /* what part points to */
    struct smx_family_info info;
    struct rendered rendered;
};

/* The next slice, which must stay where it is while it is used. False: there is none left. */
bool slice_next(const struct snapshot *snapshot, struct progress *at, struct slice *out);

#endif
