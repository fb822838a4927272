/* SPDX-License-Identifier: MIT
 *
 * render.c - names and labels of a segment's series as text. Runs when a segment's names moved, so
 * its cost is not that of a scrape. Also judges what can be judged of a family by itself.
 */
#include "agent/gather/render.h"

#include "agent/encode/buffer.h"
#include "agent/gather/label.h"
#include "agent/gather/message.h"

#include <errno.h>
#include <stdlib.h>

static const struct {
    const char *name, *text;
} refusals[REFUSAL_COUNT] = {
    [REFUSAL_NONE] = {"none", "it is exposed"},
    [REFUSAL_RESERVED_NAME] = {"reserved_name",
                               "smx_agent_, smx_segment_, smx_process_, process_ and scrape_ are "
                               "prefixes of the agent's own metrics"},
    [REFUSAL_RESERVED_LABEL] =
        {"reserved_label", "it has a label that the agent sets itself: app, app_instance, le, "
                           "quantile, otel_metric_overflow, or worker in a gauge of mode each"},
    [REFUSAL_DUPLICATE_LABEL] = {"duplicate_label",
                                 "it has one of the segment's constant labels as its own"},
    [REFUSAL_DUPLICATE_SEGMENT] = {"duplicate_segment",
                                   "an older segment has the same application and instance name"},
    [REFUSAL_NAME_CLASH] = {"name_clash",
                            "an earlier family exposes samples of that name, or the other way "
                            "round, as the counter x_count and the histogram x"},
    [REFUSAL_TYPE] = {"type", "an earlier family of that name has another type"},
    [REFUSAL_UNIT] = {"unit", "an earlier family of that name has another unit"},
    [REFUSAL_BUCKETS] = {"buckets", "an earlier family of that name has other buckets"},
    [REFUSAL_SIZE] =
        {"size",
         "with it the lines of its segment would exceed 256 MiB, or 16 times what it holds"},
};

/* What one segment may add to a scrape. Lines cost their writer little: sixteen label names of a
 * thousand bytes, stored once, stand in each; and every scrape makes all of them in memory. So a
 * small segment may not add as much as a large one: lines take about as many bytes as their series,
 * three times as many where there are explicit buckets, and more with long constant labels. */
#define LINES_MAX   (UINT64_C(256) << 20)
#define LINES_LEAST (UINT64_C(8) << 20)
enum { LINES_FOR_A_BYTE = 16 };

static uint64_t lines_limit(const struct smx_segment_info *s)
{
    uint64_t limit = LINES_LEAST + LINES_FOR_A_BYTE * s->allocated_bytes;
    return limit < LINES_MAX ? limit : LINES_MAX;
}

const char *refusal_name(enum refusal refusal)
{
    return refusals[refusal].name;
}

const char *refusal_text(enum refusal refusal)
{
    return refusals[refusal].text;
}

/* That names are valid, and a family's own labels distinct, is the reader's affair. */
static bool is_taken(struct smx_str name, const struct smx_family_info *f)
{
    bool worker =
        f->type == SMX_GAUGE && f->mode == SMX_EACH && label_equal(name, LABEL_STR("worker"));
    return worker || label_is_reserved(name);
}

/* The i-th label name of a family: first the segment's constant ones, then its own. */
static struct smx_str label_at(const struct smx_segment_info *s, const struct smx_family_info *f,
                               size_t i)
{
    return i < s->n_labels ? s->labels[i].name : f->labels[i - s->n_labels];
}

static enum refusal judge(const struct smx_segment_info *s, const struct smx_family_info *f)
{
    if (label_is_reserved_family(f->name))
        return REFUSAL_RESERVED_NAME;
    size_t n = s->n_labels + f->n_labels;
    for (size_t i = 0; i < n; i++) {
        struct smx_str name = label_at(s, f, i);
        if (is_taken(name, f))
            return REFUSAL_RESERVED_LABEL;
        for (size_t k = 0; k < i; k++)
            if (label_equal(name, label_at(s, f, k)))
                return REFUSAL_DUPLICATE_LABEL;
    }
    return REFUSAL_NONE;
}

