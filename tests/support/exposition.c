/* SPDX-License-Identifier: MIT
 *
 * exposition.c - a strict parser of expositions, line by line. It keeps hashes of the families and
 * series that were, so a fault may go unseen once in 2^64, but none is invented.
 */
#include "support/exposition.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { LABELS_MAX = 512 };
enum kind { NO_KIND, COUNTER, GAUGE, HISTOGRAM, UNKNOWN, INFO, STATESET };
enum { SEEN_TYPE = 1, SEEN_HELP = 2, SEEN_UNIT = 4 };
enum stage { BETWEEN, BUCKETS, INFINITE, SUMMED };

struct text {
    const char *at;
    size_t length;
};

/* Hashes, in open addressing; 0 is a free place. */
struct set {
    uint64_t *at;
    size_t n, size;
};

/* A sample line in parts. */
struct sample {
    struct text name, le, value;
    uint64_t labels;        /* a hash of all but le, whatever their order */
    bool has_le, has_state; /* a label that is named as the family is */
};

struct parser {
    bool openmetrics;
    struct set families, series;
    struct text family;
    enum kind kind;
    unsigned seen;
    bool sampled; /* the family has a sample already */
    /* of a histogram: how far it is, and what its next line must agree with */
    enum stage stage;
    uint64_t labels;
    double le;
    struct text count;
};

static uint64_t hash(uint64_t h, struct text text)
{
    for (size_t i = 0; i < text.length; i++)
        h = (h ^ (unsigned char)text.at[i]) * UINT64_C(0x100000001b3);
    return (h ^ h >> 31) * UINT64_C(0x9e3779b97f4a7c15);
}

static uint64_t hash_of(struct text text)
{
    return hash(UINT64_C(0xcbf29ce484222325), text);
}

static void place(uint64_t *at, size_t size, uint64_t h)
{
    size_t i = h & (size - 1);
    while (at[i])
        i = (i + 1) & (size - 1);
    at[i] = h;
}

static void grow(struct set *set)
{
    size_t size = set->size ? set->size * 2 : 256;
    uint64_t *at = calloc(size, sizeof *at);
    if (!at)
        abort();
    for (size_t i = 0; i < set->size; i++)
        if (set->at[i])
            place(at, size, set->at[i]);
    free(set->at);
    set->at = at;
    set->size = size;
}

/* False if it is there already. */
static bool add(struct set *set, uint64_t h)
{
    h |= h == 0;
    if (set->n * 2 >= set->size)
        grow(set);
    for (size_t i = h & (set->size - 1); set->at[i]; i = (i + 1) & (set->size - 1))
        if (set->at[i] == h)
            return false;
    place(set->at, set->size, h);
    set->n++;
    return true;
}

static bool same(struct text a, struct text b)
{
    return a.length == b.length && memcmp(a.at, b.at, a.length) == 0;
}

static bool is(struct text a, const char *word)
{
    return same(a, (struct text){word, strlen(word)});
}

static bool ends(struct text a, const char *word)
{
    size_t n = strlen(word);
    return a.length > n && memcmp(a.at + a.length - n, word, n) == 0;
}

/* Take a prefix off. */
static bool take(struct text *rest, const char *word)
{
    size_t n = strlen(word);
    if (rest->length < n || memcmp(rest->at, word, n) != 0)
        return false;
    *rest = (struct text){rest->at + n, rest->length - n};
    return true;
}

/* Take a name off; empty if there is none. */
static struct text take_name(struct text *rest, bool colons)
{
    size_t n = 0;
    for (; n < rest->length; n++) {
        char c = rest->at[n];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && !(colons && c == ':') && !(n && c >= '0' && c <= '9'))
            break;
    }
    struct text name = {rest->at, n};
    *rest = (struct text){rest->at + n, rest->length - n};
    return name;
}

bool exposition_is_utf8(const char *body, size_t length)
{
    for (size_t i = 0, n; i < length; i += n) {
        unsigned char c = (unsigned char)body[i];
        n = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
        if (n == 0 || c == 0 || n > length - i)
            return false;
        uint32_t point = n == 1 ? c : c & (0x7fu >> n);
        for (size_t k = 1; k < n; k++) {
            if (((unsigned char)body[i + k] & 0xc0) != 0x80)
                return false;
            point = point << 6 | ((unsigned char)body[i + k] & 0x3f);
        }
        if ((n == 3 && point < 0x800) || (n == 4 && (point < 0x10000 || point > 0x10ffff)) ||
            (point >= 0xd800 && point < 0xe000))
            return false;
    }
    return true;
}

/* Only these escapes there are: \\ and \n, and \" where quotes are escaped. */
static bool is_escaped(struct text text, bool quotes)
{
    for (size_t i = 0; i < text.length; i++) {
        if (quotes && text.at[i] == '"')
            return false;
        if (text.at[i] != '\\')
            continue;
        i++;
        if (i == text.length ||
            !(text.at[i] == '\\' || text.at[i] == 'n' || (quotes && text.at[i] == '"')))
            return false;
    }
    return true;
}

