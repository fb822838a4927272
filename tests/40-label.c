/* SPDX-License-Identifier: MIT
 *
 * 40-label.c - quoting of label values: golden cases, and random values that a parser must get back
 * unchanged from a whole scrape.
 */
#include "support/scrape.h"
#include "support/tap.h"

#include "agent/gather/label.h"

#include <string.h>

static void assert_escaped(const char *text, size_t length, enum label_quote quote,
                           const char *expected)
{
    struct buffer out = {0};
    label_escape(&out, (struct smx_str){text, length}, quote);
    assert_int_equal(out.length, strlen(expected));
    assert_memory_equal(out.at ? out.at : "", expected, out.length);
    buffer_fini(&out);
}

static void backslash_quote_and_newline_are_escaped_and_nothing_else(void **state)
{
    (void)state;
    static const char text[] = "a\\b\"c\nd\te\rf\x1b\x7f'";
    assert_escaped(text, sizeof text - 1, LABEL_QUOTE_ALL, "a\\\\b\\\"c\\nd\te\rf\x1b\x7f'");
    assert_escaped(text, sizeof text - 1, LABEL_QUOTE_HELP, "a\\\\b\"c\\nd\te\rf\x1b\x7f'");
    assert_escaped("", 0, LABEL_QUOTE_ALL, "");
}

#define FFFD "\xef\xbf\xbd"

static void what_is_not_utf8_becomes_the_replacement_character(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t length;
        const char *expected;
    } cases[] = {
        {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"\x80", 1, FFFD},
        {"\xff", 1, FFFD},
        {"a\xc3", 2, "a" FFFD},
        {"\xc0\xaf", 2, FFFD FFFD},
        {"\xe0\x80\xaf", 3, FFFD FFFD FFFD},
        {"\xed\xa0\x80", 3, FFFD FFFD FFFD},
        {"\xf4\x90\x80\x80", 4, FFFD FFFD FFFD FFFD},
        {"\xf0\x8f\xbf\xbf", 4, FFFD FFFD FFFD FFFD},
        {"\xe2\x82", 2, FFFD FFFD},
        {"\xc3\"", 2, FFFD "\\\""},
        {"a\0b", 3, "a" FFFD "b"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_escaped(cases[i].text, cases[i].length, LABEL_QUOTE_ALL, cases[i].expected);
}

enum { VALUES = 300, VALUE_MAX = 24 };

/* Pieces that a careless quoter gets wrong, in any order. */
static void make_value(char *out, unsigned seed)
{
    static const char *const pieces[] = {"\\", "\"", "\n", "\\n", "n",        "}",
                                         "{",  ",",  "=",  " ",   "\xc3\xa9", "\xf0\x9f\x98\x80",
                                         "le", "\t"};
    snprintf(out, VALUE_MAX, "%u", seed);
    for (unsigned random = seed * 2654435761u; random > 1000; random /= 14)
        if (strlen(out) + 5 < VALUE_MAX)
            strcat(out, pieces[random % 14]);
}

/* Read a quoted label value as a scraper does. Returns its end. */
static const char *unquote(const char *at, char *out)
{
    for (; *at != '"'; at++) {
        assert_true(*at && *at != '\n');
        if (*at != '\\') {
            *out++ = *at;
            continue;
        }
        at++;
        assert_non_null(strchr("\\\"n", *at));
        *out++ = *at == 'n' ? '\n' : *at;
    }
    *out = '\0';
    return at + 1;
}

static void random_label_values_are_read_back_unchanged_from_a_scrape(void **state)
{
    (void)state;
    struct scrape s;
    char value[VALUE_MAX], got[4 * VALUE_MAX];
    scrape_start(&s);
    smx_segment *segment = scrape_open(&s, &(struct smx_options){.app = "a"});
    smx_family family =
        smx_counter_family(segment, &(struct smx_metric){.name = "x_total", .labels = {"l"}}, NULL);
    for (unsigned i = 0; i < VALUES; i++) {
        make_value(value, i);
        smx_counter_add(smx_counter_with(family, SMX_VALUES(value)), i);
    }
    scrape_run(&s);
    const char *line = scrape_only(&s, &s.text, "x_total");
    line = strchr(line, '\n') + 1; /* TYPE */
    for (unsigned i = 0; i < VALUES; i++) {
        static const char before[] = "x_total{app=\"a\",l=\"";
        assert_memory_equal(line, before, sizeof before - 1);
        const char *end = unquote(line + sizeof before - 1, got);
        make_value(value, i);
        assert_string_equal(got, value);
        assert_memory_equal(end, "} ", 2);
        assert_int_equal(strtoul(end + 2, NULL, 10), i);
        line = strchr(end, '\n') + 1;
    }
    assert_string_equal(line, "");
    scrape_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(backslash_quote_and_newline_are_escaped_and_nothing_else),
        cmocka_unit_test(what_is_not_utf8_becomes_the_replacement_character),
        cmocka_unit_test(random_label_values_are_read_back_unchanged_from_a_scrape),
    };
    return RUN_TESTS(tests);
}
