/* SPDX-License-Identifier: MIT
 *
 * messages.c - a strict parser of the messages that a scraper reads. Field numbers as in
 * tests/judges/metrics.proto.
 */
#include "support/messages.h"

#include "support/exposition.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum kind { VARINT = 0, DOUBLE = 1, BYTES = 2 };
enum message { TEXT, FAMILY, METRIC, LABEL, VALUE, HISTOGRAM, BUCKET, SPAN, DELTAS };

/* Bytes that are left to read; `broken` once something was not there. */
struct bytes {
    const unsigned char *at, *end;
    bool broken;
};

struct field {
    unsigned number;
    enum kind kind;
    uint64_t varint;
    double real;
    struct bytes bytes;
};

static const struct rule {
    enum message of;
    unsigned number;
    enum kind kind;
    enum message as; /* what its bytes are */
    bool repeated;
} rules[] = {
    {FAMILY, 1, BYTES, TEXT, false},      {FAMILY, 2, BYTES, TEXT, false},
    {FAMILY, 3, VARINT, TEXT, false},     {FAMILY, 4, BYTES, METRIC, true},
    {FAMILY, 5, BYTES, TEXT, false},      {METRIC, 1, BYTES, LABEL, true},
    {METRIC, 2, BYTES, VALUE, false},     {METRIC, 3, BYTES, VALUE, false},
    {METRIC, 7, BYTES, HISTOGRAM, false}, {LABEL, 1, BYTES, TEXT, false},
    {LABEL, 2, BYTES, TEXT, false},       {VALUE, 1, DOUBLE, TEXT, false},
    {HISTOGRAM, 1, VARINT, TEXT, false},  {HISTOGRAM, 2, DOUBLE, TEXT, false},
    {HISTOGRAM, 3, BYTES, BUCKET, true},  {HISTOGRAM, 5, VARINT, TEXT, false},
    {HISTOGRAM, 6, DOUBLE, TEXT, false},  {HISTOGRAM, 7, VARINT, TEXT, false},
    {HISTOGRAM, 12, BYTES, SPAN, true},   {HISTOGRAM, 13, BYTES, DELTAS, false},
    {BUCKET, 1, VARINT, TEXT, false},     {BUCKET, 2, DOUBLE, TEXT, false},
    {SPAN, 1, VARINT, TEXT, false},       {SPAN, 2, VARINT, TEXT, false},
};

static uint64_t take_varint(struct bytes *in)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70 && in->at < in->end; shift += 7) {
        unsigned char c = *in->at++;
        if (shift < 64)
            value |= (uint64_t)(c & 0x7f) << shift;
        if (c < 0x80)
            return value;
    }
    in->broken = true;
    return 0;
}

static struct bytes take_bytes(struct bytes *in, uint64_t n)
{
    struct bytes taken = {.at = in->at, .end = in->at};
    if (n > (uint64_t)(in->end - in->at))
        in->broken = true;
    else
        taken.end = in->at = in->at + n;
    return taken;
}

static bool take_field(struct bytes *in, struct field *out)
{
    if (in->at == in->end)
        return false;
    uint64_t tag = take_varint(in);
    *out = (struct field){.number = (unsigned)(tag >> 3), .kind = (enum kind)(tag & 7)};
    if (out->kind == VARINT) {
        out->varint = take_varint(in);
    } else if (out->kind == DOUBLE) {
        struct bytes eight = take_bytes(in, sizeof out->real);
        memcpy(&out->real, eight.at, (size_t)(eight.end - eight.at));
    } else if (out->kind == BYTES) {
        out->bytes = take_bytes(in, take_varint(in));
    } else {
        in->broken = true;
    }
    return !in->broken;
}

static int64_t unzigzag(uint64_t value)
{
    return (int64_t)(value >> 1 ^ -(value & 1));
}

/* What a histogram's fields add up to. */
struct sums {
    uint64_t count, cumulative, native, places, deltas;
    double bound;
    bool is_native, falls;
};

static void add_bucket(struct sums *s, struct bytes bucket)
{
    struct field f;
    while (take_field(&bucket, &f)) {
        s->falls = s->falls || (f.number == 2 && !(f.real > s->bound));
        if (f.number == 1)
            s->cumulative = f.varint;
        else
            s->bound = f.real;
    }
}

static void add_span(struct sums *s, struct bytes span)
{
    struct field f;
    while (take_field(&span, &f)) {
        if (f.number == 1)
            s->falls = s->falls || (s->places && unzigzag(f.varint) < 0);
        else
            s->places += f.varint;
    }
}

static void add_deltas(struct sums *s, struct bytes deltas)
{
    for (uint64_t last = 0; deltas.at < deltas.end && !deltas.broken; s->deltas++) {
        last += (uint64_t)unzigzag(take_varint(&deltas));
        s->native += last;
    }
    s->falls = s->falls || deltas.broken;
}

static const char *histogram_fault(struct bytes histogram)
{
    struct sums s = {.bound = (double)-INFINITY};
    for (struct field f; take_field(&histogram, &f);) {
        if (f.number == 1)
            s.count = f.varint;
        else if (f.number == 3)
            add_bucket(&s, f.bytes);
        else if (f.number == 7)
            s.native += f.varint;
        else if (f.number == 12)
            add_span(&s, f.bytes);
        else if (f.number == 13)
            add_deltas(&s, f.bytes);
        s.is_native = s.is_native || f.number == 5;
    }
    if (s.falls || !isinf(s.bound) || s.cumulative != s.count)
        return "buckets that do not ascend to infinity and the count";
    if (s.is_native && (s.native != s.count || s.places != s.deltas))
        return "native buckets that do not add up to the count";
    return NULL;
}

static const struct rule *find_rule(enum message message, const struct field *f)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (rules[i].of == message && rules[i].number == f->number && rules[i].kind == f->kind)
            return &rules[i];
    return NULL;
}

/* Messages lie four deep at most. NOLINTNEXTLINE(misc-no-recursion) */
static const char *message_fault(enum message message, struct bytes bytes)
{
    uint32_t seen = 0;
    struct field f;
    if (message == DELTAS)
        return NULL;
    if (message == TEXT)
        return exposition_is_utf8((const char *)bytes.at, (size_t)(bytes.end - bytes.at))
                   ? NULL
                   : "text that is not UTF-8";
    const struct bytes whole = bytes;
    while (take_field(&bytes, &f)) {
        const struct rule *rule = find_rule(message, &f);
        if (!rule || (!rule->repeated && seen & 1u << f.number))
            return "a field that there is not, or twice";
        seen |= 1u << f.number;
        const char *fault = f.kind == BYTES ? message_fault(rule->as, f.bytes) : NULL;
        if (fault)
            return fault;
    }
    if (bytes.broken)
        return "a field that is cut off";
    if (message == FAMILY && (seen & 0x1a) != 0x1a)
        return "a family without a name, a type or a metric";
    if (message == METRIC && !(seen & 0x8c))
        return "a metric without a value";
    return message == HISTOGRAM ? histogram_fault(whole) : NULL;
}

const char *messages_fault(const char *body, size_t length, size_t *at)
{
    struct bytes in = {.at = (const unsigned char *)body,
                       .end = (const unsigned char *)body + length};
    while (in.at < in.end) {
        *at = (size_t)(in.at - (const unsigned char *)body);
        struct bytes family = take_bytes(&in, take_varint(&in));
        const char *fault = in.broken ? "a family that is cut off" : message_fault(FAMILY, family);
        if (fault)
            return fault;
    }
    return NULL;
}