static size_t digits(struct text text, size_t from)
{
    size_t n = from;
    while (n < text.length && text.at[n] >= '0' && text.at[n] <= '9')
        n++;
    return n - from;
}

static bool is_number(struct text text)
{
    if (is(text, "NaN") || is(text, "+Inf") || is(text, "-Inf"))
        return true;
    size_t i = text.length && (text.at[0] == '-' || text.at[0] == '+');
    size_t n = digits(text, i);
    if (n == 0)
        return false;
    i += n;
    if (i < text.length && text.at[i] == '.') {
        n = digits(text, ++i);
        if (n == 0)
            return false;
        i += n;
    }
    if (i < text.length && text.at[i] == 'e') {
        i++;
        i += i < text.length && (text.at[i] == '-' || text.at[i] == '+');
        n = digits(text, i);
        if (n == 0)
            return false;
        i += n;
    }
    return i == text.length;
}

static double to_double(struct text text)
{
    char copy[64];
    if (text.length >= sizeof copy)
        return (double)NAN;
    memcpy(copy, text.at, text.length);
    copy[text.length] = 0;
    return strtod(copy, NULL);
}

/* Take what stands behind a quote, and the quote that ends it. */
static bool take_quoted(struct text *rest, struct text *out)
{
    size_t n = 0;
    while (n < rest->length && rest->at[n] != '"')
        n += rest->at[n] == '\\' ? 2 : 1;
    if (n >= rest->length)
        return false;
    *out = (struct text){rest->at, n};
    *rest = (struct text){rest->at + n + 1, rest->length - n - 1};
    return is_escaped(*out, true);
}

/* Take a name, which may be in quotes if it could not stand without; empty if there is none. */
static struct text take_any_name(struct text *rest, bool colons)
{
    if (!take(rest, "\""))
        return take_name(rest, colons);
    struct text name = {0};
    if (!take_quoted(rest, &name))
        return (struct text){0};
    struct text all = name;
    (void)take_name(&all, colons);
    return all.length ? name : (struct text){0};
}

/* Take `name="value"`. */
static const char *take_label(struct text *rest, struct text *name, struct text *value)
{
    *name = take_any_name(rest, false);
    if (name->length == 0 || !take(rest, "=\""))
        return "a label has no name or no value";
    return take_quoted(rest, value) ? NULL : "a label's value is not escaped, or has no end";
}

static const char *take_labels(struct text *rest, struct text family, struct sample *out)
{
    uint64_t names[LABELS_MAX];
    size_t n = 0;
    do {
        struct text name, value;
        const char *fault = take_label(rest, &name, &value);
        if (fault)
            return fault;
        if (n == LABELS_MAX)
            return "more labels than a segment has room for";
        names[n] = hash_of(name);
        out->has_state |= same(name, family);
        for (size_t i = 0; i < n; i++)
            if (names[i] == names[n])
                return "a label twice in one line";
        if (is(name, "le")) {
            out->has_le = true;
            out->le = value;
        } else if (value.length) {
            out->labels += hash(names[n], value);
        }
        n++;
    } while (take(rest, ","));
    return take(rest, "}") ? NULL : "labels without an end";
}

static const char *parse_sample(struct text rest, struct text family, struct sample *out)
{
    bool inside = take(&rest, "{");
    if (inside && (rest.length == 0 || rest.at[0] != '"'))
        return "a line without a name";
    *out = (struct sample){.name = take_any_name(&rest, true)};
    if (out->name.length == 0)
        return "a line without a name";
    bool more = take(&rest, inside ? "," : "{");
    if (inside && !more && !take(&rest, "}"))
        return "labels without an end";
    const char *fault = more ? take_labels(&rest, family, out) : NULL;
    if (fault)
        return fault;
    if (!take(&rest, " ") || !is_number(rest))
        return "a value that is no number, or more than a value";
    out->value = rest;
    return NULL;
}

static bool is_count(struct text value)
{
    return value.length && digits(value, 0) == value.length;
}

static const char *check_bucket(struct parser *p, const struct sample *s)
{
    if (!s->has_le || !is_number(s->le) || !is_count(s->value))
        return "a bucket without a bound or a count";
    double le = to_double(s->le);
    if (isnan(le) || (p->stage == BUCKETS && (s->labels != p->labels || le <= p->le)))
        return "a bucket's bound is not above the one before";
    if (p->stage != BUCKETS && p->stage != BETWEEN)
        return "a bucket behind +Inf";
    p->stage = isinf(le) ? INFINITE : BUCKETS;
    p->labels = s->labels;
    p->le = le;
    p->count = s->value;
    return NULL;
}

/* Buckets up to +Inf, then the sum, then the count, all of the same labels. */
static const char *check_histogram(struct parser *p, const struct sample *s)
{
    if (ends(s->name, "_bucket"))
        return check_bucket(p, s);
    if (s->has_le || s->labels != p->labels)
        return "a sum or a count of other labels than its buckets";
    if (ends(s->name, "_sum")) {
        bool due = p->stage == INFINITE;
        p->stage = SUMMED;
        return due && s->value.at[0] != '-' ? NULL : "a sum before +Inf";
    }
    bool due = p->stage == SUMMED;
    p->stage = BETWEEN;
    return due && same(s->value, p->count) ? NULL : "a count that is not that of +Inf";
}

