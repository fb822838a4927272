/* SPDX-License-Identifier: MIT
 *
 * proto.c - the protocol buffers exposition. Written by hand, not by a library: a tree of messages
 * for each series and scrape would cost many times what the text costs, and the messages of
 * counters and gauges differ from scrape to scrape in eight bytes only.
 *
 * A histogram goes out with the classic buckets of the text formats; an exponential one with its
 * native buckets, too: a scraper takes one or the other. Its bucket 0, zero and all below the
 * range, is the native zero bucket, whose threshold is that bucket's bound. What lies above the
 * range is in the bucket of infinity: all that is known of it is that it is larger.
 * Source: metrics.proto of github.com/prometheus/client_model.
 */
#include "agent/encode/proto.h"

#include "agent/encode/kept.h"
#include "agent/encode/examples.h"
#include "agent/encode/number.h"
#include "agent/encode/slice.h"
#include "agent/encode/wire.h"
#include "agent/gather/message.h"
#include "agent/gather/snapshot.h"

#include <errno.h>
#include <math.h>

enum { FAMILY_NAME = 1, FAMILY_HELP = 2, FAMILY_TYPE = 3, FAMILY_UNIT = 5 };
enum { TYPE_COUNTER = 0, TYPE_GAUGE = 1, TYPE_HISTOGRAM = 4 };
enum {
    HISTOGRAM_COUNT = 1,
    HISTOGRAM_SUM = 2,
    HISTOGRAM_BUCKET = 3,
    HISTOGRAM_SCHEMA = 5,
    HISTOGRAM_ZERO_THRESHOLD = 6,
    HISTOGRAM_ZERO_COUNT = 7,
    HISTOGRAM_SPAN = 12,
    HISTOGRAM_DELTA = 13,
    HISTOGRAM_EXEMPLAR = 16,
};
enum { BUCKET_COUNT = 1, BUCKET_BOUND = 2, BUCKET_EXEMPLAR = 3, SPAN_OFFSET = 1, SPAN_LENGTH = 2 };
enum { COUNTER_EXEMPLAR = 2, EXEMPLAR_LABEL = 1, EXEMPLAR_VALUE = 2, EXEMPLAR_TIME = 3 };
enum { TIME_SECONDS = 1, TIME_NANOS = 2 };

/* Upper limits: of a field's head, a classic bucket, what a native bucket adds (a span and a
 * delta), a worker's label and value, the rest. */
enum { HEAD_MAX = 2 + WIRE_VARINT_MAX, CLASSIC_MAX = 40, NATIVE_MAX = 30 };
enum { WORKER_MAX = 48, REST_MAX = 80 };
/* Of an exemplar: 128 characters of four bytes, the heads of sixteen labels, value and time. */
enum { EXEMPLAR_MAX = 4 * SMX_EXEMPLAR_CHARACTERS + 9 * SMX_LABELS_MAX + 64 };
/* What one adds to a part: once in a bucket, once in a native histogram, each in longer heads. */
enum { EXEMPLAR_ROOM = 2 * (EXEMPLAR_MAX + 3 * HEAD_MAX) };

/* A label worker="" without its number: two heads and the name. */
enum { LABEL_OVERHEAD = 2 + 6 + 2 };

static struct smx_str kept_message(const struct part *p, size_t k)
{
    return kept_of(&p->rendered->message, k);
}

static char *put_label(char *to, struct smx_str name, struct smx_str value)
{
    to = wire_open(to, EXEMPLAR_LABEL,
                   2 + wire_size(name.length) + name.length + wire_size(value.length) +
                       value.length);
    to = wire_string(to, 1, name.at, name.length);
    return wire_string(to, 2, value.at, value.length);
}

