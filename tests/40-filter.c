/* SPDX-License-Identifier: MIT
 *
 * 40-filter.c - what a user's rules let through, in every format, and that a rule which cannot be
 * understood is told with what was expected.
 */
#include "support/tap.h"

#include "support/messages.h"
#include "support/scrape.h"

#include "agent/encode/proto.h"
#include "agent/gather/filter.h"

#include <errno.h>
#include <string.h>

enum { RULES_MAX = 4 };

static void fill(smx_segment *segment)
{
    static const double bounds[] = {1};
    static const struct smx_metric requests = {.name = "requests_total", .labels = {"code"}},
                                   depth = {.name = "depth", .labels = {"code"}},
                                   each = {.name = "each", .labels = {"code"}, .mode = SMX_EACH};
    static const struct smx_metric latency = {
        .name = "latency", .labels = {"code"}, .bounds = bounds, .n_bounds = 1};
    static const char *const codes[] = {"c200", "c404", "c500"};
    for (size_t i = 0; i < 3; i++) {
        const char *code = codes[i];
        smx_counter_add(
            smx_counter_with(smx_counter_family(segment, &requests, NULL), SMX_VALUES(code)), 1);
        smx_gauge_set(smx_gauge_with(smx_gauge_family(segment, &depth, NULL), SMX_VALUES(code)), 1);
        smx_gauge_set(smx_gauge_with(smx_gauge_family(segment, &each, NULL), SMX_VALUES(code)), 1);
        smx_histogram_record(
            smx_histogram_with(smx_histogram_family(segment, &latency, NULL), SMX_VALUES(code)), 1);
    }
    smx_counter_add(smx_counter_new(segment, &(struct smx_metric){.name = "jobs_total"}, NULL), 1);
}

static bool contains(const struct buffer *in, const char *text)
{
    return memmem(in->at, in->length, text, strlen(text)) != NULL;
}

struct expectation {
    struct filter_rule rules[RULES_MAX];
    const char *there[6], *gone[6];
};

/* In text, OpenMetrics and protobuf; none of these words is part of a longer one that matters. */
static void expect(const struct expectation *x)
{
    struct scrape s;
    struct buffer messages = {0};
    struct filter *filter;
    size_t n = 0, at;
    scrape_start(&s);
    while (n < RULES_MAX && x->rules[n].text)
        n++;
    assert_int_equal(filter_new(x->rules, n, &filter), 0);
    gather_set(s.gather, &(struct gather_rules){.filter = filter});
    gather_messages(s.gather);
    fill(scrape_open(&s, &(struct smx_options){.app = "shop", .slots = 8}));
    scrape_run(&s);
    assert_int_equal(proto_encode(gather_snapshot(s.gather), &messages), 0);
    assert_null(messages_fault(messages.at, messages.length, &at));
    const struct buffer *const bodies[] = {&s.text, &s.openmetrics, &messages};
    for (size_t i = 0; i < 3; i++) {
        for (size_t k = 0; k < 6 && x->there[k]; k++)
            if (!contains(bodies[i], x->there[k]))
                fail_msg("format %zu: %s is not there", i, x->there[k]);
        for (size_t k = 0; k < 6 && x->gone[k]; k++)
            if (contains(bodies[i], x->gone[k]))
                fail_msg("format %zu: %s is there", i, x->gone[k]);
    }
    buffer_fini(&messages);
    scrape_end(&s);
    filter_free(filter);
}

static void without_rules_everything_is_there(void **state)
{
    (void)state;
    expect(&(struct expectation){
        .there = {"requests", "depth", "each", "latency", "jobs", "smx_agent_build_info"}});
}

static void families_are_denied_by_their_whole_name(void **state)
{
    (void)state;
    expect(&(struct expectation){.rules = {{FILTER_DENY_FAMILY, "depth|smx_agent_.*"},
                                           {FILTER_DENY_FAMILY, "latenc|equests_total"}},
                                 .there = {"requests", "each", "latency", "jobs"},
                                 .gone = {"depth", "smx_agent"}});
}

