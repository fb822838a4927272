/* SPDX-License-Identifier: MIT
 *
 * 40-accept.c - content negotiation against the headers that scrapers really send, in full, and
 * against malformed ones.
 */
#include "support/tap.h"

#include "agent/http/accept.h"

#include <string.h>

#define PROTO                                                                                      \
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
#define OM1   "application/openmetrics-text;version=1.0.0"
#define OM0   "application/openmetrics-text;version=0.0.1"
#define TEXT  "text/plain;version=0.0.4"
#define TEXT1 "text/plain;version=1.0.0"
#define UTF8  ";escaping=allow-utf-8"

/* The answers' types, in full. */
#define T   "text/plain; version=0.0.4; charset=utf-8"
#define T1  "text/plain; version=1.0.0; charset=utf-8"
#define OM  "application/openmetrics-text; version=1.0.0; charset=utf-8"
#define OM_ "application/openmetrics-text; version=0.0.1; charset=utf-8"
#define PB                                                                                         \
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
#define IN_UTF8 "; escaping=allow-utf-8"

struct header {
    const char *client;
    const char *accept;
    const char *expected;
};

static enum exposition format_of(const char *type)
{
    return strncmp(type, "text", 4) == 0 ? EXPOSITION_TEXT
           : strstr(type, "openmetrics") ? EXPOSITION_OPENMETRICS
                                         : EXPOSITION_PROTOBUF;
}

static enum escaping escaping_of(const char *type)
{
    return strstr(type, "allow-utf-8")       ? ESCAPING_UTF8
           : strstr(type, "escaping=dots")   ? ESCAPING_DOTS
           : strstr(type, "escaping=values") ? ESCAPING_VALUES
                                             : ESCAPING_UNDERSCORES;
}

static void check(const struct header headers[], size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct accepted got = accept_choose(headers[i].accept);
        if (strcmp(got.content_type, headers[i].expected) != 0)
            fail_msg("%s: %s gives %s", headers[i].client, headers[i].accept, got.content_type);
        assert_int_equal(got.format, format_of(headers[i].expected));
        assert_int_equal(got.escaping, escaping_of(headers[i].expected));
    }
}
#define CHECK(headers) check((headers), sizeof(headers) / sizeof *(headers))

static void prometheus_of_every_version_gets_what_it_ranks_first(void **state)
{
    (void)state;
    static const struct header headers[] = {
        {"2.42..2.48", OM1 "," OM0 ";q=0.75," TEXT ";q=0.5,*/*;q=0.1", OM},
        {"2.42..2.48 native histograms",
         PROTO "," OM1 ";q=0.8," OM0 ";q=0.75," TEXT ";q=0.5,*/*;q=0.1", PB},
        {"2.49.0", OM1 ";q=0.5," OM0 ";q=0.4," TEXT ";q=0.3,*/*;q=2", OM},
        {"2.49.0 native histograms",
         PROTO ";q=0.5," OM1 ";q=0.4," OM0 ";q=0.3," TEXT ";q=0.2,*/*;q=2", PB},
        {"2.49.1..2.55", OM1 ";q=0.5," OM0 ";q=0.4," TEXT ";q=0.3,*/*;q=0.2", OM},
        {"2.49.1..2.55 proto first",
         PROTO ";q=0.5," OM1 ";q=0.4," OM0 ";q=0.3," TEXT ";q=0.2,*/*;q=0.1", PB},
        {"2.55 utf8 flag", OM1 UTF8 ";q=0.5," OM0 ";q=0.4," TEXT UTF8 ";q=0.3,*/*;q=0.2",
         OM IN_UTF8},
        {"3.0..3.3",
         OM1 UTF8 ";q=0.6," OM0 UTF8 ";q=0.5,text/plain;version=1.0.0" UTF8 UTF8 ";q=0.4," TEXT UTF8
                  ";q=0.3,*/*;q=0.2",
         OM IN_UTF8},
        {"3.0..3.3 proto first",
         PROTO UTF8 ";q=0.6," OM1 UTF8 ";q=0.5," OM0 UTF8
                    ";q=0.4,text/plain;version=1.0.0" UTF8 UTF8 ";q=0.3," TEXT UTF8
                    ";q=0.2,*/*;q=0.1",
         PB IN_UTF8},
        {"3.4..3.14",
         OM1 UTF8 ";q=0.6," OM0 ";q=0.5,text/plain;version=1.0.0" UTF8 ";q=0.4," TEXT
                  ";q=0.3,*/*;q=0.2",
         OM IN_UTF8},
        {"3.4..3.14 proto first",
         PROTO ";q=0.6," OM1 UTF8 ";q=0.5," OM0 ";q=0.4,text/plain;version=1.0.0" UTF8
               ";q=0.3," TEXT ";q=0.2,*/*;q=0.1",
         PB},
    };
    CHECK(headers);
}