static char *put_exemplar(char *to, unsigned field, const struct smx_family_info *f,
                          const struct smx_exemplar *e)
{
    const uint64_t seconds = e->time_ns / 1000000000, nanos = e->time_ns % 1000000000;
    char *at = wire_begin(to, wire_size(field << 3), EXEMPLAR_MAX);
    for (size_t i = 0; i < e->n_labels; i++)
        at = put_label(at, e->labels[i].name, e->labels[i].value);
    at = wire_double(at, EXEMPLAR_VALUE, number_scaled(e->value, f->digits));
    at = wire_open(at, EXEMPLAR_TIME, 2 + wire_size(seconds) + wire_size(nanos));
    at = wire_uint(at, TIME_SECONDS, seconds);
    at = wire_uint(at, TIME_NANOS, nanos);
    return wire_end(to, field, EXEMPLAR_MAX, at);
}

/* A counter with an exemplar. What is kept of it - a head, the labels, the heads of a Counter and
 * of its value - gives the labels. */
static char *put_example(struct smx_str message, const struct smx_family_info *f, uint64_t count,
                         const struct smx_exemplar *e, char *to)
{
    enum { TAIL = 3, VALUE_SIZE = 1 + sizeof(double), SAMPLE_SIZE = 2 + VALUE_SIZE };
    size_t head = 2;
    while (1 + wire_size(message.length - TAIL - head + SAMPLE_SIZE) != head)
        head++;
    const size_t labels = message.length - TAIL - head;
    const size_t most = VALUE_SIZE + HEAD_MAX + EXEMPLAR_MAX;
    char *metric = wire_begin(to, 1, labels + HEAD_MAX + most);
    char *counter = kept_put(metric, message.at + head, labels);
    char *at =
        wire_double(wire_begin(counter, 1, most), MESSAGE_VALUE, number_scaled(count, f->digits));
    at = put_exemplar(at, COUNTER_EXEMPLAR, f, e);
    at = wire_end(counter, MESSAGE_COUNTER, most, at);
    return wire_end(to, MESSAGE_METRIC, labels + HEAD_MAX + most, at);
}

static char *put_counters(const struct part *p, char *to)
{
    const struct smx_family_info *f = p->family;
    struct examples examples = examples_of(p);
    for (size_t k = 0; k < f->n_series; k++) {
        const struct smx_series_info *s = &f->series[k];
        if (s->overflow && s->count == 0)
            continue;
        struct smx_str message = kept_message(p, k);
        if (!message.length)
            continue;
        const struct smx_exemplar *e = examples_take(&examples, k, 0);
        if (e) {
            to = put_example(message, f, s->count, e, to);
            continue;
        }
        to = kept_put(to, message.at, message.length);
        to = wire_fixed64(to, number_scaled(s->count, f->digits));
    }
    return to;
}

static double gauge_value(const struct smx_family_info *f, const struct smx_series_info *s)
{
    return f->is_double ? s->real : (double)s->integer;
}

static char *put_gauges(const struct part *p, char *to)
{
    const struct smx_family_info *f = p->family;
    for (size_t k = 0; k < f->n_series; k++) {
        const struct smx_series_info *s = &f->series[k];
        if (!s->present || (s->overflow && gauge_value(f, s) == 0))
            continue;
        struct smx_str message = kept_message(p, k);
        if (!message.length)
            continue;
        to = kept_put(to, message.at, message.length);
        to = wire_fixed64(to, gauge_value(f, s));
    }
    return to;
}

/* A Metric of a gauge that is not kept as a whole: the kept labels, worker="3" if there is a
 * worker, a state if there is one, the value. */
static char *put_metric(struct smx_str labels, const struct smx_each *each, struct smx_str state,
                        double value, char *to)
{
    const size_t most = labels.length + state.length + WORKER_MAX;
    char *at = wire_begin(to, 1, most);
    at = kept_put(at, labels.at, labels.length);
    if (each) {
        char digits[NUMBER_MAX];
        size_t n = (size_t)(number_u64(digits, each->worker) - digits);
        at = wire_open(at, MESSAGE_LABEL, LABEL_OVERHEAD + n);
        at = wire_string(at, 1, "worker", 6);
        at = wire_string(at, 2, digits, n);
    }
    at = kept_put(at, state.at, state.length);
    at = wire_open(at, MESSAGE_GAUGE, 1 + sizeof(double));
    at = wire_double(at, MESSAGE_VALUE, value);
    return wire_end(to, MESSAGE_METRIC, most, at);
}

