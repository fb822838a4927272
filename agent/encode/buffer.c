/* SPDX-License-Identifier: MIT
 *
 * buffer.c - a growing run of bytes. Doubles, so that a scrape of n bytes costs O(n) and the next
 * one, into the same buffer, no allocation at all.
 */
#include "agent/encode/buffer.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

enum { BUFFER_FIRST = 4096 };

int buffer_reserve(struct buffer *buffer, size_t more)
{
    if (buffer->failed)
        return -ENOMEM;
    if (buffer->size - buffer->length >= more)
        return 0;
    size_t size = buffer->size ? buffer->size : BUFFER_FIRST;
    while (size - buffer->length < more && size <= SIZE_MAX / 2)
        size *= 2;
    char *at = size - buffer->length < more ? NULL : realloc(buffer->at, size);
    if (!at) {
        buffer->failed = true;
        return -ENOMEM;
    }
    buffer->at = at;
    buffer->size = size;
    return 0;
}

void buffer_put(struct buffer *buffer, const void *bytes, size_t n)
{
    if (n == 0 || buffer_reserve(buffer, n) < 0)
        return;
    memcpy(buffer->at + buffer->length, bytes, n);
    buffer->length += n;
}

void buffer_puts(struct buffer *buffer, const char *string)
{
    buffer_put(buffer, string, strlen(string));
}

void buffer_fini(struct buffer *buffer)
{
    free(buffer->at);
    *buffer = (struct buffer){0};
}
