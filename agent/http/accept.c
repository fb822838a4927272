/* SPDX-License-Identifier: MIT
 *
 * accept.c - content negotiation. For each exposition the most specific entry of the header that
 * matches it gives its quality, and the best quality wins. An entry's own quality does not make it
 * more specific: Prometheus 2.49.0 sends a last entry of any type with q=2, which must not outrank
 * the types it names. Equal qualities: the more specific entry, then the earlier one, then text.
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
    struct token type, subtype, version;
    struct token proto, encoding; /* parameters of protobuf */
    unsigned quality;             /* in thousandths, 0..1000 */
};

struct rank {
    enum specificity specificity;
    unsigned quality;
    unsigned position; /* of the entry in the header */
};

struct offer {
    const char *type, *subtype, *version;
    const char *default_version; /* what an entry without a version means */
    const char *content_type;
    const char *name;
    /* parameters without which an entry is of something else; NULL: none */
    const char *proto, *encoding;
};

static const struct offer offers[EXPOSITION_COUNT] = {
    [EXPOSITION_TEXT] = {"text", "plain", "0.0.4", "0.0.4",
                         "text/plain; version=0.0.4; charset=utf-8", "text", NULL, NULL},
    [EXPOSITION_OPENMETRICS] = {"application", "openmetrics-text", "1.0.0", "0.0.1",
                                "application/openmetrics-text; version=1.0.0; charset=utf-8",
                                "openmetrics", NULL, NULL},
    [EXPOSITION_PROTOBUF] = {"application", "vnd.google.protobuf", "", "",
                             "application/vnd.google.protobuf; "
                             "proto=io.prometheus.client.MetricFamily; encoding=delimited",
                             "protobuf", "io.prometheus.client.MetricFamily", "delimited"},
};

const char *exposition_content_type(enum exposition exposition)
{
    return offers[exposition].content_type;
}

const char *exposition_name(enum exposition exposition)
{
    return offers[exposition].name;
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
    /* Who can read messages says which: an entry of any type is for people, too. */
    if (offer->proto && !is(e->subtype, offer->subtype))
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

enum exposition accept_choose(const char *accept)
{
    struct rank ranks[EXPOSITION_COUNT] = {{0}};
    struct token rest = {accept, accept ? strlen(accept) : 0};
    struct token piece;
    for (unsigned position = 0; next_piece(&rest, ',', &piece); position++) {
        struct entry e;
        if (!parse_entry(piece, &e))
            continue;
        for (unsigned i = 0; i < EXPOSITION_COUNT; i++) {
            struct rank found = {match(&e, &offers[i]), e.quality, position};
            if (found.specificity && closer(found, ranks[i]))
                ranks[i] = found;
        }
    }
    enum exposition best = EXPOSITION_TEXT;
    for (unsigned i = best + 1; i < EXPOSITION_COUNT; i++)
        if (ranks[i].quality > 0 && outranks(ranks[i], ranks[best]))
            best = (enum exposition)i;
    return best;
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
