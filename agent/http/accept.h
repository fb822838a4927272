/* SPDX-License-Identifier: MIT
 *
 * accept.h - which exposition a scraper gets, and whether compressed: its headers against what the
 * agent offers.
 */
#ifndef SMX_AGENT_ACCEPT_H
#define SMX_AGENT_ACCEPT_H

#include <stdbool.h>

enum exposition { EXPOSITION_TEXT, EXPOSITION_OPENMETRICS, EXPOSITION_PROTOBUF };
enum { EXPOSITION_COUNT = EXPOSITION_PROTOBUF + 1 };

/* Choose by the header's value; NULL, an empty or an unintelligible one gives the text format. */
enum exposition accept_choose(const char *accept_or_null);

/* The Content-Type to answer with. */
const char *exposition_content_type(enum exposition exposition);

/* Content codings by the header Accept-Encoding; NULL: identity. */
struct codings {
    bool identity; /* may be sent */
    bool gzip;     /* may be sent, and is not liked less */
};
struct codings accept_codings(const char *accept_encoding_or_null);

/* Its name as in the label `format`: "text", "openmetrics", "protobuf". */
const char *exposition_name(enum exposition exposition);

#endif
