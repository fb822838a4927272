/* SPDX-License-Identifier: MIT
 *
 * render.c - names and labels of a segment's series as text. Runs when a segment's names moved, so
 * its cost is not that of a scrape.
 */
#include "agent/gather/render.h"

#include "agent/encode/buffer.h"
#include "agent/gather/judge.h"
#include "agent/gather/label.h"
#include "agent/gather/message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

/* The family in each escaping, as yet its name only. All names lie behind one another. A stateset's
 * is also a label's. Returns 0, -ENOMEM, -EFBIG when they would exceed *left: they are as cheap for
 * their writer as lines are. */
static int spell(struct rendered *out, const struct smx_family_info *f, uint64_t *left)
{
    enum escape_kind kind = f->type == SMX_STATESET ? ESCAPE_LABEL : ESCAPE_METRIC;
    struct buffer bytes = {0};
    struct rendered *as = calloc(ESCAPING_COUNT, sizeof *as);
    for (unsigned i = 0; as && i < ESCAPING_COUNT; i++) {
        size_t before = bytes.length;
        escape_put(&bytes, f->name, kind, (enum escaping)i);
        as[i].name.length = bytes.length - before;
        as[i].n_series = out->n_series;
    }
    if (!as || bytes.failed) {
        free(as);
        buffer_fini(&bytes);
        return -ENOMEM;
    }
    uint64_t size = bytes.length + ESCAPING_COUNT * sizeof *as;
    if (size > *left) {
        free(as);
        buffer_fini(&bytes);
        return -EFBIG;
    }
    *left -= size;
    const char *at = bytes.at;
    for (unsigned i = 0; i < ESCAPING_COUNT; at += as[i++].name.length)
        as[i].name.at = at;
    out->as = as;
    return 0;
}

/* A name that is not of the old alphabet stands in quotes, or escaped. */
static void put_label_name(struct buffer *out, struct smx_str name, enum escaping escaping)
{
    if (escaping == ESCAPING_UTF8 && !escape_is_legacy(name, ESCAPE_LABEL)) {
        buffer_puts(out, "\"");
        label_escape(out, name, LABEL_QUOTE_ALL);
        buffer_puts(out, "\"");
    } else {
        escape_put(out, name, ESCAPE_LABEL, escaping);
    }
}

static void put_label(struct buffer *out, struct smx_str name, struct smx_str value,
                      enum escaping escaping)
{
    struct buffer as = {0};
    put_label_name(&as, name, escaping);
    out->failed |= as.failed;
    if (!as.failed)
        label_put(out, (struct smx_str){as.at, as.length}, value);
    buffer_fini(&as);
}

/* What all series of a segment begin with: app="shop",app_instance="b",zone="x" */
static void put_common(struct buffer *out, const struct smx_segment_info *s, enum escaping escaping)
{
    label_put(out, LABEL_STR("app"), s->app);
    if (s->instance.length)
        label_put(out, LABEL_STR("app_instance"), s->instance);
    for (size_t i = 0; i < s->n_labels; i++)
        put_label(out, s->labels[i].name, s->labels[i].value, escaping);
}

/* A family in one escaping. */
struct spelling {
    const struct smx_segment_info *segment;
    const struct smx_family_info *family;
    const struct buffer *common;
    bool added[RENDER_LABELS_MAX]; /* of the rules' labels, those that its series get */
    const struct render_rules *rules;
    enum escaping escaping;
    bool legacy;
    struct smx_str name;
};

/* Choose the rules' labels for a family, and append them to what all series of it begin with. */
static void add_labels(struct buffer *common, struct spelling *in)
{
    for (size_t i = 0; i < in->rules->n_labels; i++) {
        const struct smx_label *label = &in->rules->labels[i];
        in->added[i] = !judge_has_label(in->segment, in->family, label->name, in->escaping);
        if (in->added[i])
            label_put(common, label->name, label->value);
    }
}

static void put_series(struct buffer *out, const struct spelling *in, size_t k)
{
    const struct smx_family_info *f = in->family;
    const struct smx_series_info *series = &f->series[k];
    if (series->overflow) {
        label_put(out, LABEL_STR("otel_metric_overflow"), LABEL_STR("true"));
        return;
    }
    for (size_t i = 0; i < f->n_labels; i++)
        if (in->legacy)
            label_put(out, f->labels[i], series->values[i]);
        else
            put_label(out, f->labels[i], series->values[i], in->escaping);
}

