/* SPDX-License-Identifier: MIT
 *
 * edges.c - the classic buckets of a histogram. An exponential family has hundreds of buckets; the
 * text formats can carry only classic ones, and each costs a line per series. Merging whole buckets
 * keeps every exposed count exact.
 */
#include "agent/gather/edges.h"

#include "agent/encode/buffer.h"
#include "agent/encode/number.h"
#include "agent/gather/label.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* How many bounds remain when only indices that `step` divides are kept, of first..last. */
static size_t count_steps(int first, int last, int step)
{
    size_t n = last % step != 0;
    for (int i = first; i <= last; i++)
        n += i % step == 0;
    return n;
}

static int choose_step(const struct smx_family_info *f, int last)
{
    int step = f->schema > 0 ? 1 << f->schema : 1;
    while (count_steps(f->first_index, last, step) > EDGES_MAX)
        step *= 2;
    while (step > 1 && count_steps(f->first_index, last, step) < EDGES_MIN)
        step /= 2;
    return step;
}

/* Bucket 0 is what lies below the range, bucket i index first_index + i - 1, the last one has no
 * bound. */
static void choose_exponential(struct edges *out, const struct smx_family_info *f)
{
    size_t finite = f->n_buckets - 1;
    int last = f->first_index + (int)finite - 2;
    int step = finite > 1 ? choose_step(f, last) : 1;
    for (size_t i = 1; i < finite; i++) {
        int index = f->first_index + (int)i - 1;
        if (index % step == 0 || index == last)
            out->upto[out->n++] = i;
    }
}

/* The family's own wish before that for all; of two alike the later one. NULL: none. */
static const struct edges_wish *find_wish(const struct edges_wishes *wishes, struct smx_str family)
{
    const struct edges_wish *found = NULL;
    for (size_t i = 0; i < wishes->n; i++) {
        const struct edges_wish *wish = &wishes->at[i];
        if (label_equal(wish->family, family) ||
            (wish->family.length == 0 && (!found || found->family.length == 0)))
            found = wish;
    }
    return found;
}

/* The bucket whose finite bound is nearest by ratio; of two as near the lower one. */
static size_t nearest(const struct smx_family_info *f, double wanted)
{
    size_t last = f->n_buckets - 2, i = 0;
    while (i < last && f->upper_bounds[i] < wanted)
        i++;
    bool below = i > 0 && wanted / f->upper_bounds[i - 1] <= f->upper_bounds[i] / wanted;
    return below ? i - 1 : i;
}

static void choose_wished(struct edges *out, const struct smx_family_info *f,
                          const struct edges_wish *wish)
{
    for (size_t i = 0; i < wish->n; i++) {
        size_t bucket = nearest(f, wish->bounds[i]);
        if (out->n == 0 || bucket > out->upto[out->n - 1])
            out->upto[out->n++] = bucket;
    }
}

static void choose_explicit(struct edges *out, const struct smx_family_info *f)
{
    for (size_t i = 0; i + 1 < f->n_buckets; i++)
        out->upto[out->n++] = i;
}

static int put_texts(struct edges *out, const struct smx_family_info *f)
{
    struct buffer text = {0};
    for (size_t i = 0; i < out->n; i++) {
        char number[NUMBER_MAX];
        bool last = i + 1 == out->n;
        char *end = number_bound(number, f->upper_bounds[out->upto[i]]);
        size_t from = text.length;
        buffer_puts(&text, ",le=\"");
        if (last)
            buffer_puts(&text, "+Inf");
        else
            buffer_put(&text, number, (size_t)(end - number));
        buffer_puts(&text, "\"} ");
        out->ends[i] = text.length;
        if (text.length - from > out->widest)
            out->widest = text.length - from;
    }
    buffer_reserve(&text, RENDER_SLACK);
    out->text = text.at;
    return text.failed ? -ENOMEM : 0;
}

/* Add the bound that a text begins with, and say where it ends. */
static int add_bound(struct edges_wish *wish, const char *text, const char **end)
{
    char *after;
    double bound = strtod(text, &after);
    bool above = wish->n == 0 || bound > wish->bounds[wish->n - 1];
    if (after == text || !isfinite(bound) || bound <= 0 || !above)
        return -EINVAL;
    if (wish->n == EDGES_WISH_MAX)
        return -E2BIG;
    wish->bounds[wish->n++] = bound;
    *end = after;
    return 0;
}

int edges_wish_add(struct edges_wish *wish, const char *text)
{
    const char *end;
    int rc = add_bound(wish, text, &end);
    if (rc < 0 || !*end)
        return rc;
    wish->n--;
    return -EINVAL;
}

int edges_wish_parse(const char *text, struct edges_wish *out)
{
    const char *equals = strrchr(text, '=');
    const char *at = equals ? equals + 1 : text;
    *out = (struct edges_wish){.family = {text, equals ? (size_t)(equals - text) : 0}};
    if (equals == text)
        return -EINVAL;
    for (;;) {
        const char *end;
        if (add_bound(out, at, &end) < 0)
            return -EINVAL;
        if (*end == '\0')
            return 0;
        if (*end != ',')
            return -EINVAL;
        at = end + 1;
    }
}

int edges_init(struct edges *out, const struct smx_family_info *f,
               const struct edges_wishes *wishes)
{
    const struct edges_wish *wish = find_wish(wishes, f->name);
    *out = (struct edges){0};
    size_t *words = calloc(f->n_buckets + 1, 2 * sizeof *words);
    if (!words)
        return -ENOMEM;
    out->upto = words;
    out->ends = words + f->n_buckets + 1;
    if (f->exponential && wish)
        choose_wished(out, f, wish);
    else if (f->exponential)
        choose_exponential(out, f);
    else
        choose_explicit(out, f);
    out->upto[out->n++] = f->n_buckets - 1;
    int e = put_texts(out, f);
    if (e < 0)
        edges_fini(out);
    return e;
}

void edges_fini(struct edges *edges)
{
    free(edges->upto);
    free(edges->text);
    *edges = (struct edges){0};
}

bool edges_same(const struct smx_family_info *a, const struct smx_family_info *b)
{
    if (a->exponential != b->exponential || a->n_buckets != b->n_buckets)
        return false;
    if (a->exponential)
        return a->schema == b->schema && a->first_index == b->first_index;
    size_t bytes = (a->n_buckets - 1) * sizeof *a->upper_bounds;
    return bytes == 0 || memcmp(a->upper_bounds, b->upper_bounds, bytes) == 0;
}
