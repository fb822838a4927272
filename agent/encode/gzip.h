/* SPDX-License-Identifier: MIT
 *
 * gzip.h - a page compressed, by isa-l, at its level 1: of its levels the best of time and size for
 * an exposition, and a few times as fast as zlib's first.
 */
#ifndef SMX_AGENT_GZIP_H
#define SMX_AGENT_GZIP_H

#include "agent/encode/buffer.h"

struct gzip;

/* Below this a page is not worth compressing: it is one packet as it is. */
enum { GZIP_LEAST = 1024 };

/* The same in steps. Returns: NULL without memory. */
struct gzip *gzip_new(void);
void gzip_free(struct gzip *gzip);

/* Compress up to `most` more bytes of `in`, which is whole and stays as it is; out: the same buffer
 * each time. Returns: 1 when there is more to do, 0, -ENOMEM. */
int gzip_step(struct gzip *gzip, const struct buffer *in, size_t most, struct buffer *out);

/* Append the bytes of `in` as one gzip member. Returns: 0, -ENOMEM. */
int gzip_encode(const struct buffer *in, struct buffer *out);

#endif
