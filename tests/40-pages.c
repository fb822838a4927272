/* SPDX-License-Identifier: MIT
 *
 * 40-pages.c - who waits for which page: scrapers that share, small scrapes beside a large one,
 * selections, timeouts, those who go away, the end.
 */
#include "support/tap.h"

#include "support/messages.h"
#include "support/pager.h"

#include <string.h>
#include <unistd.h>

static void forty_scrapers_cause_one_gather(void **state)
{
    (void)state;
    struct client clients[CLIENTS];
    pager_start(HOUR);
    for (unsigned i = 0; i < CLIENTS; i++)
        clients[i] = pager_ask(REQUEST("", ""));
    for (unsigned i = 0; i < CLIENTS; i++) {
        const char *body = pager_wait_for(&clients[i]);
        assert_int_equal(pager_status_of(&clients[i]), 200);
        assert_true(pager_says(body, "smx_agent_gathers_total 1"));
        assert_int_equal(pager_count(body, "\nlarge_total{"), LARGE);
        assert_string_equal(body, pager_wait_for(&clients[0]));
    }
    for (unsigned i = 0; i < CLIENTS; i++)
        pager_leave(&clients[i]);
    pager_finish();
}

/* They take only what their sockets hold. Two pages would be too much memory for the server. */
static void forty_scrapers_that_read_nothing_hold_one_page(void **state)
{
    (void)state;
    struct client clients[CLIENTS];
    pager_start(HOUR);
    for (unsigned i = 0; i < CLIENTS; i++)
        clients[i] = pager_ask(REQUEST("", ""));
    for (unsigned i = 0; i < CLIENTS; i++)
        while (recv(clients[i].fd, clients[i].answer, 1, MSG_DONTWAIT | MSG_PEEK) != 1)
            pager_turn();
    assert_false(http_strained(pager.http));
    assert_int_equal(http_connections(pager.http).dropped[CONNECTIONS_MEMORY].n, 0);
    assert_int_equal(http_connections(pager.http).now, CLIENTS);
    assert_int_equal(pager_count(pager_wait_for(&clients[7]), "\nlarge_total{"), LARGE);
    for (unsigned i = 0; i < CLIENTS; i++)
        pager_leave(&clients[i]);
    pager_finish();
}

static void a_small_scrape_is_answered_while_a_large_page_is_made(void **state)
{
    (void)state;
    static const char *const large[] = {REQUEST("", ""), REQUEST("", "Accept-Encoding: gzip\r\n"),
                                        REQUEST("", OPENMETRICS), REQUEST("", PROTOBUF),
                                        REQUEST("?app=large", "Accept-Encoding: gzip\r\n")};
    for (size_t i = 0; i < sizeof large / sizeof large[0]; i++) {
        pager_start(HOUR);
        struct client first = pager_ask(large[i]);
        pager_let_it_begin(&first);
        struct client small = pager_ask(REQUEST("?app=small", ""));
        const char *body = pager_wait_for(&small);
        assert_int_equal(pager_count(body, "\nsmall_total{"), 1);
        assert_null(pager_body_of(&first));
        pager_wait_for(&first);
        assert_int_equal(pager_status_of(&first), 200);
        pager_leave(&first);
        pager_leave(&small);
        pager_finish();
    }
}

static void a_client_that_goes_away_holds_up_nobody(void **state)
{
    (void)state;
    pager_start(HOUR);
    struct client gone = pager_ask(REQUEST("", ""));
    pager_let_it_begin(&gone);
    struct client stays = pager_ask(REQUEST("", ""));
    pager_turn();
    pager_leave(&gone);
    assert_int_equal(pager_count(pager_wait_for(&stays), "\nlarge_total{"), LARGE);
    struct client next = pager_ask(REQUEST("?app=small", ""));
    pager_wait_for(&next);
    for (uint64_t end = loop_now_ns() + PATIENCE_NS; http_connections(pager.http).now > 2;
         pager_turn())
        assert_true(loop_now_ns() < end);
    assert_int_equal(http_connections(pager.http).now, 2);
    pager_leave(&stays);
    pager_leave(&next);
    pager_finish();
}

