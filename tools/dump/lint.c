/* SPDX-License-Identifier: MIT
 *
 * lint.c - what breaks the naming conventions of Prometheus: the rules of its "Metric and label
 * naming" page and of `promtool check metrics`, which sees an exposition only, not the types of
 * gauges or the units behind it. Judges names; it changes nothing and refuses nothing.
 */
#include "json.h"
#include "common/plain.h"
#include "common/series.h"
#include "dump.h"

#include <ctype.h>
#include <stdarg.h>
#include <string.h>

/* Where findings go: lines of text, or the array of a JSON document. */
struct lint {
    FILE *out;
    struct json *json; /* NULL: text */
    json_t *findings;
    const struct smx_family_info *family;
    size_t found;
};

struct unit {
    const char *name;
    const char *base;
};

/* Units that have a base unit to be used instead, as names and as the parts of names. */
static const struct unit derived_units[] = {
    {"nanoseconds", "seconds"},
    {"microseconds", "seconds"},
    {"milliseconds", "seconds"},
    {"minutes", "seconds"},
    {"hours", "seconds"},
    {"days", "seconds"},
    {"weeks", "seconds"},
    {"ns", "seconds"},
    {"us", "seconds"},
    {"usec", "seconds"},
    {"usecs", "seconds"},
    {"ms", "seconds"},
    {"msec", "seconds"},
    {"msecs", "seconds"},
    {"millis", "seconds"},
    {"sec", "seconds"},
    {"secs", "seconds"},
    {"bits", "bytes"},
    {"kb", "bytes"},
    {"mb", "bytes"},
    {"gb", "bytes"},
    {"kilobytes", "bytes"},
    {"megabytes", "bytes"},
    {"gigabytes", "bytes"},
    {"kibibytes", "bytes"},
    {"mebibytes", "bytes"},
    {"gibibytes", "bytes"},
    {"percent", "ratio"},
    {"percents", "ratio"},
    {"fahrenheit", "celsius"},
    {"kelvin", "celsius"},
    {"kilometers", "meters"},
    {"millimeters", "meters"},
    {"miles", "meters"},
    {"inches", "meters"},
    {"kilograms", "grams"},
    {"milligrams", "grams"},
    {"kilovolts", "volts"},
    {"millivolts", "volts"},
    {"milliamperes", "amperes"},
    {"kilojoules", "joules"},
};

/* Base units that a name may end in. */
static const char *const base_units[] = {"seconds", "bytes", "celsius", "meters",
                                         "grams",   "volts", "amperes", "joules"};

static const char *const type_words[] = {"counter", "gauge", "histogram", "summary", "untyped"};

/* Suffixes that expositions give to the samples of a histogram. */
static const char *const reserved_suffixes[] = {"_bucket", "_count", "_sum", "_created"};

