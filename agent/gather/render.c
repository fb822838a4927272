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
    bool worker = f->mode == SMX_EACH && label_equal(name, LABEL_STR("worker"));
    return worker || label_is_reserved(name);
}

/* The i-th label name of a family: first the segment's constant ones, then its own; a stateset's
 * name is one more. */
static struct smx_str label_at(const struct smx_segment_info *s, const struct smx_family_info *f,
                               size_t i)
{
    if (i < s->n_labels)
        return s->labels[i].name;
    return i - s->n_labels < f->n_labels ? f->labels[i - s->n_labels] : f->name;
}

static enum refusal judge(const struct smx_segment_info *s, const struct smx_family_info *f)
{
    if (label_is_reserved_family(f->name))
        return REFUSAL_RESERVED_NAME;
    size_t n = s->n_labels + f->n_labels + (f->type == SMX_STATESET);
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
    return f->type == SMX_HISTOGRAM || f->type == SMX_STATESET || f->mode == SMX_EACH;
}

/* The lines that a series takes. */
static uint64_t lines_of(const struct rendered *out, const struct smx_segment_info *s,
                         const struct smx_family_info *f)
{
    if (f->type == SMX_HISTOGRAM)
        return out->edges.n + 2;
    uint64_t states = f->type == SMX_STATESET ? f->n_states : 1;
    return states * (f->mode == SMX_EACH ? s->n_live + 1 : 1);
}

/* What the lines of a series end with, by state. */
static int render_states(struct rendered *out, const struct smx_family_info *f)
{
    struct buffer text = {0};
    out->states.ends = calloc(f->n_states + 1, sizeof *out->states.ends);
    for (size_t i = 0; out->states.ends && i < f->n_states; i++) {
        buffer_puts(&text, ",");
        buffer_put(&text, f->name.at, f->name.length);
        buffer_puts(&text, "=\"");
        label_escape(&text, f->states[i], LABEL_QUOTE_ALL);
        buffer_puts(&text, "\"} ");
        out->states.ends[i] = text.length;
    }
    buffer_reserve(&text, RENDER_SLACK);
    out->states.at = text.at;
    return text.failed || !out->states.ends ? -ENOMEM : 0;
}

/* The bytes of all lines of a family whose texts have `length` bytes so far. lines: of a series. */
static uint64_t lines_size(const struct rendered *out, const struct smx_family_info *f,
                           size_t length, size_t n_series, uint64_t lines)
{
    uint64_t states = f->n_states ? out->states.ends[f->n_states - 1] / f->n_states + 1 : 0;
    return (length + n_series * states) * lines;
}

/* Returns 0, -ENOMEM, -EFBIG when the lines would exceed *left. */
static int render_series(struct rendered *out, const struct smx_family_info *f,
                         const struct buffer *common, uint64_t lines, uint64_t *left)
{
    struct buffer text = {0};
    size_t k = 0;
    for (; k < f->n_series && lines_size(out, f, text.length, k, lines) <= *left; k++) {
        buffer_put(&text, f->name.at, f->name.length);
        if (f->type == SMX_HISTOGRAM)
            buffer_puts(&text, "_bucket");
        buffer_put(&text, common->at, common->length);
        put_series(&text, f, k);
        if (!goes_on(f))
            buffer_puts(&text, "} ");
        out->text.ends[k] = text.length;
    }
    const uint64_t size = lines_size(out, f, text.length, k, lines);
    if (size > *left) {
        buffer_fini(&text);
        return -EFBIG;
    }
    *left -= size;
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
    drop_bytes(&family->states);
    drop_bytes(&family->state_labels);
    edges_fini(&family->edges);
}

static int render_family(struct rendered *out, const struct smx_segment_info *s,
                         const struct smx_family_info *f, const struct buffer *common,
                         uint64_t *left)
{
    out->n_series = f->n_series;
    out->refusal = judge(s, f);
    if (out->refusal)
        return 0;
    out->text.ends = calloc(f->n_series + 1, sizeof *out->text.ends);
    if (!out->text.ends)
        return -ENOMEM;
    if (f->type == SMX_HISTOGRAM && edges_init(&out->edges, f) < 0)
        return -ENOMEM;
    if (f->type == SMX_STATESET && render_states(out, f) < 0)
        return -ENOMEM;
    int e = render_series(out, f, common, lines_of(out, s, f), left);
    if (e != -EFBIG)
        return e;
    drop_family(out);
    out->refusal = REFUSAL_SIZE;
    return 0;
}

int render_segment(struct rendered_segment *out, const smx_reader *reader)
{
    const struct smx_segment_info *s = smx_reader_info(reader);
    *out = (struct rendered_segment){.reader = reader,
                                     .epoch = smx_reader_epoch(reader),
                                     .device = s->device,
                                     .inode = s->inode,
                                     .created_ns = s->created_ns,
                                     .n_families = s->n_families};
    out->families = calloc(s->n_families + 1, sizeof *out->families);
    struct buffer common = {0};
    uint64_t left = lines_limit(s);
    put_common(&common, s);
    int e = out->families && !common.failed ? 0 : -ENOMEM;
    for (size_t i = 0; e == 0 && i < s->n_families; i++)
        e = render_family(&out->families[i], s, smx_reader_family(reader, i), &common, &left);
    buffer_fini(&common);
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

/* The label of each state, as a field of a Metric. */
static int render_state_labels(struct rendered *out, const struct smx_family_info *f)
{
    struct buffer labels = {0};
    drop_bytes(&out->state_labels);
    out->state_labels.ends = calloc(f->n_states + 1, sizeof *out->state_labels.ends);
    for (size_t i = 0; out->state_labels.ends && i < f->n_states; i++) {
        message_label(&labels, f->name, f->states[i]);
        out->state_labels.ends[i] = labels.length;
    }
    buffer_reserve(&labels, RENDER_SLACK);
    out->state_labels.at = labels.at;
    return labels.failed || !out->state_labels.ends ? -ENOMEM : 0;
}

static int render_family_messages(struct rendered *out, const struct smx_segment_info *s,
                                  const struct smx_family_info *f)
{
    struct buffer messages = {0}, labels = {0};
    drop_bytes(&out->message);
    out->message.ends = calloc(f->n_series + 1, sizeof *out->message.ends);
    for (size_t k = 0; out->message.ends && k < f->n_series; k++) {
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
    if (failed || !out->message.ends)
        return -ENOMEM;
    return f->type == SMX_STATESET ? render_state_labels(out, f) : 0;
}

int render_messages(struct rendered_segment *out)
{
    const struct smx_segment_info *s = smx_reader_info(out->reader);
    int e = 0;
    for (size_t i = 0; e == 0 && !out->has_messages && i < out->n_families; i++)
        if (!out->families[i].refusal && !out->families[i].message.at)
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
