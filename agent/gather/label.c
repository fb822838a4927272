/* SPDX-License-Identifier: MIT
 *
 * label.c - reservation and quoting of names and label values. The reader has validated names and
 * UTF-8 before. Label values are looked at once more, as they are escaped anyway: a single bad byte
 * would fail the scrape of everyone.
 */
#include "agent/gather/label.h"

bool label_equal(struct smx_str a, struct smx_str b)
{
    return a.length == b.length && memcmp(a.at, b.at, a.length) == 0;
}

bool label_ends(struct smx_str text, struct smx_str suffix)
{
    return text.length >= suffix.length &&
           memcmp(text.at + text.length - suffix.length, suffix.at, suffix.length) == 0;
}

size_t label_add_missing(struct smx_label labels[], size_t n, const struct smx_label others[],
                         size_t n_others)
{
    const size_t own = n;
    for (size_t i = 0; i < n_others; i++) {
        size_t k = 0;
        while (k < own && !label_equal(labels[k].name, others[i].name))
            k++;
        if (k == own)
            labels[n++] = others[i];
    }
    return n;
}

bool label_is_total(struct smx_str name)
{
    struct smx_str total = LABEL_STR("_total");
    return name.length > total.length && label_ends(name, total);
}

static bool starts(struct smx_str text, struct smx_str prefix)
{
    return text.length >= prefix.length && memcmp(text.at, prefix.at, prefix.length) == 0;
}

bool label_is_reserved_family(struct smx_str name)
{
    static const struct smx_str prefixes[] = {
        {"smx_agent_", 10}, {"smx_segment_", 12}, {"smx_process_", 12},
        {"smx_role_", 9},   {"smx_app_", 8},      {"smx_check_", 10},
        {"smx_rule_", 9},   {"process_", 8},      {"scrape_", 7}};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (starts(name, prefixes[i]))
            return true;
    return false;
}

/* `worker` is reserved only in families of mode `each`. le and quantile are refused in every type:
 * outside of their own they mislead whoever queries, and promtool complains. */
bool label_is_reserved(struct smx_str name)
{
    static const struct smx_str names[] = {
        {"app", 3}, {"app_instance", 12}, {"le", 2}, {"quantile", 8}, {"otel_metric_overflow", 20}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (label_equal(name, names[i]))
            return true;
    return false;
}

static bool continues(const unsigned char *at, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if ((at[i] & 0xc0) != 0x80)
            return false;
    return true;
}

/* The length of the UTF-8 sequence at `at`; 0 if there is none (overlong and surrogates too). */
static size_t utf8_length(const unsigned char *at, size_t left)
{
    if (at[0] < 0x80)
        return at[0] != 0;
    size_t n = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
    if (at[0] < 0xc2 || at[0] > 0xf4 || n > left || !continues(at, n))
        return 0;
    unsigned second = at[1];
    bool overlong = (at[0] == 0xe0 && second < 0xa0) || (at[0] == 0xf0 && second < 0x90);
    bool outside = (at[0] == 0xed && second > 0x9f) || (at[0] == 0xf4 && second > 0x8f);
    return overlong || outside ? 0 : n;
}

static const char *escaped(char c, enum label_quote quote)
{
    switch (c) {
    case '\\':
        return "\\\\";
    case '\n':
        return "\\n";
    case '"':
        return quote == LABEL_QUOTE_ALL ? "\\\"" : NULL;
    default:
        return NULL;
    }
}

static bool is_plain(unsigned char c)
{
    return c >= ' ' && c < 0x80 && c != '\\' && c != '"';
}

void label_escape(struct buffer *out, struct smx_str text, enum label_quote quote)
{
    size_t i = 0;
    while (i < text.length) {
        size_t from = i;
        while (i < text.length && is_plain((unsigned char)text.at[i]))
            i++;
        buffer_put(out, text.at + from, i - from);
        if (i == text.length)
            break;
        const char *replacement = escaped(text.at[i], quote);
        size_t n = utf8_length((const unsigned char *)text.at + i, text.length - i);
        if (replacement)
            buffer_puts(out, replacement);
        else if (n)
            buffer_put(out, text.at + i, n);
        else
            buffer_puts(out, "\xef\xbf\xbd");
        i += n ? n : 1;
    }
}

void label_put(struct buffer *out, struct smx_str name, struct smx_str value)
{
    if (out->length && out->at[out->length - 1] != '{')
        buffer_puts(out, ",");
    buffer_put(out, name.at, name.length);
    buffer_puts(out, "=\"");
    label_escape(out, value, LABEL_QUOTE_ALL);
    buffer_puts(out, "\"");
}
