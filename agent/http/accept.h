/* SPDX-License-Identifier: MIT
 *
 * accept.h - which exposition a scraper gets, and whether compressed: its headers against what the
 * agent offers.
 */
#ifndef SMX_AGENT_ACCEPT_H
#define SMX_AGENT_ACCEPT_H

#include "agent/gather/escape.h"

#include <stdbool.h>

enum exposition { EXPOSITION_TEXT, EXPOSITION_OPENMETRICS, EXPOSITION_PROTOBUF };
enum { EXPOSITION_COUNT = EXPOSITION_PROTOBUF + 1 };

/* What a scraper gets. Versions of a format differ in their Content-Type only. */
struct accepted {
    enum exposition format;
    enum escaping escaping;
    const char *content_type;
};

/* Choose by the header's value; NULL, an empty or an unintelligible one gives the text format. */
struct accepted accept_choose(const char *accept_or_null);

/* Content codings by the header Accept-Encoding; NULL: identity. */
struct codings {
    bool identity; /* may be sent */
    bool gzip;     /* may be sent, and is not liked less */
};
struct codings accept_codings(const char *accept_encoding_or_null);

/* Its name as in the label `format`: "text", "openmetrics", "protobuf". */
const char *exposition_name(enum exposition exposition);

#endif
