/* SPDX-License-Identifier: MIT
 *
 * 10-exposition.c - the tests' own parser of expositions, which the fuzzers ask: it takes what is
 * right and names every kind of fault. That it takes what the agent writes, 40-text and the fuzzers
 * show.
 */
#include "support/exposition.h"
#include "support/tap.h"

#include <string.h>

static void assert_fault(const char *body, bool openmetrics, const char *expected, size_t line)
{
    size_t number;
    const char *fault = exposition_fault(body, strlen(body), openmetrics, &number);
    if (!expected && fault)
        fail_msg("line %zu of '%s': %s", number, body, fault);
    if (!expected)
        return;
    if (!fault || !strstr(fault, expected) || number != line)
        fail_msg("'%s' at line %zu, not '%s' at %zu, of '%s'", fault ? fault : "no fault", number,
                 expected, line, body);
}

#define HISTOGRAM_OF(labels)                                                                       \
    "h_bucket{" labels "le=\"0.5\"} 1\nh_bucket{" labels "le=\"+Inf\"} 3\nh_sum{" labels           \
    "z=\"\"} 2.5\nh_count{" labels "z=\"\"} 3\n"

static void what_is_right_is_taken(void **state)
{
    static const char *const right[] = {
        "",
        "# HELP a_total Line\\nfeed, back\\\\slash, \"quotes\".\n# TYPE a_total counter\n"
        "a_total 0\na_total{l=\"\\\\ \\\" \\n \xc3\xa9\"} 18446744073709551615\n",
        "# TYPE g gauge\ng -1.5e-09\ng{a=\"1\",b=\"\"} NaN\ng{a=\"\",b=\"1\"} +Inf\n",
        "# TYPE h histogram\n" HISTOGRAM_OF("a=\"1\",") HISTOGRAM_OF("a=\"2\","),
        "# TYPE \"a.b\" gauge\n{\"a.b\"} 1\n{\"a.b\",\"l.\"=\"\\n\",m=\"1\"} 2\n",
        "# TYPE \"h.\" histogram\n{\"h._bucket\",le=\"+Inf\"} 1\n{\"h._sum\"} 1\n{\"h._count\"} "
        "1\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof right / sizeof *right; i++)
        assert_fault(right[i], false, NULL, 0);
    assert_fault("# EOF\n", true, NULL, 0);
    assert_fault("# TYPE a_seconds counter\n# UNIT a_seconds seconds\n# HELP a_seconds \\\"\n"
                 "a_seconds_total 1.0\n# TYPE u unknown\nu 1\n# EOF\n",
                 true, NULL, 0);
}

static void every_fault_is_named_with_its_line(void **state)
{
    static const struct {
        const char *body, *fault;
        size_t line;
    } wrong[] = {
        {"# TYPE g gauge\ng 1", "last line", 2},
        {"# TYPE g gauge\n\n", "without a name", 2},
        {"# TYPE g gauge\ng{l=\"\xc3\"} 1\n", "UTF-8", 1},
        {"# TYPE g gauge\ng{l=\"\xed\xa0\x80\"} 1\n", "UTF-8", 1},
        {"# TYPE g gauge\ng{l=\"\xc0\xaf\"} 1\n", "UTF-8", 1},
        {"# TYPE g gauge\ng{l=\"\xf4\x90\x80\x80\"} 1\n", "UTF-8", 1},
        {"# TYPE g gauge\ng{l=\"a\\tb\"} 1\n", "not escaped", 2},
        {"# TYPE g gauge\ng{l=\"a} 1\n", "no end", 2},
        {"# TYPE g gauge\ng{l=\"a\" 1\n", "without an end", 2},
        {"# TYPE g gauge\ng{1=\"a\"} 1\n", "no name", 2},
        {"# TYPE g gauge\ng{a=\"1\",a=\"2\"} 1\n", "label twice", 2},
        {"# TYPE g gauge\ng 1 2\n", "more than a value", 2},
        {"# TYPE g gauge\ng 1.\n", "no number", 2},
        {"# TYPE g gauge\ng 1e\n", "no number", 2},
        {"# TYPE g gauge\ng 1\ng{l=\"\"} 2\n", "series twice", 3},
        {"# TYPE g gauge\ng{a=\"1\",b=\"2\"} 1\ng{b=\"2\",a=\"1\"} 2\n", "series twice", 3},
        {"# TYPE g gauge\ng 1\n# HELP g Late.\n", "behind its samples", 3},
        {"# TYPE g gauge\n# TYPE g gauge\ng 1\n", "twice", 2},
        {"# TYPE g gauge\ng 1\n# TYPE f gauge\nf 1\n# TYPE g gauge\n", "family twice", 5},
        {"# TYPE g gauge\n# TYPE f gauge\n", "without samples", 2},
        {"# TYPE g gauge\n", "without samples", 2},
        {"# TYPE g summary\ng 1\n", "type", 1},
        {"# TYPE g unknown\ng 1\n", "type", 1},
        {"# UNIT g_ratio ratio\n", "unit", 1},
        {"# HELP g a\\\"b\n", "help text", 1},
        {"# something\n", "says nothing", 1},
        {"# EOF\n", "says nothing", 1},
        {"g 1\n", "not of the family", 1},
        {"# HELP g No type.\ng 1\n", "not of the family", 2},
        {"# TYPE g gauge\ng_total 1\n", "not of the family", 2},
        {"# TYPE g gauge\ng{le=\"1\"} 1\n", "bound", 2},
        {"# TYPE c_total counter\nc_total -1\n", "negative", 2},
        {"# TYPE h histogram\nh 1\n", "not of the family", 2},
        {"# TYPE h histogram\nh_bucket 1\n", "without a bound", 2},
        {"# TYPE h histogram\nh_bucket{le=\"1\"} 1.5\n", "without a bound", 2},
        {"# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"0.5\"} 1\n", "not above", 3},
        {"# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"2\",a=\"1\"} 1\n", "not above",
         3},
        {"# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_bucket{le=\"1\"} 1\n", "behind", 3},
        {"# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_sum 1\n", "before +Inf", 3},
        {"# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum{a=\"1\"} 1\n", "other labels", 3},
        {"# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 2\n", "not that", 4},
        {"# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\n", "without an end", 4},
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_fault(wrong[i].body, false, wrong[i].fault, wrong[i].line);
}

static void a_name_in_quotes_is_one_that_needs_them(void **state)
{
    static const struct {
        const char *body, *fault;
        size_t line;
    } wrong[] = {
        {"# TYPE \"a.b\" gauge\n{\"a.b\",l=\"a\"} 1\n{\"a.b\",l=\"a\"} 1\n", "twice", 3},
        {"# TYPE \"a\" gauge\n", "says nothing", 1},
        {"# TYPE \"a.b gauge\n", "says nothing", 1},
        {"# TYPE a.b gauge\n", "says nothing", 1},
        {"# TYPE \"a.b\" gauge\n{\"a.c\"} 1\n", "not of the family", 2},
        {"# TYPE \"a.b\" gauge\n{l=\"a\",\"a.b\"} 1\n", "without a name", 2},
        {"# TYPE \"a.b\" gauge\n{\"a.b\" 1\n", "without an end", 2},
        {"# TYPE \"a.b\" gauge\na.b 1\n", "more than a value", 2},
        {"# TYPE g gauge\ng{\"l\"=\"a\"} 1\n", "no name", 2},
        {"# TYPE g gauge\ng{\"l.\"=\"1\",\"l.\"=\"1\"} 1\n", "label twice", 2},
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_fault(wrong[i].body, false, wrong[i].fault, wrong[i].line);
}

static void openmetrics_ends_once_and_has_rules_of_its_own(void **state)
{
    (void)state;
    assert_fault("# TYPE g gauge\ng 1\n", true, "no end", 3);
    assert_fault("# EOF\n# EOF\n", true, "before the end", 1);
    assert_fault("# TYPE c counter\nc 1\n# EOF\n", true, "not of the family", 2);
    assert_fault("# TYPE g_ratio gauge\n# UNIT g_ratio seconds\n", true, "unit", 2);
    assert_fault("# TYPE gratio gauge\n# UNIT gratio ratio\n", true, "unit", 2);
    assert_fault("# HELP g a\"b\n", true, "help text", 1);
    assert_fault("# TYPE g gauge\n# EOF\n", true, "without samples", 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_right_is_taken),
        cmocka_unit_test(every_fault_is_named_with_its_line),
        cmocka_unit_test(a_name_in_quotes_is_one_that_needs_them),
        cmocka_unit_test(openmetrics_ends_once_and_has_rules_of_its_own),
    };
    return RUN_TESTS(tests);
}