static void add_finding(struct lint *lint, const char *rule, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* What was cut off may have left half a character, which JSON cannot have: take away the last. */
static void cut_character(char *text)
{
    size_t length = strlen(text);
    while (length > 0 && ((unsigned char)text[length - 1] & 0xc0) == 0x80)
        length--;
    text[length > 0 ? length - 1 : 0] = '\0';
}

static void add_finding(struct lint *lint, const char *rule, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (length >= (int)sizeof text)
        cut_character(text);
    lint->found++;
    if (!lint->json) {
        plain_write(lint->out, lint->family->name.at, lint->family->name.length);
        fprintf(lint->out, ": %s: ", rule);
        plain_text(lint->out, text);
        putc('\n', lint->out);
        return;
    }
    json_t *object = json_object();
    json_put(lint->json, object, "family", json_from_str(lint->family->name));
    json_put(lint->json, object, "rule", json_string(rule));
    json_put(lint->json, object, "message", json_string(text));
    json_push(lint->json, lint->findings, object);
}

static bool ends_with(struct smx_str string, const char *suffix)
{
    size_t length = strlen(suffix);
    return string.length >= length &&
           memcmp(string.at + string.length - length, suffix, length) == 0;
}

/* True if `word` is one of the parts between the underscores of a name. */
static bool has_word(struct smx_str name, const char *word)
{
    size_t length = strlen(word);
    for (size_t at = 0; at + length <= name.length; at++) {
        bool begins = at == 0 || name.at[at - 1] == '_';
        bool ends = at + length == name.length || name.at[at + length] == '_';
        if (begins && ends && memcmp(name.at + at, word, length) == 0)
            return true;
    }
    return false;
}

static bool is_camel_case(struct smx_str name)
{
    for (size_t i = 0; i + 1 < name.length; i++)
        if (islower((unsigned char)name.at[i]) && isupper((unsigned char)name.at[i + 1]))
            return true;
    return false;
}

/* The name without the _total of counters. */
static struct smx_str stem_of(const struct smx_family_info *family)
{
    struct smx_str stem = family->name;
    if (ends_with(stem, "_total"))
        stem.length -= strlen("_total");
    return stem;
}

static void check_type(struct lint *lint)
{
    const struct smx_family_info *family = lint->family;
    bool total = ends_with(family->name, "_total");
    if (family->type == SMX_COUNTER && !total)
        add_finding(lint, "total", "the name of a counter ends in _total");
    if (family->type != SMX_COUNTER && total)
        add_finding(lint, "total", "only the name of a counter ends in _total");
    for (size_t i = 0; i < sizeof type_words / sizeof *type_words; i++)
        if (has_word(family->name, type_words[i]))
            add_finding(lint, "type", "the name has the type \"%s\" in it", type_words[i]);
    for (size_t i = 0; i < sizeof reserved_suffixes / sizeof *reserved_suffixes; i++)
        if (ends_with(family->name, reserved_suffixes[i]))
            add_finding(lint, "suffix", "%s is for the samples of histograms",
                        reserved_suffixes[i]);
}

static void check_unit(struct lint *lint)
{
    const struct smx_family_info *family = lint->family;
    struct smx_str stem = stem_of(family);
    if (family->unit.length && !(stem.length > family->unit.length &&
                                 stem.at[stem.length - family->unit.length - 1] == '_' &&
                                 ends_with(stem, family->unit.at)))
        add_finding(lint, "unit", "the name does not end in its unit, _%s", family->unit.at);
    for (size_t i = 0; i < sizeof derived_units / sizeof *derived_units; i++) {
        const struct unit *unit = &derived_units[i];
        if (has_word(family->name, unit->name) || strcmp(family->unit.at, unit->name) == 0)
            add_finding(lint, "base-unit", "use the base unit %s instead of %s", unit->base,
                        unit->name);
    }
    for (size_t i = 0; family->unit.length == 0 && i < sizeof base_units / sizeof *base_units; i++)
        if (has_word(stem, base_units[i]) && ends_with(stem, base_units[i]))
            add_finding(lint, "unit", "the name ends in _%s, but no unit is given", base_units[i]);
}

/* The alphabet that every scraper knows. */
static bool is_legacy(struct smx_str name, bool colons)
{
    for (size_t i = 0; i < name.length; i++) {
        unsigned char c = (unsigned char)name.at[i];
        bool letter = c < 0x80 && (isalpha(c) || c == '_' || (colons && c == ':'));
        if (!letter && !(i > 0 && isdigit(c)))
            return false;
    }
    return true;
}

static void check_alphabet(struct lint *lint)
{
    const struct smx_family_info *family = lint->family;
    if (!is_legacy(family->name, true))
        add_finding(lint, "alphabet", "scrapers that do not ask for UTF-8 see the name escaped");
    for (size_t i = 0; i < family->n_labels; i++)
        if (!is_legacy(family->labels[i], false))
            add_finding(lint, "alphabet",
                        "scrapers that do not ask for UTF-8 see the label %s escaped",
                        family->labels[i].at);
}

static void check_names(struct lint *lint)
{
    const struct smx_family_info *family = lint->family;
    if (family->help.length == 0)
        add_finding(lint, "help", "no help text");
    if (is_camel_case(family->name))
        add_finding(lint, "case", "the name is camelCase; use snake_case");
    if (memchr(family->name.at, ':', family->name.length))
        add_finding(lint, "colon", "colons are for the names of recording rules");
    for (size_t i = 0; i < family->n_labels; i++)
        if (is_camel_case(family->labels[i]))
            add_finding(lint, "case", "the label %s is camelCase; use snake_case",
                        family->labels[i].at);
}

/* An overflow series that is used: label values are lost because there are too many of them. */
static void check_cardinality(struct lint *lint)
{
    const struct smx_family_info *family = lint->family;
    for (size_t i = 0; i < family->n_series; i++)
        if (family->series[i].overflow && series_is_used(&family->series[i]))
            add_finding(lint, "cardinality",
                        "updates went to the overflow series: more label values than max_series "
                        "or max_bytes allow");
}

int lint_write(FILE *out, smx_reader *reader, const struct dump_options *options, size_t *found)
{
    struct json json;
    struct lint lint = {.out = out};
    if (options->json) {
        json_begin(&json);
        lint.json = &json;
        lint.findings = json_array();
        json_put(&json, json.root, "path", json_from_path(smx_reader_info(reader)->path));
    }
    for (size_t i = 0; i < smx_reader_info(reader)->n_families; i++) {
        lint.family = smx_reader_family(reader, i);
        if (!dump_wants_family(options, lint.family))
            continue;
        check_type(&lint);
        check_unit(&lint);
        check_names(&lint);
        check_alphabet(&lint);
        check_cardinality(&lint);
    }
    *found += lint.found;
    if (!options->json)
        return 0;
    json_put(&json, json.root, "findings", lint.findings);
    return json_end(&json, out);
}
