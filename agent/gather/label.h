/* SPDX-License-Identifier: MIT
 *
 * label.h - names and label values at the edge: what is the agent's own, and how it is quoted. Both
 * text formats quote label values in the same way.
 */
#ifndef SMX_AGENT_LABEL_H
#define SMX_AGENT_LABEL_H

#include "agent/encode/buffer.h"

#include <smx/reader.h>
#include <stdbool.h>

/* A string constant as smx_str. */
#define LABEL_STR(s) ((struct smx_str){(s), sizeof(s) - 1})

enum label_quote {
    LABEL_QUOTE_ALL,  /* \ " and newline: label values; HELP in OpenMetrics */
    LABEL_QUOTE_HELP, /* \ and newline: HELP in text 0.0.4 */
};

/* Append a string escaped. What is not UTF-8, and NUL, becomes U+FFFD: one such byte fails the
 * whole scrape. */
void label_escape(struct buffer *out, struct smx_str text, enum label_quote quote);

/* Append name="value", preceded by a comma unless the byte before opens the list ('{'). */
void label_put(struct buffer *out, struct smx_str name, struct smx_str value);

bool label_equal(struct smx_str a, struct smx_str b);
bool label_ends(struct smx_str text, struct smx_str suffix);

/* Append to n labels, where there is room, those of others whose names they do not have: what is
 * there wins. Returns how many there are then. */
size_t label_add_missing(struct smx_label labels[], size_t n, const struct smx_label others[],
                         size_t n_others);

/* Whether the name of a counter is something and _total. */
bool label_is_total(struct smx_str name);

/* Names that the agent gives itself: an application's family or label of that name is left out. */
bool label_is_reserved_family(struct smx_str name);
bool label_is_reserved(struct smx_str name);

#endif