static void what_is_shared_is_no_older_than_it_may_be(void **state)
{
    (void)state;
    pager_start(HOUR);
    pager_expect_small(0, REQUEST("?app=small", ""));
    smx_counter_add(pager.small, 1);
    pager_expect_small(0, REQUEST("?app=small", ""));
    pager_expect_small(0, REQUEST("?name[]=small_total", ""));
    pager_finish();
    pager_start(0);
    pager_expect_small(1, REQUEST("?app=small", ""));
    smx_counter_add(pager.small, 1);
    pager_expect_small(2, REQUEST("?app=small", ""));
    smx_counter_add(pager.small, 1);
    pager_expect_small(3, REQUEST("", ""));
    smx_counter_add(pager.small, 1);
    pager_expect_small(4, REQUEST("", ""));
    pager_finish();
}

static void a_selection_gives_what_it_names(void **state)
{
    (void)state;
    static const struct {
        const char *query, *there[3], *gone[3];
    } cases[] = {
        {"?name[]=small_total", {"small_total"}, {"large_total", "latency", "smx_agent"}},
        {"?name[]=small", {"small_total"}, {"large_total", "latency"}},
        {"?name%5B%5D=latency_seconds_bucket&name[]=process_threads",
         {"latency_seconds", "process_threads"},
         {"small_total", "smx_agent"}},
        {"?name[]=latency_seconds_count", {"latency_seconds"}, {"small_total"}},
        {"?app=small", {"small_total", "latency", "smx_segment_series"}, {"large", "smx_agent"}},
        {"?app=small&app=nobody&name[]=small_total", {"small_total"}, {"latency", "smx_"}},
        {"?app=nobody", {0}, {"small_total", "large_total", "smx_agent"}},
        {"?name[]=nothing&app=small", {0}, {"small_total", "latency"}},
        {"?collect[]=x&small", {"small_total", "large_total", "smx_agent"}, {0}},
    };
    static const char *const accepts[] = {"", OPENMETRICS, PROTOBUF};
    pager_start(HOUR);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t k = 0; k < 3; k++) {
            char request[512];
            size_t at;
            snprintf(request, sizeof request, REQUEST("%s", "%s"), cases[i].query, accepts[k]);
            struct client c = pager_ask(request);
            const char *body = pager_wait_for(&c);
            size_t length = c.length - (size_t)(body - c.answer);
            assert_int_equal(pager_status_of(&c), 200);
            if (k == 2)
                assert_null(messages_fault(body, length, &at));
            if (k == 1)
                assert_string_equal(body + length - 6, "# EOF\n");
            for (size_t n = 0; n < 3; n++) {
                const char *there = cases[i].there[n], *gone = cases[i].gone[n];
                /* OpenMetrics' families and the text have names in common but for that suffix. */
                if (there && !memmem(body, length, there, strlen(there)))
                    fail_msg("%s, format %zu: no %s", cases[i].query, k, there);
                if (gone && memmem(body, length, gone, strlen(gone)))
                    fail_msg("%s, format %zu: %s", cases[i].query, k, gone);
            }
            pager_leave(&c);
        }
    }
    pager_finish();
}

/* When a segment was read; 0 if it never was, or is not known. */
static uint64_t read_at(const char *app)
{
    size_t n;
    const struct segment *list = segments_list(pager.segments, &n);
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i].app, app) == 0)
            return list[i].read_ns;
    return 0;
}

