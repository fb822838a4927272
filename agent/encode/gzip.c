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

struct state {
    struct isal_zstream stream;
    uint8_t level[ISAL_DEF_LVL1_DEFAULT];
};

static void start(struct state *s)
{
    isal_deflate_init(&s->stream);
    s->stream.gzip_flag = IGZIP_GZIP;
    s->stream.level = 1;
    s->stream.level_buf = s->level;
    s->stream.level_buf_size = sizeof s->level;
}

/* Compress what is left of the input into the room that there is. False without memory. */
static bool advance(struct isal_zstream *stream, const struct buffer *in, size_t *taken,
                    struct buffer *out)
{
    size_t left = in->length - *taken;
    uint32_t step = left < STEP ? (uint32_t)left : STEP;
    if (buffer_reserve(out, ROOM) < 0)
        return false;
    size_t room = out->size - out->length;
    uint32_t most = room < STEP ? (uint32_t)room : STEP;
    stream->next_in = (uint8_t *)in->at + *taken;
    stream->avail_in = step;
    stream->end_of_stream = step == left;
    stream->next_out = (uint8_t *)out->at + out->length;
    stream->avail_out = most;
    int rc = isal_deflate(stream);
    *taken += step - stream->avail_in;
    out->length += most - stream->avail_out;
    return rc == COMP_OK;
}

int gzip_encode(const struct buffer *in, struct buffer *out)
{
    size_t taken = 0;
    struct state *s = malloc(sizeof *s);
    if (!s)
        return -ENOMEM;
    start(s);
    bool going = true;
    while (going && s->stream.internal_state.state != ZSTATE_END)
        going = advance(&s->stream, in, &taken, out);
    free(s);
    return going ? 0 : -ENOMEM;
}