/* What all series of a segment begin with: {app="shop",app_instance="b",zone="x" */
static void put_common(struct buffer *out, const struct smx_segment_info *s)
{
    buffer_puts(out, "{");
    label_put(out, LABEL_STR("app"), s->app);
    if (s->instance.length)
        label_put(out, LABEL_STR("app_instance"), s->instance);
    for (size_t i = 0; i < s->n_labels; i++)
        label_put(out, s->labels[i].name, s->labels[i].value);
}

static void put_series(struct buffer *out, const struct smx_family_info *f, size_t k)
{
    const struct smx_series_info *series = &f->series[k];
    if (series->overflow) {
        label_put(out, LABEL_STR("otel_metric_overflow"), LABEL_STR("true"));
        return;
    }
    for (size_t i = 0; i < f->n_labels; i++)
        label_put(out, f->labels[i], series->values[i]);
}

static bool goes_on(const struct smx_family_info *f)
{
    return f->type == SMX_HISTOGRAM || (f->type == SMX_GAUGE && f->mode == SMX_EACH);
}

/* The lines that a series takes. */
static uint64_t lines_of(const struct rendered *out, const struct smx_segment_info *s,
                         const struct smx_family_info *f)
{
    if (f->type == SMX_HISTOGRAM)
        return out->edges.n + 2;
    return f->type == SMX_GAUGE && f->mode == SMX_EACH ? s->n_live + 1 : 1;
}

/* Whether a filter lets a series through: all its labels as they are exposed. */
static bool is_shown(const struct filter *filter, const struct smx_segment_info *s,
                     const struct smx_family_info *f, size_t k)
{
    const struct smx_series_info *series = &f->series[k];
    if (!filter)
        return true;
    bool shown = filter_has_label(filter, LABEL_STR("app"), s->app);
    if (s->instance.length)
        shown = shown && filter_has_label(filter, LABEL_STR("app_instance"), s->instance);
    for (size_t i = 0; i < s->n_labels && shown; i++)
        shown = filter_has_label(filter, s->labels[i].name, s->labels[i].value);
    for (size_t i = 0; i < f->n_labels && shown && !series->overflow; i++)
        shown = filter_has_label(filter, f->labels[i], series->values[i]);
    return shown;
}

static void put_text(struct buffer *text, const struct smx_family_info *f, size_t k,
                     const struct buffer *common)
{
    buffer_put(text, f->name.at, f->name.length);
    if (f->type == SMX_HISTOGRAM)
        buffer_puts(text, "_bucket");
    buffer_put(text, common->at, common->length);
    put_series(text, f, k);
    if (!goes_on(f))
        buffer_puts(text, "} ");
}

/* What all families of a segment have in common while it is rendered. */
struct rendering {
    const struct smx_segment_info *info;
    const struct filter *filter;
    struct buffer common;
    uint64_t left; /* of the bytes that its lines may take */
};

/* Returns 0, -ENOMEM, -EFBIG when the lines would exceed *left. */
static int render_series(struct rendered *out, const struct smx_family_info *f, uint64_t lines,
                         struct rendering *r)
{
    struct buffer text = {0};
    for (size_t k = 0; k < f->n_series && text.length <= r->left / lines; k++) {
        if (is_shown(r->filter, r->info, f, k))
            put_text(&text, f, k, &r->common);
        out->text.ends[k] = text.length;
    }
    if (text.length > r->left / lines) {
        buffer_fini(&text);
        return -EFBIG;
    }
    r->left -= text.length * lines;
    buffer_reserve(&text, RENDER_SLACK);
    out->text.at = text.at;
    return text.failed ? -ENOMEM : 0;
}

static void drop_bytes(struct kept_bytes *bytes)
{
    free(bytes->ends);
    free(bytes->at);
    *bytes = (struct kept_bytes){0};
}

static void drop_family(struct rendered *family)
{
    drop_bytes(&family->text);
    drop_bytes(&family->message);
    edges_fini(&family->edges);
}

static int render_family(struct rendered *out, const struct smx_family_info *f, struct rendering *r)
{
    out->n_series = f->n_series;
    out->hidden = !filter_has_family(r->filter, f->name);
    if (out->hidden)
        return 0;
    out->refusal = judge(r->info, f);
    if (out->refusal)
        return 0;
    out->text.ends = calloc(f->n_series + 1, sizeof *out->text.ends);
    if (!out->text.ends)
        return -ENOMEM;
    if (f->type == SMX_HISTOGRAM && edges_init(&out->edges, f) < 0)
        return -ENOMEM;
    int e = render_series(out, f, lines_of(out, r->info, f), r);
    if (e != -EFBIG)
        return e;
    drop_family(out);
    out->refusal = REFUSAL_SIZE;
    return 0;
}