static void only_allowed_families_are_there_and_denial_wins(void **state)
{
    (void)state;
    expect(&(struct expectation){.rules = {{FILTER_ALLOW_FAMILY, ".*_total"},
                                           {FILTER_ALLOW_FAMILY, "depth"},
                                           {FILTER_DENY_FAMILY, "jobs.*"}},
                                 .there = {"requests", "depth"},
                                 .gone = {"each", "latency", "jobs", "process_threads"}});
}

/* Of all kinds of families; jobs_total has no such label. */
static void series_are_denied_by_a_label(void **state)
{
    (void)state;
    expect(&(struct expectation){
        .rules = {{FILTER_DENY_LABEL, "code=c4.."}, {FILTER_DENY_LABEL, "other=.*"}},
        .there = {"requests", "latency", "each", "c200", "c500", "jobs"},
        .gone = {"c404"}});
}

static void only_allowed_values_are_there_and_denial_wins(void **state)
{
    (void)state;
    expect(&(struct expectation){.rules = {{FILTER_ALLOW_LABEL, "code=c2.."},
                                           {FILTER_ALLOW_LABEL, "code=c5.."},
                                           {FILTER_DENY_LABEL, "code=c50."}},
                                 .there = {"requests", "depth", "latency", "each", "c200", "jobs"},
                                 .gone = {"c404", "c500"}});
}

static void a_family_without_series_left_is_gone(void **state)
{
    (void)state;
    expect(&(struct expectation){.rules = {{FILTER_DENY_LABEL, "code=.*"}},
                                 .there = {"jobs"},
                                 .gone = {"requests", "depth", "each", "latency"}});
}

static void an_application_is_denied_by_its_label(void **state)
{
    (void)state;
    expect(&(struct expectation){
        .rules = {{FILTER_DENY_LABEL, "app=shop"}},
        .there = {"smx_agent_build_info"},
        .gone = {"requests_total", "depth", "each", "latency", "jobs_total"}});
}

static void a_wrong_rule_is_told(void **state)
{
    (void)state;
    static const struct {
        struct filter_rule rule;
        const char *why;
    } cases[] = {
        {{FILTER_DENY_FAMILY, "a("}, "regular expression: "},
        {{FILTER_ALLOW_FAMILY, "[z-a]"}, "regular expression: "},
        {{FILTER_ALLOW_LABEL, "code"}, "LABEL=REGEX"},
        {{FILTER_DENY_LABEL, "=x"}, "LABEL=REGEX"},
        {{FILTER_DENY_LABEL, "code=*("}, "regular expression: "},
    };
    char why[FILTER_WHY_SIZE], longest[1100];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(filter_check(&cases[i].rule, why), -EINVAL);
        assert_non_null(strstr(why, cases[i].why));
    }
    memset(longest, 'x', sizeof longest);
    longest[1024] = 0;
    const struct filter_rule rule = {FILTER_DENY_FAMILY, longest};
    assert_int_equal(filter_check(&rule, why), 0);
    longest[1024] = 'x';
    longest[1025] = 0;
    assert_int_equal(filter_check(&rule, why), -EINVAL);
    assert_non_null(strstr(why, "1024"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_rules_everything_is_there),
        cmocka_unit_test(families_are_denied_by_their_whole_name),
        cmocka_unit_test(only_allowed_families_are_there_and_denial_wins),
        cmocka_unit_test(series_are_denied_by_a_label),
        cmocka_unit_test(only_allowed_values_are_there_and_denial_wins),
        cmocka_unit_test(a_family_without_series_left_is_gone),
        cmocka_unit_test(an_application_is_denied_by_its_label),
        cmocka_unit_test(a_wrong_rule_is_told),
    };
    return RUN_TESTS(tests);
}
