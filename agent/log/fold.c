/* SPDX-License-Identifier: MIT
 *
 * fold.c - counts what the log repeats. Allocates nothing, knows neither clocks nor lines: log.c
 * renders, asks here, and writes. Texts are compared as a whole, for a hash could be aimed at by
 * whoever wants something not to be seen.
 */
#include "agent/log/fold.h"

#include <string.h>

uint64_t fold_count(struct fold *fold, const char *text, size_t length, uint64_t now_ns)
{
    for (size_t i = 0; i < FOLD_TEXTS; i++) {
        struct fold_text *known = &fold->texts[i];
        if (now_ns >= known->until_ns || known->length != length ||
            memcmp(known->at, text, length) != 0)
            continue;
        return ++known->repeated;
    }
    return 0;
}

struct fold_text *fold_place(struct fold *fold)
{
    struct fold_text *place = fold->texts;
    for (size_t i = 1; i < FOLD_TEXTS; i++)
        if (fold->texts[i].until_ns < place->until_ns)
            place = &fold->texts[i];
    return place;
}

void fold_remember(struct fold_text *place, int level, const char *text, size_t length,
                   uint64_t now_ns)
{
    memcpy(place->at, text, length);
    place->length = length;
    place->level = level;
    place->repeated = 0;
    place->until_ns = now_ns + FOLD_WINDOW_NS;
}

struct fold_text *fold_due(struct fold *fold, uint64_t now_ns)
{
    for (size_t i = 0; i < FOLD_TEXTS; i++) {
        struct fold_text *text = &fold->texts[i];
        if (now_ns < text->until_ns)
            continue;
        if (text->repeated > 0)
            return text;
        text->until_ns = 0;
    }
    return NULL;
}

void fold_told(struct fold_text *text, uint64_t now_ns)
{
    text->repeated = 0;
    text->until_ns = now_ns + FOLD_WINDOW_NS;
}

uint64_t fold_next_ns(const struct fold *fold)
{
    uint64_t next = UINT64_MAX;
    for (size_t i = 0; i < FOLD_TEXTS; i++)
        if (fold->texts[i].repeated > 0 && fold->texts[i].until_ns < next)
            next = fold->texts[i].until_ns;
    return next;
}