static char *put_workers(struct smx_str labels, const struct smx_each_list *list, bool is_double,
                         char *to)
{
    for (size_t i = 0; i < list->n; i++) {
        const struct smx_each *each = &list->at[i];
        to = put_metric(labels, each, (struct smx_str){"", 0},
                        is_double ? each->value.real : (double)each->value.integer, to);
    }
    return to;
}

static char *put_states(const struct part *p, size_t k, const struct smx_each *each, uint64_t bits,
                        char *to)
{
    for (size_t i = 0; i < p->family->n_states; i++)
        to = put_metric(kept_message(p, k), each, kept_of(&p->rendered->state_labels, i),
                        bits >> i & 1 ? 1 : 0, to);
    return to;
}

static char *put_statesets(const struct part *p, char *to)
{
    const struct smx_family_info *f = p->family;
    for (size_t k = 0; k < f->n_series; k++) {
        const struct smx_series_info *s = &f->series[k];
        const size_t n = f->mode == SMX_EACH ? s->each.n : 0;
        if (!kept_message(p, k).length)
            continue;
        for (size_t i = 0; s->present && i < n; i++)
            to = put_states(p, k, &s->each.at[i], (uint64_t)s->each.at[i].value.integer, to);
        if (s->present && f->mode != SMX_EACH)
            to = put_states(p, k, NULL, (uint64_t)s->integer, to);
    }
    return to;
}

static char *put_each(const struct part *p, char *to)
{
    const struct smx_family_info *f = p->family;
    for (size_t k = 0; k < f->n_series; k++)
        if (f->series[k].present && kept_message(p, k).length)
            to = put_workers(kept_message(p, k), &f->series[k].each, f->is_double, to);
    return to;
}

/* Cumulative counts of the bounds that the text formats have. */
static char *put_classic(const struct part *p, size_t k, struct examples examples, char *to)
{
    const struct smx_family_info *f = p->family;
    const struct edges *edges = &p->rendered->edges;
    const uint64_t *buckets = f->series[k].histogram->buckets;
    uint64_t sum = 0;
    size_t bucket = 0;
    for (size_t i = 0; i < edges->n; i++) {
        for (; bucket <= edges->upto[i]; bucket++)
            sum += buckets[bucket];
        double bound = i + 1 == edges->n ? INFINITY : f->upper_bounds[edges->upto[i]];
        const struct smx_exemplar *e = examples_take(&examples, k, edges->upto[i]);
        const size_t most = CLASSIC_MAX + (e ? HEAD_MAX + EXEMPLAR_MAX : 0);
        char *at = wire_uint(wire_begin(to, 1, most), BUCKET_COUNT, sum);
        at = wire_double(at, BUCKET_BOUND, bound);
        if (e)
            at = put_exemplar(at, BUCKET_EXEMPLAR, f, e);
        to = wire_end(to, HISTOGRAM_BUCKET, most, at);
    }
    return to;
}

/* The native index of a bucket that is not the first: infinity's follows that of the greatest
 * double, 2^1024, which is 1024 * 2^schema. */
static int native_index(const struct smx_family_info *f, size_t bucket)
{
    if (bucket + 1 < f->n_buckets)
        return f->first_index + (int)bucket - 1;
    return (f->schema >= 0 ? 1024 << f->schema : 1024 >> -f->schema) + 1;
}

static char *put_span(char *to, int offset, uint32_t length)
{
    to = wire_open(to, HISTOGRAM_SPAN, 1 + wire_size(wire_zigzag(offset)) + 1 + wire_size(length));
    to = wire_uint(to, SPAN_OFFSET, wire_zigzag(offset));
    return wire_uint(to, SPAN_LENGTH, length);
}

/* Runs of buckets with counts: the first offset is an index, the others are distances. A histogram
 * without any has one empty run, for Prometheus to see that it is native. */
