/* SPDX-License-Identifier: MIT
 *
 * merge.c - one list of families out of many segments. The first that claims a name keeps it; a
 * later one joins if it is of the same kind, and is left out otherwise. Nobody's mistake takes
 * anything from those before.
 */
#include "agent/gather/merge.h"

#include "agent/gather/claims.h"
#include "agent/gather/label.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct merger {
    struct merged *out;
    struct claims claims;
    struct part **tails; /* by family: its last part */
    struct buffer words; /* strings of the conflicts, as offsets until the end */
};

/* Escaped, for a refused name may hold anything, and goes to the log and the landing page. */
static void put_word(struct buffer *words, struct smx_str text)
{
    label_escape(words, text, LABEL_QUOTE_ALL);
    buffer_put(words, "", 1);
}

/* The three strings follow each other in words; merge_init() points at them when they have their
 * final place. */
static void refuse(struct merger *m, const struct smx_segment_info *s, struct smx_str name,
                   enum refusal refusal)
{
    m->out->conflicts[m->out->n_conflicts++] =
        (struct gather_conflict){.reason = refusal_name(refusal), .why = refusal_text(refusal)};
    put_word(&m->words, name);
    put_word(&m->words, s->app);
    put_word(&m->words, s->instance);
}

static enum refusal compare(const struct smx_family_info *first, const struct smx_family_info *f)
{
    if (first->type != f->type)
        return REFUSAL_TYPE;
    if (!label_equal(first->unit, f->unit))
        return REFUSAL_UNIT;
    if (f->type == SMX_HISTOGRAM && !edges_same(first, f))
        return REFUSAL_BUCKETS;
    return REFUSAL_NONE;
}

/* May this family join the one of its name? */
static enum refusal judge(const struct merger *m, const struct merged_part *p, size_t *family)
{
    const struct smx_family_info *f = p->part.family;
    if (p->part.rendered->refusal)
        return p->part.rendered->refusal;
    bool owned = claims_owner(&m->claims, f->name, family);
    if (!owned || !label_equal(m->out->families[*family].name, f->name)) {
        *family = m->out->n_families;
        return claims_clash(&m->claims, f, p->part.rendered) ? REFUSAL_NAME_CLASH : REFUSAL_NONE;
    }
    return compare(m->out->families[*family].first->family, f);
}

static void join(struct merger *m, struct merged_part *p, size_t family)
{
    struct merged *out = m->out;
    if (family == out->n_families) {
        out->families[out->n_families++] =
            (struct exposed){.name = p->part.family->name, .first = &p->part};
        claims_add(&m->claims, p->part.family, p->part.rendered, family);
    } else {
        m->tails[family]->next = &p->part;
    }
    m->tails[family] = &p->part;
    out->n_parts++;
}

static void merge_segment(struct merger *m, const struct rendered_segment *segment, size_t index)
{
    for (size_t i = 0; i < segment->n_families; i++) {
        struct merged_part *p = &m->out->parts[m->out->n_parts];
        *p = (struct merged_part){.part = {.family = smx_reader_family(segment->reader, i),
                                           .rendered = &segment->families[i],
                                           .created_ns = segment->created_ns},
                                  .segment = index,
                                  .family = i};
        if (segment->families[i].hidden)
            continue;
        size_t family;
        enum refusal refusal = judge(m, p, &family);
        if (refusal)
            refuse(m, smx_reader_info(segment->reader), p->part.family->name, refusal);
        else
            join(m, p, family);
    }
}

/* Series of two segments of the same application and instance would be the same series. */
static bool is_duplicate(const struct rendered_segment *const segments[], size_t index)
{
    const struct smx_segment_info *s = smx_reader_info(segments[index]->reader);
    for (size_t i = 0; i < index; i++) {
        const struct smx_segment_info *other = smx_reader_info(segments[i]->reader);
        if (label_equal(s->app, other->app) && label_equal(s->instance, other->instance))
            return true;
    }
    return false;
}

static int reserve(struct merger *m, const struct rendered_segment *const segments[], size_t n,
                   bool created)
{
    size_t total = 0, spellings = 0;
    for (size_t i = 0; i < n; i++) {
        total += segments[i]->n_families;
        for (size_t k = 0; k < segments[i]->n_families; k++)
            spellings += claims_spellings(&segments[i]->families[k]);
    }
    struct merged *out = m->out;
    out->families = calloc(total + 1, sizeof *out->families);
    out->parts = calloc(total + 1, sizeof *out->parts);
    out->left_out = calloc(n + 1, sizeof *out->left_out);
    out->conflicts = calloc(total + n + 1, sizeof *out->conflicts);
    m->tails = calloc(total + 1, sizeof *m->tails);
    bool ok = out->families && out->parts && out->left_out && out->conflicts && m->tails;
    return ok ? claims_init(&m->claims, spellings, created) : -ENOMEM;
}

static const char *next_word(const char **at)
{
    const char *word = *at;
    *at += strlen(word) + 1;
    return word;
}

static int keep_words(struct merger *m)
{
    struct merged *out = m->out;
    if (m->words.failed)
        return -ENOMEM;
    out->words = m->words.at;
    m->words = (struct buffer){0};
    const char *at = out->words;
    for (size_t i = 0; i < out->n_conflicts; i++) {
        out->conflicts[i].name = next_word(&at);
        out->conflicts[i].app = next_word(&at);
        out->conflicts[i].instance = next_word(&at);
    }
    return 0;
}

int merge_init(struct merged *out, const struct rendered_segment *const segments[], size_t n,
               bool created)
{
    *out = (struct merged){.n_segments = n};
    struct merger m = {.out = out};
    int e = reserve(&m, segments, n, created);
    for (size_t i = 0; e == 0 && i < n; i++) {
        const struct smx_segment_info *s = smx_reader_info(segments[i]->reader);
        out->left_out[i] = is_duplicate(segments, i);
        if (out->left_out[i])
            refuse(&m, s, (struct smx_str){s->path, strlen(s->path)}, REFUSAL_DUPLICATE_SEGMENT);
        else
            merge_segment(&m, segments[i], i);
    }
    if (e == 0)
        e = keep_words(&m);
    claims_fini(&m.claims);
    free(m.tails);
    buffer_fini(&m.words);
    if (e < 0)
        merge_fini(out);
    return e;
}

void merge_point(struct merged *merged, const struct rendered_segment *const segments[])
{
    for (size_t i = 0; i < merged->n_parts; i++) {
        struct merged_part *p = &merged->parts[i];
        p->part.family = smx_reader_family(segments[p->segment]->reader, p->family);
        p->part.app = smx_reader_info(segments[p->segment]->reader)->app;
    }
    for (size_t i = 0; i < merged->n_families; i++) {
        struct exposed *e = &merged->families[i];
        const struct smx_family_info *f = e->first->family;
        *e = (struct exposed){.name = f->name,
                              .as = e->first->rendered->as,
                              .help = f->help,
                              .unit = f->unit,
                              .type = f->type,
                              .first = e->first};
    }
}

void merge_fini(struct merged *merged)
{
    free(merged->families);
    free(merged->parts);
    free(merged->left_out);
    free(merged->conflicts);
    free(merged->words);
    *merged = (struct merged){0};
}
