/* SPDX-License-Identifier: MIT
 *
 * escape.h - names for scrapers that know the old alphabet only: [a-zA-Z_:][a-zA-Z0-9_:]* of
 * metrics, the same without colons of labels. Pure. Source of the schemes: Prometheus'
 * escaping_schemes.md; as in its client for Go, a name of the old alphabet is never changed.
 */
#ifndef SMX_AGENT_ESCAPE_H
#define SMX_AGENT_ESCAPE_H

#include "agent/encode/buffer.h"

#include <smx/reader.h>
#include <stdbool.h>

/* What becomes of a.b_c: */
enum escaping {
    ESCAPING_UNDERSCORES, /* a_b_c */
    ESCAPING_DOTS,        /* a_dot_b__c */
    ESCAPING_VALUES,      /* U__a_2e_b__c */
    ESCAPING_UTF8,        /* a.b_c, in quotes where the format has quotes */
};
enum { ESCAPING_COUNT = ESCAPING_UTF8 + 1 };

enum escape_kind { ESCAPE_METRIC, ESCAPE_LABEL };

/* Whether a name is of the old alphabet. */
bool escape_is_legacy(struct smx_str name, enum escape_kind kind);

/* Append a name, which is valid UTF-8, escaped. */
void escape_put(struct buffer *out, struct smx_str name, enum escape_kind kind,
                enum escaping escaping);

#endif
