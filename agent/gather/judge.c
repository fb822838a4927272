/* SPDX-License-Identifier: MIT
 *
 * judge.c - what can be judged of a family by itself: whether its name and its labels' may stand.
 */
#include "agent/gather/judge.h"

#include "agent/encode/buffer.h"
#include "agent/gather/escape.h"
#include "agent/gather/label.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* That names are valid, and a family's own labels distinct, is the reader's affair. */
bool judge_takes(struct smx_str name, const struct smx_family_info *f)
{
    bool worker = f->mode == SMX_EACH && label_equal(name, LABEL_STR("worker"));
    return worker || label_is_reserved(name);
}

struct smx_str judge_label(const struct smx_segment_info *s, const struct smx_family_info *f,
                           size_t i)
{
    if (i < s->n_labels)
        return s->labels[i].name;
    return i - s->n_labels < f->n_labels ? f->labels[i - s->n_labels] : f->name;
}

size_t judge_n_labels(const struct smx_segment_info *s, const struct smx_family_info *f)
{
    return s->n_labels + f->n_labels + (f->type == SMX_STATESET);
}

bool judge_has_label(const struct smx_segment_info *s, const struct smx_family_info *f,
                     struct smx_str name, enum escaping escaping)
{
    bool has = judge_takes(name, f);
    for (size_t i = 0; !has && i < judge_n_labels(s, f); i++) {
        struct buffer as = {0};
        escape_put(&as, judge_label(s, f, i), ESCAPE_LABEL, escaping);
        has = as.failed || label_equal((struct smx_str){as.at, as.length}, name);
        buffer_fini(&as);
    }
    return has;
}

static enum refusal judge_legacy(const struct smx_segment_info *s, const struct smx_family_info *f)
{
    if (label_is_reserved_family(f->name))
        return REFUSAL_RESERVED_NAME;
    size_t n = judge_n_labels(s, f);
    for (size_t i = 0; i < n; i++) {
        struct smx_str name = judge_label(s, f, i);
        if (judge_takes(name, f))
            return REFUSAL_RESERVED_LABEL;
        for (size_t k = 0; k < i; k++)
            if (label_equal(name, judge_label(s, f, k)))
                return REFUSAL_DUPLICATE_LABEL;
    }
    return REFUSAL_NONE;
}

static int by_text(const void *left, const void *right)
{
    const struct smx_str *a = left, *b = right;
    int order = memcmp(a->at, b->at, a->length < b->length ? a->length : b->length);
    return order ? order : (a->length > b->length) - (a->length < b->length);
}

/* The same of label names as they are after escaping: what was two may be one. */
static enum refusal judge_labels(struct smx_str names[], size_t n, const struct smx_family_info *f)
{
    for (size_t i = 0; i < n; i++)
        if (judge_takes(names[i], f) || label_equal(names[i], LABEL_STR("__name__")))
            return REFUSAL_RESERVED_LABEL;
    qsort(names, n, sizeof *names, by_text);
    for (size_t i = 1; i < n; i++)
        if (label_equal(names[i - 1], names[i]))
            return REFUSAL_DUPLICATE_LABEL;
    return REFUSAL_NONE;
}

static int judge_escaped(const struct smx_segment_info *s, const struct smx_family_info *f,
                         struct smx_str name, enum escaping escaping, enum refusal *out)
{
    size_t n = judge_n_labels(s, f), at = 0;
    struct buffer bytes = {0};
    struct smx_str *names = calloc(n + 1, sizeof *names);
    for (size_t i = 0; names && i < n; i++) {
        size_t before = bytes.length;
        escape_put(&bytes, judge_label(s, f, i), ESCAPE_LABEL, escaping);
        names[i].length = bytes.length - before;
    }
    bool failed = !names || buffer_reserve(&bytes, 1) < 0;
    for (size_t i = 0; !failed && i < n; at += names[i++].length)
        names[i].at = bytes.at + at;
    if (!failed)
        *out = label_is_reserved_family(name) ? REFUSAL_RESERVED_NAME : judge_labels(names, n, f);
    free(names);
    buffer_fini(&bytes);
    return failed ? -ENOMEM : 0;
}

int judge_family(const struct smx_segment_info *s, const struct smx_family_info *f,
                 struct rendered *out)
{
    if (!out->as) {
        out->refusal = judge_legacy(s, f);
        return 0;
    }
    int e = 0;
    for (unsigned i = 0; i < ESCAPING_COUNT && e == 0 && !out->refusal; i++)
        e = judge_escaped(s, f, out->as[i].name, (enum escaping)i, &out->refusal);
    return e;
}

bool judge_is_legacy(const struct smx_segment_info *s, const struct smx_family_info *f)
{
    for (size_t i = 0; i < judge_n_labels(s, f); i++)
        if (!escape_is_legacy(judge_label(s, f, i), ESCAPE_LABEL))
            return false;
    return escape_is_legacy(f->name, ESCAPE_METRIC);
}
