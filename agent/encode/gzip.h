/* SPDX-License-Identifier: MIT
 *
 * gzip.h - a page compressed, by isa-l, at its level 1: of its levels the best of time and size for
 * an exposition, and a few times as fast as zlib's first.
 */
#ifndef SMX_AGENT_GZIP_H
#define SMX_AGENT_GZIP_H

#include "agent/encode/buffer.h"

/* Below this a page is not worth compressing: it is one packet as it is. */
enum { GZIP_LEAST = 1024 };

/* Append the bytes of `in` as one gzip member. Returns: 0, -ENOMEM. */
int gzip_encode(const struct buffer *in, struct buffer *out);

#endif
