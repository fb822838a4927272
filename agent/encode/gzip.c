/* SPDX-License-Identifier: MIT
 *
 * gzip.c - compression of pages. The only file that knows isa-l.
 */
#include "agent/encode/gzip.h"

#include <errno.h>
#include <isa-l/igzip_lib.h>
#include <stdint.h>
#include <stdlib.h>

/* The stream's counters are of 32 bits; a page may be longer. */
enum { STEP = 1 << 30, ROOM = 1 << 16 };

struct gzip {
    struct isal_zstream stream;
    size_t taken; /* of the input */
    uint8_t level[ISAL_DEF_LVL1_DEFAULT];
};

struct gzip *gzip_new(void)
{
    struct gzip *g = malloc(sizeof *g);
    if (!g)
        return NULL;
    isal_deflate_init(&g->stream);
    g->taken = 0;
    g->stream.gzip_flag = IGZIP_GZIP;
    g->stream.level = 1;
    g->stream.level_buf = g->level;
    g->stream.level_buf_size = sizeof g->level;
    return g;
}

void gzip_free(struct gzip *gzip)
{
    free(gzip);
}

/* Compress up to `most` of what is left of the input into the room that there is. False without
 * memory. */
static bool advance(struct gzip *g, const struct buffer *in, size_t most, struct buffer *out)
{
    struct isal_zstream *stream = &g->stream;
    size_t left = in->length - g->taken;
    uint32_t step = (uint32_t)(left < most ? left : most);
    if (buffer_reserve(out, ROOM) < 0)
        return false;
    stream->next_in = (uint8_t *)in->at + g->taken;
    stream->avail_in = step;
    stream->end_of_stream = step == left;
    stream->next_out = (uint8_t *)out->at + out->length;
    stream->avail_out = ROOM;
    int rc = isal_deflate(stream);
    g->taken += step - stream->avail_in;
    out->length += ROOM - stream->avail_out;
    return rc == COMP_OK;
}

int gzip_step(struct gzip *gzip, const struct buffer *in, size_t most, struct buffer *out)
{
    if (!advance(gzip, in, most < STEP ? most : STEP, out))
        return -ENOMEM;
    return gzip->stream.internal_state.state != ZSTATE_END;
}

int gzip_encode(const struct buffer *in, struct buffer *out)
{
    struct gzip *g = gzip_new();
    int more = g ? 1 : -ENOMEM;
    while (more > 0)
        more = gzip_step(g, in, STEP, out);
    gzip_free(g);
    return more;
}