int render_segment(struct rendered_segment *out, const smx_reader *reader,
                   const struct filter *filter)
{
    const struct smx_segment_info *s = smx_reader_info(reader);
    struct rendering r = {.info = s, .filter = filter, .left = lines_limit(s)};
    *out = (struct rendered_segment){.reader = reader,
                                     .epoch = smx_reader_epoch(reader),
                                     .device = s->device,
                                     .inode = s->inode,
                                     .created_ns = s->created_ns,
                                     .n_families = s->n_families,
                                     .filter = filter};
    out->families = calloc(s->n_families + 1, sizeof *out->families);
    put_common(&r.common, s);
    int e = out->families && !r.common.failed ? 0 : -ENOMEM;
    for (size_t i = 0; e == 0 && i < s->n_families; i++)
        e = render_family(&out->families[i], smx_reader_family(reader, i), &r);
    buffer_fini(&r.common);
    if (e < 0)
        render_fini(out);
    return e;
}

/* The labels of series k: the segment's, then its own. */
static void put_labels(struct buffer *out, const struct smx_segment_info *s,
                       const struct smx_family_info *f, size_t k)
{
    const struct smx_series_info *series = &f->series[k];
    message_label(out, LABEL_STR("app"), s->app);
    if (s->instance.length)
        message_label(out, LABEL_STR("app_instance"), s->instance);
    for (size_t i = 0; i < s->n_labels; i++)
        message_label(out, s->labels[i].name, s->labels[i].value);
    if (series->overflow)
        message_label(out, LABEL_STR("otel_metric_overflow"), LABEL_STR("true"));
    for (size_t i = 0; i < f->n_labels && !series->overflow; i++)
        message_label(out, f->labels[i], series->values[i]);
}

static int render_family_messages(struct rendered *out, const struct smx_segment_info *s,
                                  const struct smx_family_info *f)
{
    struct buffer messages = {0}, labels = {0};
    drop_bytes(&out->message);
    out->message.ends = calloc(f->n_series + 1, sizeof *out->message.ends);
    for (size_t k = 0; out->message.ends && k < f->n_series; k++) {
        out->message.ends[k] = messages.length;
        if (out->text.ends[k] == (k ? out->text.ends[k - 1] : 0))
            continue; /* hidden */
        labels.length = 0;
        put_labels(&labels, s, f, k);
        if (goes_on(f))
            buffer_put(&messages, labels.at, labels.length);
        else
            message_open(&messages, f->type, labels.at, labels.length);
        out->message.ends[k] = messages.length;
    }
    bool failed = labels.failed || buffer_reserve(&messages, RENDER_SLACK) < 0;
    buffer_fini(&labels);
    out->message.at = messages.at;
    return failed || !out->message.ends ? -ENOMEM : 0;
}

int render_messages(struct rendered_segment *out)
{
    const struct smx_segment_info *s = smx_reader_info(out->reader);
    int e = 0;
    for (size_t i = 0; e == 0 && !out->has_messages && i < out->n_families; i++)
        if (out->families[i].text.at && !out->families[i].message.at)
            e = render_family_messages(&out->families[i], s, smx_reader_family(out->reader, i));
    out->has_messages = e == 0;
    return e;
}

void render_fini(struct rendered_segment *segment)
{
    for (size_t i = 0; segment->families && i < segment->n_families; i++)
        drop_family(&segment->families[i]);
    free(segment->families);
    *segment = (struct rendered_segment){0};
}

/* The counts are compared although the epoch promises them: the encoders index by them. */
bool render_holds(const struct rendered_segment *segment, const smx_reader *reader)
{
    const struct smx_segment_info *s = smx_reader_info(reader);
    if (segment->reader != reader || segment->epoch != smx_reader_epoch(reader) ||
        segment->device != s->device || segment->inode != s->inode ||
        segment->created_ns != s->created_ns || segment->n_families != s->n_families)
        return false;
    for (size_t i = 0; i < s->n_families; i++)
        if (segment->families[i].n_series != smx_reader_family(reader, i)->n_series)
            return false;
    return true;
}