static void other_scrapers_get_what_they_rank_first_of_what_is_offered(void **state)
{
    (void)state;
    static const struct header headers[] = {
        {"Telegraf", PROTO ";q=0.7," TEXT ";q=0.3", PB},
        {"protobuf that is not delimited",
         "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text,"
         "text/plain;q=0.1",
         T},
        {"protobuf of another kind",
         "application/vnd.google.protobuf;proto=other;encoding=delimited," OM1 ";q=0.1", OM},
        {"protobuf of no kind", "application/vnd.google.protobuf", T},
        {"protobuf refused", PROTO ";q=0," OM1 ";q=0.1", OM},
        {"quoted parameters",
         "application/vnd.google.protobuf;encoding=\"delimited\";"
         "proto=\"io.prometheus.client.MetricFamily\"",
         PB},
        {"vmagent", TEXT ";q=1,*/*;q=0.1", T},
        {"curl", "*/*", T},
        {"a browser",
         "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
         T},
        {"Prometheus 2.5",
         "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;"
         "q=0.5,*/*;q=0.1",
         OM_},
        {"OpenMetrics only", OM1, OM},
        {"OpenMetrics first of two equal", OM1 "," TEXT, OM},
        {"text first of two equal", TEXT "," OM1, T},
        {"any application", "application/*", OM},
        {"any text", "text/*", T},
        {"OpenMetrics without a version is 0.0.1", "application/openmetrics-text", OM_},
        {"text without a version is 0.0.4", "text/plain", T},
        {"text 1.0.0", TEXT1, T1},
        {"the older OpenMetrics first", OM0 "," OM1 ";q=0.5", OM_},
        {"OpenMetrics refused, the older one not", OM1 ";q=0," OM0 ";q=0.5," TEXT ";q=0.4", OM_},
    };
    CHECK(headers);
}

static void text_is_what_an_absent_or_unknown_header_gets(void **state)
{
    (void)state;
    static const struct header headers[] = {
        {"none", NULL, T},
        {"empty", "", T},
        {"commas", ",,;,", T},
        {"no slash", "application", T},
        {"half a type", "application/", T},
        {"another type", "application/json", T},
        {"a version that is not offered", "application/openmetrics-text;version=2.0.0", T},
        {"a version of text that is not offered", "text/plain;version=2.0.0", T},
        {"an open quote", "application/openmetrics-text;version=\"1.0.0", T},
        {"a type of any subtype only", "*/openmetrics-text;version=1.0.0", T},
        {"OpenMetrics refused", OM1 ";q=0", T},
        {"both refused", OM1 ";q=0," TEXT ";q=0", T},
    };
    CHECK(headers);
}

