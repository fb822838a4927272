/* SPDX-License-Identifier: MIT
 *
 * buffer.h - a growing run of bytes: what an exposition is written into.
 *
 * Writers reserve once for many pieces and then store without a check. A failed reservation is
 * remembered, so that a run of pieces needs one test of `failed` at its end.
 */
#ifndef SMX_AGENT_BUFFER_H
#define SMX_AGENT_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* All-zero is an empty buffer. */
struct buffer {
    char *at;
    size_t length, size;
    bool failed;
};

/* Make room for `more` bytes behind the length. Returns: 0, -ENOMEM (and sets failed). */
int buffer_reserve(struct buffer *buffer, size_t more);

/* Append bytes, a string. Nothing happens once the buffer has failed. */
void buffer_put(struct buffer *buffer, const void *bytes, size_t n);
void buffer_puts(struct buffer *buffer, const char *string);

/* Free the bytes; the buffer is empty again and may be used. */
void buffer_fini(struct buffer *buffer);

#endif
