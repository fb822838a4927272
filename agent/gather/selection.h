/* SPDX-License-Identifier: MIT
 *
 * selection.h - what a scraper wants of all there is: families by name, applications. By the
 * parameters of its query, name[]=FAMILY and app=APPLICATION, as often as it likes; of each kind
 * that is given one must fit. Other parameters are nobody's affair.
 */
#ifndef SMX_AGENT_SELECTION_H
#define SMX_AGENT_SELECTION_H

#include "agent/gather/snapshot.h"
#include "agent/http/http.h"

struct selection;

/* *out is NULL when everything is wanted. Returns: 0, -ENOMEM. */
int selection_new(const struct http_parameter parameters[], size_t n, struct selection **out);
void selection_free(struct selection *selection);

/* Whether two want the same; NULL is everything. */
bool selection_equal(const struct selection *a, const struct selection *b);

/* A family may be named as in any format: with the suffix of one of its samples, or without
 * _total. */
bool selection_has_family(const struct selection *selection, struct smx_str name,
                          enum smx_type type);

/* Whether it matters whose a series is; and whether this application's are wanted. */
bool selection_by_app(const struct selection *selection);
bool selection_has_app(const struct selection *selection, struct smx_str app);

#endif
