/* SPDX-License-Identifier: MIT
 *
 * deadline.c - the seconds of a header as a time.
 */
#include "agent/pages/deadline.h"

#include "agent/loop/loop.h"

#include <stdlib.h>

/* Of the time that a scraper has, what is not ours: a tenth, and half a second at most. */
#define MARGIN_NS UINT64_C(500000000)
enum { MARGIN_PART = 10 };

uint64_t deadline_of(const char *timeout)
{
    char *end = NULL;
    double seconds = timeout ? strtod(timeout, &end) : 0;
    if (!timeout || end == timeout || *end || !(seconds > 0 && seconds < 1e6))
        return DEADLINE_NONE;
    uint64_t ns = (uint64_t)(seconds * 1e9), margin = ns / MARGIN_PART;
    return loop_now_ns() + ns - (margin < MARGIN_NS ? margin : MARGIN_NS);
}
