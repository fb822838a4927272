/* SPDX-License-Identifier: MIT
 *
 * buffer.c - a growing run of bytes. Doubles, so that a scrape of n bytes costs O(n) and the next
 * one, into the same buffer, no allocation at all.
 */
#include "agent/encode/buffer.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FENCED 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define FENCED 1
#endif
#if defined(FENCED)
#include <sanitizer/asan_interface.h>
#endif

enum { BUFFER_FIRST = 4096 };

/* Under AddressSanitizer the bytes behind a reservation are fenced off: who stores more than it
 * asked for is seen, though the buffer has the room. A page of them: all would take time by the
 * buffer's size at every piece. */
static void fence(const struct buffer *buffer, size_t more)
{
#if defined(FENCED)
    enum { FENCE = 4096 };
    size_t left = buffer->size - buffer->length - more;
    const char *end = buffer->at + buffer->length + more;
    __asan_unpoison_memory_region(buffer->at + buffer->length, more);
    __asan_poison_memory_region(end, left < FENCE ? left : FENCE);
#else
    (void)buffer;
    (void)more;
#endif
}

int buffer_reserve(struct buffer *buffer, size_t more)
{
    if (buffer->failed)
        return -ENOMEM;
    if (buffer->at && buffer->size - buffer->length >= more) {
        fence(buffer, more);
        return 0;
    }
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
    fence(buffer, more);
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
