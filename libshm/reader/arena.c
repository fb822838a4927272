/* SPDX-License-Identifier: MIT
 *
 * arena.c - memory that is taken piece by piece and freed as a whole.
 */
#include "libshm/reader/reader.h"

#include <stdlib.h>
#include <string.h>

struct smx__chunk {
    struct smx__chunk *next;
    size_t size;
    size_t used;
    max_align_t bytes[];
};

/* Under AddressSanitizer every piece is a chunk of its own and of its exact size, so that a step
 * past a record is seen. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EXACT 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define EXACT 1
#endif

#if defined(EXACT)
enum { FIRST_CHUNK = 0, LARGEST_CHUNK = 0, ALIGN = 1 };
#else
enum { FIRST_CHUNK = 4096, LARGEST_CHUNK = 256 * 1024, ALIGN = _Alignof(max_align_t) };
#endif

/* Chunks double in size: little waste for small segments, few calls for large. No byte is given out
 * twice, so they are zeroed as a whole: a large one by the kernel, when it comes to be used. */
static struct smx__chunk *new_chunk(const struct smx__arena *arena, size_t size)
{
    size_t room = arena->chunks ? arena->chunks->size * 2 : FIRST_CHUNK;
    if (room > LARGEST_CHUNK)
        room = LARGEST_CHUNK;
    if (room < size)
        room = size;
    if (room > SIZE_MAX - sizeof(struct smx__chunk))
        return NULL;
    struct smx__chunk *chunk = calloc(1, sizeof *chunk + room);
    if (!chunk)
        return NULL;
    chunk->next = arena->chunks;
    chunk->size = room;
    return chunk;
}

void *smx__arena_take(struct smx__arena *arena, size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
    size = (size + ALIGN - 1) / ALIGN * ALIGN;
    struct smx__chunk *chunk = arena->chunks;
    if (!chunk || chunk->size - chunk->used < size) {
        chunk = new_chunk(arena, size);
        if (!chunk)
            return NULL;
        arena->chunks = chunk;
    }
    void *at = (char *)chunk->bytes + chunk->used;
    chunk->used += size;
    return at;
}

void *smx__arena_array(struct smx__arena *arena, size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes))
        return NULL;
    return smx__arena_take(arena, bytes ? bytes : 1);
}

bool smx__arena_string(struct smx__arena *arena, const void *bytes, size_t length,
                       struct smx_str *out)
{
    char *copy = smx__arena_take(arena, length + 1);
    if (!copy)
        return false;
    memcpy(copy, bytes, length);
    *out = (struct smx_str){.at = copy, .length = length};
    return true;
}

size_t smx__arena_drop(struct smx__arena *arena)
{
    struct smx__chunk *chunk = arena->chunks;
    if (!chunk)
        return 0;
    size_t size = sizeof *chunk + chunk->size;
    arena->chunks = chunk->next;
    free(chunk);
    return size;
}

void smx__arena_free(struct smx__arena *arena)
{
    while (smx__arena_drop(arena))
        continue;
}