static void an_application_alone_is_read_for_its_page(void **state)
{
    (void)state;
    pager_start(0);
    pager_expect_small(4, REQUEST("?app=small", ""));
    assert_int_equal(read_at("large"), 0);
    pager_expect_small(4, REQUEST("", ""));
    uint64_t large = read_at("large"), small = read_at("small");
    assert_true(large > 0);
    pager_expect_small(4, REQUEST("?app=small&app=nobody", OPENMETRICS));
    assert_true(read_at("small") > small);
    assert_int_equal(read_at("large"), large);
    small = read_at("small");
    struct client nobody = pager_ask(REQUEST("?app=nobody", ""));
    pager_wait_for(&nobody);
    assert_int_equal(read_at("small"), small);
    pager_leave(&nobody);
    pager_expect_small(4, REQUEST("", ""));
    assert_true(read_at("small") > small && read_at("large") > large);
    pager_finish();
}

/* Its page waits until all of it is there, those of others do not, nor does who only looks. */
static void what_is_new_and_large_holds_up_no_other(void **state)
{
    (void)state;
    char path[SCRATCH_SIZE + 16];
    pager_start(0);
    pager_expect_small(4, REQUEST("", ""));
    pager_open_large("new", "new_total", LARGE / 2);
    pages_refresh(pager.pages);
    struct client whole = pager_ask(REQUEST("", ""));
    unsigned served = 0;
    for (; read_at("new") == 0; served++)
        pager_expect_small(4, REQUEST("?app=small", ""));
    assert_true(served >= 3);
    assert_int_equal(pager_count(pager_wait_for(&whole), "\nnew_total{"), LARGE / 2);
    pager_leave(&whole);
    snprintf(path, sizeof path, "%s/new.v1.smx", pager.directory);
    assert_int_equal(unlink(path), 0);
    pager_finish();
}

static void what_is_new_is_read_although_nobody_asks(void **state)
{
    unsigned turns = 0;
    (void)state;
    pager_start(0);
    for (pages_look(pager.pages); read_at("large") == 0; turns++)
        pager_turn();
    assert_true(turns >= 50 && read_at("small") > 0);
    pager_finish();
}

static void a_selection_does_not_spoil_the_whole_page(void **state)
{
    (void)state;
    pager_start(HOUR);
    pager_expect_small(4, REQUEST("?app=small", ""));
    struct client c = pager_ask(REQUEST("", ""));
    assert_int_equal(pager_count(pager_wait_for(&c), "\nlarge_total{"), LARGE);
    pager_leave(&c);
    pager_expect_small(4, REQUEST("?app=small", ""));
    pager_finish();
}

/* More than there is room for, one after the other and at once: each gets its own, or is told. */
static void many_selections_at_a_time_are_bounded(void **state)
{
    (void)state;
    struct client clients[CLIENTS];
    unsigned served = 0, refused = 0;
    pager_start(HOUR);
    for (unsigned i = 0; i < CLIENTS; i++) {
        char request[256];
        snprintf(request, sizeof request, REQUEST("?app=small&name[]=small_total&name[]=x%u", ""),
                 i);
        pager_expect_small(4, request);
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        char request[256];
        snprintf(request, sizeof request, REQUEST("?app=large&name[]=large_total&name[]=x%u", ""),
                 i);
        clients[i] = pager_ask(request);
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        const char *body = pager_wait_for(&clients[i]);
        served +=
            pager_status_of(&clients[i]) == 200 && pager_count(body, "\nlarge_total{") == LARGE;
        refused +=
            pager_status_of(&clients[i]) == 503 && strstr(body, "too many different selections");
        pager_leave(&clients[i]);
    }
    assert_int_equal(served + refused, CLIENTS);
    assert_true(served >= 16 && refused > 0);
    pager_finish();
}

/* The first must not even be begun to be worth it, the second runs out while the page is made. What
 * either has begun is read to its end: else who has little time would never be answered. */
