/* SPDX-License-Identifier: MIT
 *
 * accept.c - content negotiation. For each exposition the most specific entry of the header that
 * matches it gives its quality, and the best quality wins. An entry's own quality does not make it
 * more specific: Prometheus 2.49.0 sends a last entry of any type with q=2, which must not outrank
 * the types it names. Equal qualities: the more specific entry, then the earlier one, then the type
 * that stands first in the table.
 * The escaping is that of the entry by which the type was chosen, and underscores if it names none.
 * Names in quotes only go with the versions that have them; the answer names the escaping where the
 * entry did, so that scrapers which know nothing of it get what they always got.
 * Codings likewise (RFC 9110, 12.5.3): identity is always acceptable unless it is refused.
 */
#include "agent/http/accept.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

/* A piece of the header, without the spaces around it. */
struct token {
    const char *at;
    size_t length;
};

/* How an entry matches an exposition; 0 is not at all. */
enum specificity { MATCH_NONE, MATCH_ANY, MATCH_TYPE, MATCH_SUBTYPE, MATCH_VERSION };

struct entry {
    struct token type, subtype, version, escaping;
    struct token proto, encoding; /* parameters of protobuf */
    unsigned quality;             /* in thousandths, 0..1000 */
};

struct rank {
    enum specificity specificity;
    unsigned quality;
    unsigned position; /* of the entry in the header */
    int escaping;      /* that it names; UNNAMED */
};

enum { UNNAMED = -1 };

struct offer {
    const char *type, *subtype, *version;
    const char *default_version; /* what an entry without a version means */
    /* parameters without which an entry is of something else; NULL: none */
    const char *proto, *encoding;
    const char *content_type, *content_types[ESCAPING_COUNT];
    enum exposition format;
    bool named;  /* only for who names it */
    bool quotes; /* names can be in quotes, or need none */
};

static const char *const escapings[ESCAPING_COUNT] = {"underscores", "dots", "values",
                                                      "allow-utf-8"};

/* A Content-Type, and the same with each escaping. */
#define CONTENT_TYPES(type)                                                                        \
    .content_type = type,                                                                          \
    .content_types = {type "; escaping=underscores", type "; escaping=dots",                       \
                      type "; escaping=values", type "; escaping=allow-utf-8"}

static const struct offer offers[] = {
    {"text", "plain", "0.0.4", "0.0.4", .format = EXPOSITION_TEXT,
     CONTENT_TYPES("text/plain; version=0.0.4; charset=utf-8")},
    {"text", "plain", "1.0.0", "0.0.4", .format = EXPOSITION_TEXT, .named = true, .quotes = true,
     CONTENT_TYPES("text/plain; version=1.0.0; charset=utf-8")},
    {"application", "openmetrics-text", "1.0.0", "0.0.1", .format = EXPOSITION_OPENMETRICS,
     .quotes = true, CONTENT_TYPES("application/openmetrics-text; version=1.0.0; charset=utf-8")},
    {"application", "openmetrics-text", "0.0.1", "0.0.1", .format = EXPOSITION_OPENMETRICS,
     .named = true, CONTENT_TYPES("application/openmetrics-text; version=0.0.1; charset=utf-8")},
    {"application", "vnd.google.protobuf", "", "", .format = EXPOSITION_PROTOBUF, .named = true,
     .quotes = true, .proto = "io.prometheus.client.MetricFamily", .encoding = "delimited",
     CONTENT_TYPES("application/vnd.google.protobuf; "
                   "proto=io.prometheus.client.MetricFamily; encoding=delimited")},
};
enum { OFFERS = sizeof offers / sizeof *offers };

