/* SPDX-License-Identifier: MIT
 *
 * fold.h - what the log has said lately: what is said again within FOLD_WINDOW_NS is counted, and
 * told once, when that time is over. A few texts are remembered, so that things that take turns are
 * folded as well.
 */
#ifndef SMX_AGENT_FOLD_H
#define SMX_AGENT_FOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FOLD_WINDOW_NS UINT64_C(10000000000)

enum { FOLD_TEXTS = 4, FOLD_SIZE = 4096 };

struct fold_text {
    uint64_t until_ns; /* CLOCK_MONOTONIC; 0: the place is free */
    uint64_t repeated; /* since it was written, or told of, last */
    int level;         /* the caller's */
    size_t length;
    char at[FOLD_SIZE];
};

/* All-zero remembers nothing. */
struct fold {
    struct fold_text texts[FOLD_TEXTS];
};

/* Count a text that was said less than a window ago. Returns how often it has been repeated; 0: it
 * was not said. */
uint64_t fold_count(struct fold *fold, const char *text, size_t length, uint64_t now_ns);

/* The place where the next new text is to be remembered: a free one, or the one whose window ends
 * first. What was counted there is to be told of before. */
struct fold_text *fold_place(struct fold *fold);

/* Remember a text of at most FOLD_SIZE bytes that is written now. */
void fold_remember(struct fold_text *place, int level, const char *text, size_t length,
                   uint64_t now_ns);

/* One whose window is over and that was repeated, NULL if there is none. Those that were not are
 * forgotten. */
struct fold_text *fold_due(struct fold *fold, uint64_t now_ns);

/* It was told how often a text was repeated: from now on it is counted anew. */
void fold_told(struct fold_text *text, uint64_t now_ns);

/* When the next one is due, UINT64_MAX if none was repeated. */
uint64_t fold_next_ns(const struct fold *fold);

#endif