/* What stands behind the stem of a name in the texts. */
static struct smx_str suffix_of(const struct spelling *in)
{
    if (in->family->type == SMX_HISTOGRAM)
        return LABEL_STR("_bucket");
    bool total = in->family->type == SMX_COUNTER && label_is_total(in->name);
    return total ? LABEL_STR("_total") : LABEL_STR("");
}

/* name_bucket{ or, in quotes, {"name_bucket", and the labels that all have. */
static void put_begin(struct buffer *out, struct rendered *r, const struct spelling *in,
                      bool quoted)
{
    struct smx_str stem = in->name, suffix = suffix_of(in);
    size_t from = out->length;
    stem.length -= in->family->type == SMX_COUNTER ? suffix.length : 0;
    if (quoted) {
        buffer_puts(out, "{\"");
        label_escape(out, stem, LABEL_QUOTE_ALL);
    } else {
        buffer_put(out, stem.at, stem.length);
    }
    r->stem = out->length - from;
    r->suffix = suffix.length;
    buffer_put(out, suffix.at, suffix.length);
    buffer_puts(out, quoted ? "\"," : "{");
    buffer_put(out, in->common->at, in->common->length);
}

static bool goes_on(const struct smx_family_info *f)
{
    return f->type == SMX_HISTOGRAM || f->type == SMX_STATESET || f->mode == SMX_EACH;
}

/* The lines that a series takes; or their kept texts, of which there may be one for each escaping,
 * each longer than that by underscores. */
static uint64_t lines_of(const struct rendered *out, const struct smx_segment_info *s,
                         const struct smx_family_info *f)
{
    uint64_t ways = out->as ? ESCAPING_COUNT : 1;
    if (f->type == SMX_HISTOGRAM)
        return (out->edges.n + 2) * ways;
    uint64_t states = f->type == SMX_STATESET ? f->n_states : 1;
    return ways * states * (f->mode == SMX_EACH ? s->n_live + 1 : 1);
}

/* What the lines of a series end with, by state. */
static int render_states(struct rendered *out, const struct spelling *in)
{
    const struct smx_family_info *f = in->family;
    struct buffer text = {0}, name = {0};
    put_label_name(&name, f->name, in->escaping);
    out->states.ends = calloc(f->n_states + 1, sizeof *out->states.ends);
    for (size_t i = 0; out->states.ends && i < f->n_states; i++) {
        buffer_puts(&text, ",");
        buffer_put(&text, name.at, name.length);
        buffer_puts(&text, "=\"");
        label_escape(&text, f->states[i], LABEL_QUOTE_ALL);
        buffer_puts(&text, "\"} ");
        out->states.ends[i] = text.length;
    }
    buffer_reserve(&text, RENDER_SLACK);
    out->states.at = text.at;
    text.failed |= name.failed;
    buffer_fini(&name);
    return text.failed || !out->states.ends ? -ENOMEM : 0;
}

/* The bytes of all lines of a family whose texts have `length` bytes so far. lines: of a series. */
static uint64_t lines_size(const struct rendered *out, const struct smx_family_info *f,
                           size_t length, size_t n_series, uint64_t lines)
{
    const size_t *ends = out->states.ends; /* NULL without states */
    uint64_t states = ends && f->n_states ? ends[f->n_states - 1] / f->n_states + 1 : 0;
    return (length + n_series * states) * lines;
}