/* Whether a family may have a sample of this name. */
static bool fits(const struct parser *p, struct text name)
{
    struct text suffix = name;
    if (name.length < p->family.length || memcmp(name.at, p->family.at, p->family.length) != 0)
        return false;
    suffix.at += p->family.length;
    suffix.length -= p->family.length;
    if (p->kind == HISTOGRAM)
        return is(suffix, "_bucket") || is(suffix, "_sum") || is(suffix, "_count");
    if (p->kind == INFO)
        return is(suffix, "_info");
    return is(suffix, p->kind == COUNTER && p->openmetrics ? "_total" : "");
}

static const char *check_sample(struct parser *p, struct text line)
{
    struct sample s;
    const char *fault = parse_sample(line, p->family, &s);
    if (fault)
        return fault;
    if (!(p->seen & SEEN_TYPE) || !fits(p, s.name))
        return "a sample that is not of the family before it";
    p->sampled = true;
    if (s.has_le && p->kind != HISTOGRAM)
        return "a bound where there are no buckets";
    if (p->kind == COUNTER && (s.value.at[0] == '-' || is(s.value, "NaN")))
        return "a counter that is negative or no number";
    if (p->kind == INFO && !is(s.value, "1"))
        return "an info that is not 1";
    if (p->kind == STATESET && !(s.has_state && (is(s.value, "0") || is(s.value, "1"))))
        return "a state without a name, or that is neither on nor off";
    if (!add(&p->series, hash(s.labels + (s.has_le ? hash_of(s.le) : 0), s.name)))
        return "a series twice";
    return p->kind == HISTOGRAM ? check_histogram(p, &s) : NULL;
}

static const char *begin_family(struct parser *p, struct text name)
{
    if (p->family.length && (!p->sampled || p->stage != BETWEEN))
        return "a family without samples, or a histogram without an end";
    p->family = name;
    p->kind = NO_KIND;
    p->seen = 0;
    p->sampled = false;
    return add(&p->families, hash_of(name)) ? NULL : "a family twice";
}

static const char *check_type(struct parser *p, struct text rest)
{
    static const char *const words[] = {
        [COUNTER] = "counter", [GAUGE] = "gauge", [HISTOGRAM] = "histogram",
        [UNKNOWN] = "unknown", [INFO] = "info",   [STATESET] = "stateset"};
    for (enum kind k = COUNTER; k <= STATESET; k++)
        if (is(rest, words[k]))
            p->kind = k;
    if (p->kind == NO_KIND || (p->kind >= UNKNOWN && !p->openmetrics))
        return "a type that there is not";
    return NULL;
}

static const char *check_unit(const struct parser *p, struct text rest)
{
    struct text unit = rest;
    size_t n = take_name(&rest, true).length;
    if (!p->openmetrics || n == 0 || rest.length || p->family.length <= n + 1 ||
        memcmp(p->family.at + p->family.length - n, unit.at, n) != 0 ||
        p->family.at[p->family.length - n - 1] != '_')
        return "a unit that its family does not end in";
    return NULL;
}

/* What stands behind "# ". */
static const char *check_header(struct parser *p, struct text rest)
{
    unsigned keyword = take(&rest, "TYPE ")   ? SEEN_TYPE
                       : take(&rest, "HELP ") ? SEEN_HELP
                       : take(&rest, "UNIT ") ? SEEN_UNIT
                                              : 0;
    struct text name = take_any_name(&rest, true);
    if (!keyword || !name.length || !take(&rest, " "))
        return "a comment that says nothing";
    const char *fault = same(name, p->family) ? NULL : begin_family(p, name);
    if (fault)
        return fault;
    if (p->seen & keyword || p->sampled)
        return "what describes a family comes twice, or behind its samples";
    p->seen |= keyword;
    if (keyword == SEEN_TYPE)
        return check_type(p, rest);
    if (keyword == SEEN_UNIT)
        return check_unit(p, rest);
    return is_escaped(rest, p->openmetrics) ? NULL : "a help text that is not escaped";
}

static const char *check_lines(struct parser *p, const char *body, size_t length, size_t *number)
{
    const char *end = body + length;
    for (const char *at = body; at < end; (*number)++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        if (!newline)
            return "a last line without an end";
        struct text line = {at, (size_t)(newline - at)};
        at = newline + 1;
        if (p->openmetrics && is(line, "# EOF"))
            return at == end ? begin_family(p, line) : "an end before the end";
        const char *fault = take(&line, "# ") ? check_header(p, line) : check_sample(p, line);
        if (fault)
            return fault;
    }
    return p->openmetrics ? "no end" : begin_family(p, (struct text){"", 0});
}

const char *exposition_fault(const char *body, size_t length, bool openmetrics, size_t *line)
{
    struct parser p = {.openmetrics = openmetrics};
    *line = 1;
    const char *fault =
        exposition_is_utf8(body, length) ? check_lines(&p, body, length, line) : "not UTF-8";
    free(p.families.at);
    free(p.series.at);
    return fault;
}