static void case_spaces_quotes_and_unknown_parameters_do_not_matter(void **state)
{
    (void)state;
    static const struct header headers[] = {
        {"case", "Application/OpenMetrics-Text;Version=1.0.0;Q=0.5,TEXT/PLAIN;VERSION=0.0.4;q=0.3",
         OM},
        {"spaces",
         "  application/openmetrics-text ; version = 1.0.0 ;\tq = 0.5 ,  text/plain ; q=0.3  ", OM},
        {"quotes", "application/openmetrics-text;version=\"1.0.0\";q=0.5,text/plain;q=0.3", OM},
        {"a comma in quotes", "text/plain;x=\"a,application/openmetrics-text;version=1.0.0\"", T},
        {"an escaped quote", "text/plain;q=0.3;x=\"\\\",\"," OM1 ";q=0.5", OM},
        {"unknown parameters", OM1 ";charset=utf-8;foo;=;bar=;q=0.5,text/plain;q=0.3", OM},
        {"an unknown escaping", OM1 ";escaping=morse;q=0.5,text/plain;q=0.3", OM},
        {"no escaping", OM1 ";escaping=;q=0.5", OM},
        {"an escaping's case", OM1 ";Escaping=\"Allow-UTF-8\"", OM IN_UTF8},
        {"an empty entry", "," OM1 ";q=0.5,,text/plain;q=0.3", OM},
    };
    CHECK(headers);
}

static void qualities_are_clamped_and_compared_as_numbers(void **state)
{
    (void)state;
    static const struct header headers[] = {
        {"q above 1 is 1", TEXT ";q=1," OM1 ";q=17", T},
        {"three decimals", TEXT ";q=0.998," OM1 ";q=0.999", OM},
        {"a fraction is not an integer", TEXT ";q=0.5," OM1 ";q=0.25", T},
        {"a leading point", TEXT ";q=.5," OM1 ";q=.6", OM},
        {"negative is 0", TEXT ";q=0.1," OM1 ";q=-1", T},
        {"not a number is 1", TEXT ";q=0.9," OM1 ";q=high", OM},
        {"huge", TEXT ";q=0.9," OM1 ";q=99999999999999999999", OM},
        {"an unspecific entry does not lift a specific one", "*/*;q=1," OM1 ";q=0.2," TEXT ";q=0.3",
         T},
        {"an unspecific entry counts where nothing else does", "*/*;q=0.9," OM1 ";q=0.2", T},
        {"a specific entry beats it on the other side", "*/*;q=0.2," OM1 ";q=0.9", OM},
        {"the better of two equal entries", TEXT ";q=0.5," OM1 ";q=0.2," OM1 ";q=0.9", OM},
    };
    CHECK(headers);
}

static void names_are_escaped_as_the_chosen_entry_says(void **state)
{
    (void)state;
    static const struct header headers[] = {
        {"each scheme", TEXT1 ";escaping=underscores", T1 "; escaping=underscores"},
        {"each scheme", TEXT1 ";escaping=dots", T1 "; escaping=dots"},
        {"each scheme", TEXT1 ";escaping=values", T1 "; escaping=values"},
        {"each scheme", TEXT1 UTF8, T1 IN_UTF8},
        {"OpenMetrics", OM1 ";escaping=dots", OM "; escaping=dots"},
        {"messages", PROTO ";escaping=values", PB "; escaping=values"},
        {"messages have no quotes to need", PROTO UTF8, PB IN_UTF8},
        {"a version without quotes", TEXT UTF8, T "; escaping=underscores"},
        {"a version without quotes", OM0 UTF8, OM_ "; escaping=underscores"},
        {"such a version with what it can have", TEXT ";escaping=dots", T "; escaping=dots"},
        {"another entry's escaping", OM1 ";q=0.5," TEXT1 UTF8 ";q=0.4", OM},
        {"anything's escaping", "*/*;escaping=values", T "; escaping=values"},
        {"the better of two equal entries", OM1 ";escaping=dots;q=0.2," OM1 UTF8 ";q=0.9",
         OM IN_UTF8},
        {"the last of two escapings in one entry", OM1 ";escaping=dots" UTF8, OM IN_UTF8},
    };
    CHECK(headers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prometheus_of_every_version_gets_what_it_ranks_first),
        cmocka_unit_test(other_scrapers_get_what_they_rank_first_of_what_is_offered),
        cmocka_unit_test(text_is_what_an_absent_or_unknown_header_gets),
        cmocka_unit_test(case_spaces_quotes_and_unknown_parameters_do_not_matter),
        cmocka_unit_test(qualities_are_clamped_and_compared_as_numbers),
        cmocka_unit_test(names_are_escaped_as_the_chosen_entry_says),
    };
    return RUN_TESTS(tests);
}
