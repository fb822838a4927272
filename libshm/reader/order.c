/* SPDX-License-Identifier: MIT
 *
 * order.c - sorts a million series in pieces: a merge sort from the bottom up, which between any
 * two elements knows where it is. What is sorted to find what is there twice goes by its hash.
 */
#include "libshm/reader/reader.h"

#include <errno.h>
#include <stdlib.h>

static bool is_before(const struct smx__order *a, const struct smx__order *b)
{
    if (a->number != b->number)
        return a->number < b->number;
    if (a->tie != b->tie)
        return a->tie < b->tie;
    return a->candidate < b->candidate;
}

uint64_t smx__hash_bytes(uint64_t hash, const void *bytes, size_t length)
{
    const unsigned char *at = bytes;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Go on with the pair of runs at sort->at. Returns 1 or 0. */
static int merge(struct smx__build *b, const struct smx__order *from, struct smx__order *to,
                 size_t n)
{
    struct smx__sort *s = &b->sort;
    size_t middle = least(s->at + s->width, n), end = least(middle + s->width, n);
    for (;;) {
        size_t left = s->at + s->left, right = middle + s->right;
        if (left == middle && right == end)
            break;
        if (!smx__build_spend(b, sizeof *from))
            return 1;
        bool first = right == end || (left < middle && !is_before(&from[right], &from[left]));
        to[left + s->right] = first ? from[left] : from[right];
        s->left += first;
        s->right += !first;
    }
    s->at = end;
    s->left = s->right = 0;
    return 0;
}

int smx__order_sort(struct smx__build *b, struct smx__order **order, size_t n)
{
    struct smx__sort *s = &b->sort;
    if (!s->other && !(s->other = calloc(n + 1, sizeof *s->other)))
        return -ENOMEM;
    s->width += s->width == 0;
    for (; s->width < n; s->width *= 2) {
        while (s->at < n)
            if (merge(b, *order, s->other, n) == 1)
                return 1;
        struct smx__order *sorted = s->other;
        s->other = *order;
        *order = sorted;
        s->at = 0;
    }
    free(s->other);
    *s = (struct smx__sort){0};
    return 0;
}