const char *exposition_name(enum exposition exposition)
{
    static const char *const names[EXPOSITION_COUNT] = {"text", "openmetrics", "protobuf"};
    return names[exposition];
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

static struct token trim(struct token t)
{
    while (t.length && is_space(t.at[0])) {
        t.at++;
        t.length--;
    }
    while (t.length && is_space(t.at[t.length - 1]))
        t.length--;
    return t;
}

static bool is(struct token t, const char *word)
{
    return t.length == strlen(word) && strncasecmp(t.at, word, t.length) == 0;
}

/* Cut the next piece off `rest`, up to `separator` outside of double quotes. */
static bool next_piece(struct token *rest, char separator, struct token *piece)
{
    if (!rest->at)
        return false;
    bool quoted = false;
    size_t i = 0;
    for (; i < rest->length; i++) {
        char c = rest->at[i];
        if (c == separator && !quoted)
            break;
        if (c == '"')
            quoted = !quoted;
        else if (c == '\\' && quoted && i + 1 < rest->length)
            i++;
    }
    *piece = trim((struct token){rest->at, i});
    if (i < rest->length)
        *rest = (struct token){rest->at + i + 1, rest->length - i - 1};
    else
        *rest = (struct token){0};
    return true;
}

/* A quality in thousandths: clamped to 0..1; 1 if it cannot be read. */
static unsigned parse_quality(struct token t)
{
    unsigned value = 0, unit = 1000;
    bool point = false;
    if (t.length && t.at[0] == '-')
        return 0;
    for (size_t i = 0; i < t.length; i++) {
        char c = t.at[i];
        if (c == '.' && !point) {
            point = true;
            continue;
        }
        if (c < '0' || c > '9')
            return 1000;
        if (point)
            unit /= 10;
        value =
            point ? value + unit * (unsigned)(c - '0') : value * 10 + 1000u * (unsigned)(c - '0');
        if (value > 1000)
            value = 1000;
    }
    return t.length ? value : 1000;
}

static void parse_parameter(struct token parameter, struct entry *out)
{
    struct token name;
    struct token value = parameter;
    next_piece(&value, '=', &name);
    if (!value.at)
        return;
    value = trim(value);
    if (value.length >= 2 && value.at[0] == '"' && value.at[value.length - 1] == '"')
        value = (struct token){value.at + 1, value.length - 2};
    if (is(name, "q"))
        out->quality = parse_quality(value);
    else if (is(name, "version"))
        out->version = value;
    else if (is(name, "escaping"))
        out->escaping = value;
    else if (is(name, "proto"))
        out->proto = value;
    else if (is(name, "encoding"))
        out->encoding = value;
}

static bool parse_entry(struct token text, struct entry *out)
{
    struct token media;
    *out = (struct entry){.quality = 1000};
    if (!next_piece(&text, ';', &media) || !next_piece(&media, '/', &out->type) || !media.at)
        return false;
    out->subtype = trim(media);
    struct token parameter;
    while (next_piece(&text, ';', &parameter))
        parse_parameter(parameter, out);
    return out->type.length && out->subtype.length;
}

static enum specificity match(const struct entry *e, const struct offer *offer)
{
    /* Who can read messages says so: an entry of any type is for people, too. Nor is it a wish for
     * the less usual version of a type that the header does name. */
    if (offer->named && !is(e->subtype, offer->subtype))
        return MATCH_NONE;
    if (is(e->type, "*"))
        return is(e->subtype, "*") ? MATCH_ANY : MATCH_NONE;
    if (!is(e->type, offer->type))
        return MATCH_NONE;
    if (is(e->subtype, "*"))
        return MATCH_TYPE;
    if (!is(e->subtype, offer->subtype))
        return MATCH_NONE;
    if (offer->proto)
        return is(e->proto, offer->proto) && is(e->encoding, offer->encoding) ? MATCH_VERSION
                                                                              : MATCH_NONE;
    if (e->version.length)
        return is(e->version, offer->version) ? MATCH_VERSION : MATCH_NONE;
    return strcmp(offer->default_version, offer->version) == 0 ? MATCH_SUBTYPE : MATCH_NONE;
}

static bool closer(struct rank a, struct rank b)
{
    if (a.specificity != b.specificity)
        return a.specificity > b.specificity;
    return a.quality > b.quality;
}

static bool outranks(struct rank a, struct rank b)
{
    if (a.quality != b.quality)
        return a.quality > b.quality;
    if (a.specificity != b.specificity)
        return a.specificity > b.specificity;
    return a.position < b.position;
}

static int find_escaping(struct token name)
{
    for (int i = 0; i < ESCAPING_COUNT; i++)
        if (is(name, escapings[i]))
            return i;
    return UNNAMED;
}

static struct accepted accept_offer(const struct offer *offer, int named)
{
    struct accepted out = {.format = offer->format, .content_type = offer->content_type};
    if (named == UNNAMED)
        return out;
    out.escaping = (enum escaping)named;
    if (out.escaping == ESCAPING_UTF8 && !offer->quotes)
        out.escaping = ESCAPING_UNDERSCORES;
    out.content_type = offer->content_types[out.escaping];
    return out;
}

struct accepted accept_choose(const char *accept)
{
    struct rank ranks[OFFERS] = {{.escaping = UNNAMED}};
    struct token rest = {accept, accept ? strlen(accept) : 0};
    struct token piece;
    for (unsigned position = 0; next_piece(&rest, ',', &piece); position++) {
        struct entry e;
        if (!parse_entry(piece, &e))
            continue;
        for (unsigned i = 0; i < OFFERS; i++) {
            struct rank found = {match(&e, &offers[i]), e.quality, position,
                                 find_escaping(e.escaping)};
            if (found.specificity && closer(found, ranks[i]))
                ranks[i] = found;
        }
    }
    unsigned best = 0;
    for (unsigned i = 1; i < OFFERS; i++)
        if (ranks[i].quality > 0 && outranks(ranks[i], ranks[best]))
            best = i;
    return accept_offer(&offers[best], ranks[best].escaping);
}

/* Qualities of a coding, or UNSAID. */
enum { UNSAID = 1001 };

static void parse_coding(struct token text, unsigned *gzip, unsigned *identity, unsigned *any)
{
    struct token name, parameter;
    struct entry e = {.quality = 1000};
    if (!next_piece(&text, ';', &name))
        return;
    while (next_piece(&text, ';', &parameter))
        parse_parameter(parameter, &e);
    if (is(name, "gzip") || is(name, "x-gzip"))
        *gzip = e.quality;
    else if (is(name, "identity"))
        *identity = e.quality;
    else if (is(name, "*"))
        *any = e.quality;
}

struct codings accept_codings(const char *accept_encoding)
{
    unsigned gzip = UNSAID, identity = UNSAID, any = UNSAID;
    struct token rest = {accept_encoding, accept_encoding ? strlen(accept_encoding) : 0};
    struct token piece;
    while (next_piece(&rest, ',', &piece))
        parse_coding(piece, &gzip, &identity, &any);
    if (gzip == UNSAID)
        gzip = any == UNSAID ? 0 : any;
    bool plain = identity == UNSAID ? any != 0 : identity != 0;
    return (struct codings){.identity = plain,
                            .gzip = gzip > 0 && (identity == UNSAID || gzip >= identity)};
}