static char *put_spans(const struct smx_family_info *f, const uint64_t *buckets, char *to)
{
    int end = 0; /* the index behind the last run */
    size_t runs = 0;
    for (size_t i = 1; i < f->n_buckets; i++) {
        if (buckets[i] == 0)
            continue;
        int from = native_index(f, i);
        uint32_t length = 1;
        while (i + 1 < f->n_buckets && buckets[i + 1] &&
               native_index(f, i + 1) == from + (int)length) {
            length++;
            i++;
        }
        to = put_span(to, from - end, length);
        end = from + (int)length;
        runs++;
    }
    return runs ? to : put_span(to, 0, 0);
}

/* Each count as its distance from the one before, packed. */
static char *put_deltas(const struct smx_family_info *f, const uint64_t *buckets, char *to)
{
    const size_t most = f->n_buckets * WIRE_VARINT_MAX;
    char *body = wire_begin(to, 1, most);
    char *at = body;
    uint64_t last = 0;
    for (size_t i = 1; i < f->n_buckets; i++) {
        if (buckets[i] == 0)
            continue;
        at = wire_varint(at, wire_zigzag((int64_t)(buckets[i] - last)));
        last = buckets[i];
    }
    return at == body ? to : wire_end(to, HISTOGRAM_DELTA, most, at);
}

static char *put_native(const struct smx_family_info *f, const uint64_t *buckets, char *to)
{
    to = wire_uint(to, HISTOGRAM_SCHEMA, wire_zigzag(f->schema));
    to = wire_double(to, HISTOGRAM_ZERO_THRESHOLD, f->upper_bounds[0]);
    to = wire_uint(to, HISTOGRAM_ZERO_COUNT, buckets[0]);
    to = put_spans(f, buckets, to);
    return put_deltas(f, buckets, to);
}

/* The count is the sum of the buckets that go out, whatever the segment says. */
static uint64_t count_of(const struct smx_family_info *f, const uint64_t *buckets)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < f->n_buckets; i++)
        sum += buckets[i];
    return sum;
}

/* Take those of one series. */
static struct examples examples_of_series(struct examples *e, size_t series)
{
    while (e->at < e->end && e->at->series < e->first + series)
        e->at++;
    struct examples mine = *e;
    while (e->at < e->end && e->at->series == e->first + series)
        e->at++;
    mine.end = e->at;
    return mine;
}

/* The bytes of a histogram's body, at most. */
static size_t histogram_room(const struct part *p)
{
    return p->rendered->edges.n * CLASSIC_MAX + p->family->n_buckets * NATIVE_MAX + REST_MAX;
}

static char *put_histogram(const struct part *p, size_t k, struct examples *examples, char *to)
{
    const struct smx_family_info *f = p->family;
    const struct smx_histogram_info *h = f->series[k].histogram;
    struct smx_str labels = kept_message(p, k);
    const struct examples mine = examples_of_series(examples, k);
    if (!labels.length)
        return to;
    const size_t most = histogram_room(p) + (size_t)(mine.end - mine.at) * EXEMPLAR_ROOM;
    const size_t metric_most = labels.length + HEAD_MAX + most;
    char *metric = wire_begin(to, 1, metric_most);
    char *histogram = kept_put(metric, labels.at, labels.length);
    char *at = wire_begin(histogram, 1, most);
    at = wire_uint(at, HISTOGRAM_COUNT, count_of(f, h->buckets));
    at = wire_double(at, HISTOGRAM_SUM, number_scaled(h->sum, f->digits));
    at = put_classic(p, k, mine, at);
    if (f->exponential)
        at = put_native(f, h->buckets, at);
    for (const struct smx_exemplar *e = mine.at; f->exponential && e < mine.end; e++)
        at = put_exemplar(at, HISTOGRAM_EXEMPLAR, f, e);
    at = wire_end(histogram, MESSAGE_HISTOGRAM, most, at);
    return wire_end(to, MESSAGE_METRIC, metric_most, at);
}

static char *put_histograms(const struct part *p, char *to)
{
    const struct smx_family_info *f = p->family;
    struct examples examples = examples_of(p);
    for (size_t k = 0; k < f->n_series; k++)
        if (!f->series[k].overflow || f->series[k].histogram->count > 0)
            to = put_histogram(p, k, &examples, to);
    return to;
}

