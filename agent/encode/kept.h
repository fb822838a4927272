/* SPDX-License-Identifier: MIT
 *
 * kept.h - copies what render.h keeps of a series.
 */
#ifndef SMX_AGENT_KEPT_H
#define SMX_AGENT_KEPT_H

#include "agent/gather/render.h"

#include <string.h>

static inline struct smx_str kept_of(const struct kept_bytes *kept, size_t k)
{
    size_t from = k ? kept->ends[k - 1] : kept->begin;
    return (struct smx_str){kept->at + from, kept->ends[k] - from};
}

/* The bytes of all n series. */
static inline size_t kept_size(const struct kept_bytes *kept, size_t n)
{
    return n ? kept->ends[n - 1] - kept->begin : 0;
}

/* Copy in steps of a fixed size that need no call; a memcpy() of unknown length is half of the time
 * of a line. Reads and writes up to RENDER_SLACK bytes too many. Returns the end. */
static inline char *kept_put(char *to, const char *at, size_t n)
{
    for (size_t i = 0; i < n; i += RENDER_SLACK)
        memcpy(to + i, at + i, RENDER_SLACK);
    return to + n;
}

#endif