static void a_scrape_that_would_be_late_is_refused_in_time(void **state)
{
    (void)state;
    static const char *const requests[] = {REQUEST("", TIMEOUT("0.000000001")),
                                           REQUEST("", TIMEOUT("0.0001"))};
    pager_start(0);
    for (unsigned i = 0; i < 2; i++) {
        uint64_t read = read_at("large");
        struct client late = pager_ask(requests[i]);
        assert_non_null(strstr(pager_wait_for(&late), "within the scrape's timeout"));
        assert_int_equal(pager_status_of(&late), 503);
        pager_leave(&late);
        uint64_t end = loop_now_ns() + PATIENCE_NS;
        for (; read_at("large") == read; pager_turn())
            assert_true(loop_now_ns() < end);
    }
    struct client c = pager_ask(REQUEST("", TIMEOUT("1000")));
    assert_true(pager_says(pager_wait_for(&c), "smx_agent_late_scrapes_total 2"));
    pager_leave(&c);
    pager_finish();
}

/* Zero, or no number, is no time at all to go by. */
static void a_timeout_that_makes_no_sense_is_ignored(void **state)
{
    (void)state;
    static const char *const times[] = {"0", "-1", "nan", "inf", "1e300", "10s", ""};
    pager_start(HOUR);
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        char request[256];
        snprintf(request, sizeof request, REQUEST("?app=small", TIMEOUT("%s")), times[i]);
        struct client c = pager_ask(request);
        pager_wait_for(&c);
        assert_int_equal(pager_status_of(&c), 200);
        pager_leave(&c);
    }
    pager_finish();
}

static void note_drained(void *context)
{
    (void)context;
    pager.drained = true;
}

static void who_waits_when_it_ends_gets_his_page(void **state)
{
    (void)state;
    pager_start(HOUR);
    struct client c = pager_ask(REQUEST("", ""));
    pager_let_it_begin(&c);
    http_drain(pager.http, HOUR, note_drained, NULL);
    assert_false(pager.drained);
    assert_int_equal(pager_count(pager_wait_for(&c), "\nlarge_total{"), LARGE);
    assert_int_equal(pager_status_of(&c), 200);
    for (uint64_t end = loop_now_ns() + PATIENCE_NS; !pager.drained; pager_turn())
        assert_true(loop_now_ns() < end);
    pager_leave(&c);
    pager_finish();
}

/* As when it is told twice, in the middle of everything: nothing leaks. */
static void an_end_in_the_middle_is_clean(void **state)
{
    (void)state;
    for (unsigned turns = 1; turns < 60; turns += 9) {
        pager_start(HOUR);
        struct client whole = pager_ask(REQUEST("", "Accept-Encoding: gzip\r\n"));
        struct client part = pager_ask(REQUEST("?app=large", PROTOBUF));
        for (unsigned i = 0; i < turns; i++)
            pager_turn();
        pager_finish();
        pager_leave(&whole);
        pager_leave(&part);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_shared_is_no_older_than_it_may_be),
        cmocka_unit_test(forty_scrapers_cause_one_gather),
        cmocka_unit_test(forty_scrapers_that_read_nothing_hold_one_page),
        cmocka_unit_test(a_small_scrape_is_answered_while_a_large_page_is_made),
        cmocka_unit_test(a_client_that_goes_away_holds_up_nobody),
        cmocka_unit_test(a_selection_gives_what_it_names),
        cmocka_unit_test(a_selection_does_not_spoil_the_whole_page),
        cmocka_unit_test(an_application_alone_is_read_for_its_page),
        cmocka_unit_test(what_is_new_and_large_holds_up_no_other),
        cmocka_unit_test(what_is_new_is_read_although_nobody_asks),
        cmocka_unit_test(many_selections_at_a_time_are_bounded),
        cmocka_unit_test(a_scrape_that_would_be_late_is_refused_in_time),
        cmocka_unit_test(a_timeout_that_makes_no_sense_is_ignored),
        cmocka_unit_test(who_waits_when_it_ends_gets_his_page),
        cmocka_unit_test(an_end_in_the_middle_is_clean),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, pager_setup, pager_teardown) ? 1 : 0;
}