/* The bytes of a part, at most. */
static size_t part_room(const struct part *p)
{
    const struct smx_family_info *f = p->family;
    size_t kept = kept_size(&p->rendered->message, f->n_series);
    size_t room = kept + RENDER_SLACK + f->n_exemplars * EXEMPLAR_ROOM;
    if (f->type == SMX_HISTOGRAM)
        return room + f->n_series * (2 * HEAD_MAX + histogram_room(p));
    if (f->mode != SMX_EACH && f->type != SMX_STATESET)
        return room + f->n_series * sizeof(double);
    const size_t n = f->type == SMX_STATESET ? f->n_states : 1;
    const size_t states = kept_size(&p->rendered->state_labels, f->n_states);
    for (size_t k = 0; k < f->n_series; k++) {
        const size_t metrics = f->mode == SMX_EACH ? f->series[k].each.n : 1;
        if (f->series[k].present)
            room += metrics * (n * (kept_message(p, k).length + WORKER_MAX + HEAD_MAX) + states);
    }
    return room;
}

static char *put_part(const struct part *p, char *to)
{
    const struct smx_family_info *f = p->family;
    if (f->type == SMX_COUNTER)
        return put_counters(p, to);
    if (f->type == SMX_HISTOGRAM)
        return put_histograms(p, to);
    if (f->type == SMX_STATESET)
        return put_statesets(p, to);
    return f->mode == SMX_EACH ? put_each(p, to) : put_gauges(p, to);
}

static char *put_header(const struct exposed *family, struct smx_str name, char *to)
{
    unsigned type = family->type == SMX_COUNTER     ? TYPE_COUNTER
                    : family->type == SMX_HISTOGRAM ? TYPE_HISTOGRAM
                                                    : TYPE_GAUGE;
    to = wire_string(to, FAMILY_NAME, name.at, name.length);
    if (family->help.length)
        to = wire_string(to, FAMILY_HELP, family->help.at, family->help.length);
    to = wire_uint(to, FAMILY_TYPE, type);
    if (family->unit.length)
        to = wire_string(to, FAMILY_UNIT, family->unit.at, family->unit.length);
    return to;
}

/* A family is one delimited message, whose length stands before it: room for the longest is
 * left. */
static void begin_family(const struct exposed *family, enum escaping escaping, struct progress *at,
                         struct buffer *out)
{
    struct smx_str name = exposed_name(family, escaping);
    size_t head = name.length + family->help.length + family->unit.length + REST_MAX + HEAD_MAX +
                  family->metrics.length;
    at->begin = out->length;
    at->most = head;
    for (const struct part *p = family->first; p; p = p->next) {
        struct part part = part_as(p, escaping);
        at->most += part_room(&part);
    }
    if (buffer_reserve(out, head) < 0)
        return;
    char *to = put_header(family, name, wire_begin(out->at + out->length, 0, at->most));
    at->body = (size_t)(to - out->at);
    out->length = at->body;
    buffer_put(out, family->metrics.at, family->metrics.length);
}

/* Nothing for a family without any metric. */
static void end_family(const struct progress *at, struct buffer *out)
{
    char *begin = out->at + at->begin, *end = out->at + out->length;
    out->length =
        out->length == at->body ? at->begin : (size_t)(wire_end(begin, 0, at->most, end) - out->at);
}

bool proto_step(const struct snapshot *snapshot, struct progress *at, struct buffer *out)
{
    struct slice slice;
    if (out->failed || !slice_next(snapshot, at, &slice))
        return false;
    if (slice.first)
        begin_family(slice.family, snapshot->escaping, at, out);
    if (slice.part && buffer_reserve(out, part_room(slice.part)) == 0)
        out->length = (size_t)(put_part(slice.part, out->at + out->length) - out->at);
    if (slice.last && !out->failed)
        end_family(at, out);
    return true;
}

int proto_encode(const struct snapshot *snapshot, struct buffer *out)
{
    struct progress at = {0};
    while (proto_step(snapshot, &at, out))
        continue;
    return out->failed ? -ENOMEM : 0;
}
