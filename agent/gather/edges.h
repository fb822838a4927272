/* SPDX-License-Identifier: MIT
 *
 * edges.h - the classic buckets of a histogram family: which `le` bounds are exposed, and which of
 * the family's own buckets each of them takes in. Pure, and a function of the family's description
 * and of the command line alone, so that the bounds never change while the family lives.
 */
#ifndef SMX_AGENT_EDGES_H
#define SMX_AGENT_EDGES_H

#include <smx/reader.h>
#include <stdbool.h>
#include <stddef.h>

/* Bounds of an exponential family, at most; the default ranges need 28 and 33. */
enum { EDGES_MAX = 36, EDGES_MIN = 6 };

/* Bounds that somebody wants to see of the exponential families of one name, or of all others. */
enum { EDGES_WISH_MAX = 64 };
struct edges_wish {
    struct smx_str family; /* empty: all */
    size_t n;
    double bounds[EDGES_WISH_MAX]; /* ascending */
};
struct edges_wishes {
    const struct edges_wish *at;
    size_t n;
};

/* Read [FAMILY=]BOUND[,BOUND]... The name is borrowed.
 * Returns: 0, or -EINVAL: not a list, or bounds that are not positive, finite and ascending. */
int edges_wish_parse(const char *text, struct edges_wish *out);

/* Add a bound, which is all of a text. Returns: 0, -EINVAL: not such a number; -E2BIG. */
int edges_wish_add(struct edges_wish *wish, const char *text);

/* Readable bytes behind the end of kept texts, so that they can be copied in whole steps. */
enum { RENDER_SLACK = 16 };

struct edges {
    size_t n;      /* at least 1: the last is +Inf */
    size_t *upto;  /* edge i takes in all buckets up to and with this one */
    size_t *ends;  /* where the text of edge i ends */
    char *text;    /* ,le="0.5"} and a space, for each edge */
    size_t widest; /* length of the longest text */
};

/* Choose the edges of a family. Explicit bounds are all taken. Of exponential ones those nearest
 * to what is wished for, by their ratio. Without a wish they are merged to powers of two, or of
 * four and more where the range is wide; finer ones where it is so narrow that fewer than EDGES_MIN
 * would remain. The highest finite bound is then always there.
 * Returns: 0, -ENOMEM. Owns: the caller ends with edges_fini(). */
int edges_init(struct edges *out, const struct smx_family_info *family,
               const struct edges_wishes *wishes);
void edges_fini(struct edges *edges);

/* Whether two families have the same buckets, so that their series may stand in one family. */
bool edges_same(const struct smx_family_info *a, const struct smx_family_info *b);

#endif
