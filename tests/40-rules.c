/* SPDX-License-Identifier: MIT
 *
 * 40-rules.c - rules that are replaced while pages are made by them: no page is half by the old
 * ones, and none by them is served to those who come after.
 */
#include "support/tap.h"

#include "support/pager.h"

static struct filter *deny(const char *family)
{
    const struct filter_rule rule = {FILTER_DENY_FAMILY, family};
    struct filter *filter = NULL;
    assert_int_equal(filter_new(&rule, 1, &filter), 0);
    return filter;
}

/* Other rules after so many turns of a page that is being made: it is by the new ones. False: it
 * was made before. */
static bool set_after(const char *request, unsigned turns, bool plain)
{
    struct filter *filter = deny("large_total");
    pager_start(HOUR);
    struct client c = pager_ask(request);
    for (unsigned i = 0; i < turns; i++)
        pager_turn();
    pager_body_of(&c);
    bool before = c.length > 0;
    if (!before) {
        pages_set(pager.pages, &(struct gather_rules){.filter = filter}, HOUR);
        const char *body = pager_wait_for(&c);
        assert_int_equal(pager_status_of(&c), 200);
        if (plain) {
            assert_int_equal(pager_count(body, "large_total"), 0);
            assert_int_equal(pager_count(body, "latency_seconds_count"), 1);
        }
    }
    pager_leave(&c);
    pager_finish();
    filter_free(filter);
    return !before;
}

static void other_rules_are_in_force_at_any_time(void **state)
{
    (void)state;
    static const struct {
        const char *request;
        bool plain;
    } cases[] = {{REQUEST("", ""), true},
                 {REQUEST("", "Accept-Encoding: gzip\r\n"), false},
                 {REQUEST("", PROTOBUF), false},
                 {REQUEST("?app=large&app=small", ""), true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unsigned turns = 1, most = 100000;
        while (turns < most && set_after(cases[i].request, turns, cases[i].plain))
            turns += turns / 3 + 1;
        assert_true(turns > 10 && turns < most);
    }
}

static void what_was_made_by_other_rules_is_not_served(void **state)
{
    (void)state;
    struct filter *filter = deny("small_total");
    pager_start(HOUR);
    pager_expect_small(0, REQUEST("", ""));
    pages_set(pager.pages, &(struct gather_rules){.filter = filter}, HOUR);
    struct client c = pager_ask(REQUEST("", ""));
    assert_int_equal(pager_count(pager_wait_for(&c), "small_total"), 0);
    pager_leave(&c);
    pages_set(pager.pages, &(struct gather_rules){0}, 0);
    pager_expect_small(0, REQUEST("", ""));
    smx_counter_add(pager.small, 1);
    pager_expect_small(1, REQUEST("", ""));
    pager_finish();
    filter_free(filter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_rules_are_in_force_at_any_time),
        cmocka_unit_test(what_was_made_by_other_rules_is_not_served),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, pager_setup, pager_teardown) ? 1 : 0;
}