/* Returns 0, -ENOMEM, -EFBIG when the lines would exceed *left. */
static int render_series(struct rendered *out, const struct spelling *in, uint64_t lines,
                         uint64_t *left)
{
    const struct smx_family_info *f = in->family;
    struct buffer text = {0};
    bool quoted = in->escaping == ESCAPING_UTF8 && !escape_is_legacy(in->name, ESCAPE_METRIC);
    out->text.ends = calloc(f->n_series + 1, sizeof *out->text.ends);
    if (!out->text.ends)
        return -ENOMEM;
    size_t k = 0;
    for (; k < f->n_series && lines_size(out, f, text.length, k, lines) <= *left; k++) {
        if (filter_has_series(in->rules->filter, in->segment, f, k)) {
            put_begin(&text, out, in, quoted);
            put_series(&text, in, k);
            if (!goes_on(f))
                buffer_puts(&text, "} ");
        }
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
    for (unsigned i = 0; family->as && i < ESCAPING_COUNT; i++) {
        drop_bytes(&family->as[i].text);
        drop_bytes(&family->as[i].message);
        drop_bytes(&family->as[i].states);
        drop_bytes(&family->as[i].state_labels);
    }
    if (family->as)
        free((char *)family->as[0].name.at);
    free(family->as);
    family->as = NULL;
    drop_bytes(&family->text);
    drop_bytes(&family->message);
    drop_bytes(&family->states);
    drop_bytes(&family->state_labels);
    edges_fini(&family->edges);
}

static int render_new(struct rendered *out, const struct spelling *in, uint64_t *left)
{
    const struct smx_family_info *f = in->family;
    struct spelling one = *in;
    out->n_series = f->n_series;
    out->hidden = !filter_has_family(in->rules->filter, f->name);
    if (out->hidden)
        return 0;
    one.legacy = judge_is_legacy(in->segment, f);
    int e = one.legacy ? 0 : spell(out, f, left);
    if (e == 0)
        e = judge_family(in->segment, f, out);
    if (e == 0 && !out->refusal && f->type == SMX_HISTOGRAM)
        e = edges_init(&out->edges, f, &in->rules->wishes);
    if (e == 0 && !out->refusal && f->type == SMX_STATESET)
        e = render_states(out, &one);
    if (e < 0 || out->refusal)
        return e;
    one.name = out->as ? out->as[in->escaping].name : f->name;
    return render_series(out, &one, lines_of(out, in->segment, f), left);
}

static int render_family(struct rendered *out, const struct spelling *in, uint64_t *left)
{
    int e = render_new(out, in, left);
    if (e != -EFBIG)
        return e;
    drop_family(out);
    out->refusal = REFUSAL_SIZE;
    return 0;
}

int render_segment(struct rendered_segment *out, const smx_reader *reader,
                   const struct render_rules *rules)
{
    const struct smx_segment_info *s = smx_reader_info(reader);
    *out = (struct rendered_segment){.reader = reader,
                                     .epoch = smx_reader_epoch(reader),
                                     .device = s->device,
                                     .inode = s->inode,
                                     .created_ns = s->created_ns,
                                     .n_families = s->n_families,
                                     .rules = rules};
    out->families = calloc(s->n_families + 1, sizeof *out->families);
    struct buffer common = {0};
    uint64_t left = lines_limit(s);
    put_common(&common, s, ESCAPING_UNDERSCORES);
    int e = out->families && !common.failed ? 0 : -ENOMEM;
    for (size_t i = 0; e == 0 && i < s->n_families; i++) {
        struct spelling in = {.segment = s,
                              .family = smx_reader_family(reader, i),
                              .common = &common,
                              .rules = rules};
        size_t length = common.length;
        add_labels(&common, &in);
        e = common.failed ? -ENOMEM : render_family(&out->families[i], &in, &left);
        common.length = length;
    }
    buffer_fini(&common);
    if (e < 0)
        render_fini(out);
    return e;
}

/* A label as a message, its name escaped. */
static void put_message_label(struct buffer *out, struct smx_str name, struct smx_str value,
                              const struct spelling *in)
{
    struct buffer as = {0};
    if (in->legacy) {
        message_label(out, name, value);
        return;
    }
    escape_put(&as, name, ESCAPE_LABEL, in->escaping);
    out->failed |= as.failed;
    if (!as.failed)
        message_label(out, (struct smx_str){as.at, as.length}, value);
    buffer_fini(&as);
}

/* The labels of series k: the segment's, then its own. */
static void put_labels(struct buffer *out, const struct spelling *in, size_t k)
{
    const struct smx_segment_info *s = in->segment;
    const struct smx_family_info *f = in->family;
    const struct smx_series_info *series = &f->series[k];
    message_label(out, LABEL_STR("app"), s->app);
    if (s->instance.length)
        message_label(out, LABEL_STR("app_instance"), s->instance);
    for (size_t i = 0; i < s->n_labels; i++)
        put_message_label(out, s->labels[i].name, s->labels[i].value, in);
    for (size_t i = 0; i < in->rules->n_labels; i++)
        if (in->added[i])
            message_label(out, in->rules->labels[i].name, in->rules->labels[i].value);
    if (series->overflow)
        message_label(out, LABEL_STR("otel_metric_overflow"), LABEL_STR("true"));
    for (size_t i = 0; i < f->n_labels && !series->overflow; i++)
        put_message_label(out, f->labels[i], series->values[i], in);
}

/* The label of each state, as a field of a Metric. */
static int render_state_labels(struct rendered *out, const struct spelling *in)
{
    const struct smx_family_info *f = in->family;
    struct buffer labels = {0};
    drop_bytes(&out->state_labels);
    out->state_labels.ends = calloc(f->n_states + 1, sizeof *out->state_labels.ends);
    for (size_t i = 0; out->state_labels.ends && i < f->n_states; i++) {
        message_label(&labels, in->name, f->states[i]);
        out->state_labels.ends[i] = labels.length;
    }
    buffer_reserve(&labels, RENDER_SLACK);
    out->state_labels.at = labels.at;
    return labels.failed || !out->state_labels.ends ? -ENOMEM : 0;
}

static int render_messages(struct rendered *out, const struct spelling *in)
{
    const struct smx_family_info *f = in->family;
    struct buffer messages = {0}, labels = {0};
    out->message.ends = calloc(f->n_series + 1, sizeof *out->message.ends);
    for (size_t k = 0; out->message.ends && k < f->n_series; k++) {
        out->message.ends[k] = messages.length;
        if (!filter_has_series(in->rules->filter, in->segment, f, k))
            continue;
        labels.length = 0;
        put_labels(&labels, in, k);
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
    return f->type == SMX_STATESET ? render_state_labels(out, in) : 0;
}

/* What a failed attempt has left is made anew. */
static int render_spelling(struct rendered *out, const struct spelling *in, bool messages)
{
    uint64_t unlimited = UINT64_MAX;
    int e = 0;
    if (!out->text.at) {
        drop_bytes(&out->text);
        drop_bytes(&out->states);
        if (in->family->type == SMX_STATESET)
            e = render_states(out, in);
        if (e == 0)
            e = render_series(out, in, 1, &unlimited);
    }
    if (e == 0 && messages && !out->message.at) {
        drop_bytes(&out->message);
        e = render_messages(out, in);
    }
    return e;
}

/* Every family, or where an escaping makes a difference, in that. */
static int render_escaping(struct rendered_segment *out, enum escaping escaping, bool messages)
{
    const struct smx_segment_info *s = smx_reader_info(out->reader);
    struct buffer common = {0};
    put_common(&common, s, escaping);
    int e = common.failed ? -ENOMEM : 0;
    for (size_t i = 0; e == 0 && i < out->n_families; i++) {
        struct rendered *r = &out->families[i];
        const struct smx_family_info *f = smx_reader_family(out->reader, i);
        struct rendered *as = r->as && escaping ? &r->as[escaping] : r;
        struct spelling in = {.segment = s,
                              .family = f,
                              .common = &common,
                              .escaping = escaping,
                              .legacy = !r->as,
                              .name = r->as ? r->as[escaping].name : f->name,
                              .rules = out->rules};
        if (r->refusal || r->hidden || (!r->as && escaping))
            continue;
        as->edges = r->edges;
        size_t length = common.length;
        add_labels(&common, &in);
        e = common.failed ? -ENOMEM : render_spelling(as, &in, messages);
        common.length = length;
    }
    buffer_fini(&common);
    return e;
}

int render_wanted(struct rendered_segment *out, const struct render_wants *wants)
{
    bool messages = wants->messages && !out->has.messages;
    int e = 0;
    for (unsigned i = 0; e == 0 && i < ESCAPING_COUNT; i++)
        if ((i == ESCAPING_UNDERSCORES && messages) ||
            (wants->escapings[i] && (messages || !out->has.escapings[i])))
            e = render_escaping(out, (enum escaping)i, wants->messages);
    if (e == 0)
        out->has = *wants;
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
