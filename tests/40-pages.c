/* SPDX-License-Identifier: MIT
 *
 * 40-pages.c - who waits for which page: scrapers that share, small scrapes beside a large one,
 * selections, timeouts, those who go away, the end. A turn of the loop does one piece of work here,
 * and a page takes dozens, so that the order of events is no matter of time.
 */
#include "support/tap.h"

#include "support/messages.h"
#include "support/scratch.h"

#include "agent/http/listen.h"
#include "agent/pages.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <smx/smx.h>
#include <string.h>
#include <unistd.h>

#define MS   UINT64_C(1000000)
#define HOUR (UINT64_C(3600000) * MS)

enum { LARGE = 60000, CLIENTS = 40, ANSWER_SIZE = 4 << 20, ANSWERS_MOST = 7 << 20 };

#define REQUEST(query, headers) "GET /metrics" query " HTTP/1.1\r\nHost: a\r\n" headers "\r\n"
#define TIMEOUT(seconds)        "X-Prometheus-Scrape-Timeout-Seconds: " seconds "\r\n"
#define OPENMETRICS             "Accept: application/openmetrics-text;version=1.0.0\r\n"
#define PROTOBUF                                                                                   \
    "Accept: application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"             \
    "encoding=delimited\r\n"

static struct fixture {
    char directory[SCRATCH_SIZE];
    smx_counter small;
    struct log log;
    struct loop *loop;
    struct segments *segments;
    struct pages *pages;
    struct http *http;
    struct listen_socket socket;
    bool drained;
} f;

/* What a client has got so far. */
struct client {
    int fd;
    char *answer;
    size_t length;
};

static void open_large(const char *app, const char *name, unsigned series)
{
    smx_segment *large;
    const struct smx_options options = {.app = app, .directory = f.directory};
    assert_int_equal(smx_open(&options, &large, NULL), 0);
    smx_family family = smx_counter_family(
        large, &(struct smx_metric){.name = name, .labels = {"n"}, .max_series = series}, NULL);
    for (unsigned i = 0; i < series; i++) {
        char n[16];
        snprintf(n, sizeof n, "%u", i);
        smx_counter_add(smx_counter_with(family, SMX_VALUES(n)), 1);
    }
}

static void open_segments(void)
{
    smx_segment *small;
    const struct smx_options options = {.app = "small", .directory = f.directory};
    open_large("large", "large_total", LARGE);
    assert_int_equal(smx_open(&options, &small, NULL), 0);
    f.small = smx_counter_new(small, &(struct smx_metric){.name = "small_total"}, NULL);
    smx_histogram_record(
        smx_histogram_new(small, &(struct smx_metric){.name = "latency_seconds"}, NULL), 1);
}

static void answer(void *context, const struct http_request *request, struct http_reply *reply)
{
    struct pages_scrape scrape = {.accepted = accept_choose(request->accept),
                                  .codings = accept_codings(request->accept_encoding)};
    (void)context;
    pages_answer(f.pages, &scrape, request, reply);
}

static void look(void *context)
{
    (void)context;
}

static void forget(void *context, smx_reader *reader)
{
    (void)context;
    pages_forget(f.pages, reader);
}

static void start(uint64_t max_age_ns)
{
    char why[LISTEN_WHY_SIZE];
    const char *const directories[] = {f.directory};
    f.log = (struct log){.fd = open("/dev/null", O_WRONLY | O_CLOEXEC)};
    const struct segments_options segments = {
        .directories = directories, .n_directories = 1, .log = &f.log, .closing = forget};
    f.drained = false;
    assert_int_equal(loop_new(LOOP_AUTO, &f.loop), 0);
    assert_int_equal(segments_new(&segments, &f.segments), 0);
    const struct pages_options pages = {.loop = f.loop,
                                        .log = &f.log,
                                        .segments = f.segments,
                                        .max_age_ns = max_age_ns,
                                        .slice_ns = 1,
                                        .looking = look};
    assert_int_equal(pages_new(&pages, &f.pages), 0);
    const struct http_options http = {.loop = f.loop,
                                      .log = &f.log,
                                      .limits = {.connections = 2 * CLIENTS,
                                                 .request_ns = HOUR,
                                                 .answer_ns = HOUR,
                                                 .answer_bytes = ANSWERS_MOST},
                                      .answer = answer};
    assert_int_equal(http_new(&http, &f.http), 0);
    pages_serve(f.pages, f.http);
    assert_int_equal(listen_open("127.0.0.1:0", &f.socket, why), 0);
    assert_int_equal(http_listen(f.http, &f.socket), 0);
}

static void finish(void)
{
    pages_stop(f.pages);
    http_free(f.http);
    listen_close(&f.socket);
    segments_free(f.segments);
    pages_free(f.pages);
    loop_free(f.loop);
    close(f.log.fd);
}

static int setup(void **state)
{
    (void)state;
    if (scratch_make(f.directory) != 0)
        return -1;
    open_segments();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    scratch_remove(f.directory);
    return 0;
}

/* Connect and ask; the loop need not have turned. */
static struct client ask(const char *request)
{
    struct sockaddr_in to;
    socklen_t length = sizeof to;
    struct client c = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    assert_int_equal(getsockname(f.socket.fd, (struct sockaddr *)&to, &length), 0);
    assert_int_equal(connect(c.fd, (struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(send(c.fd, request, strlen(request), MSG_NOSIGNAL), (ssize_t)strlen(request));
    c.answer = malloc(ANSWER_SIZE);
    assert_non_null(c.answer);
    return c;
}

static void leave(struct client *c)
{
    close(c->fd);
    free(c->answer);
}

/* The body of a whole answer, or NULL: take what has come. */
static const char *body_of(struct client *c)
{
    ssize_t n;
    while ((n = recv(c->fd, c->answer + c->length, ANSWER_SIZE - 1 - c->length, MSG_DONTWAIT)) > 0)
        c->length += (size_t)n;
    c->answer[c->length] = 0;
    const char *body = strstr(c->answer, "\r\n\r\n");
    const char *length = strcasestr(c->answer, "\r\nContent-Length:");
    if (!body || !length)
        return NULL;
    body += 4;
    return c->length - (size_t)(body - c->answer) == strtoull(length + 17, NULL, 10) ? body : NULL;
}

static unsigned status_of(const struct client *c)
{
    return (unsigned)strtoul(c->answer + strlen("HTTP/1.1 "), NULL, 10);
}

static void turn(void)
{
    assert_int_equal(loop_turn(f.loop, MS), 0);
}

/* Turn until there is an answer, ten seconds at most. */
static const char *wait_for(struct client *c)
{
    uint64_t end = loop_now_ns() + 10000 * MS;
    const char *body;
    while (!(body = body_of(c))) {
        assert_true(loop_now_ns() < end);
        turn();
    }
    return body;
}

/* Not by strstr(): ASan measures the rest of the body at each call. */
static unsigned count(const char *body, const char *text)
{
    unsigned n = 0;
    const char *end = body + strlen(body);
    for (; (body = memmem(body, (size_t)(end - body), text, strlen(text))); body++)
        n++;
    return n;
}

static bool says(const char *body, const char *line)
{
    const char *at = strstr(body, line);
    return at && at[-1] == '\n' && at[strlen(line)] == '\n';
}

/* In turns: until the agent has read the request and begun. */
static void let_it_begin(struct client *c)
{
    for (unsigned i = 0; i < 10; i++)
        turn();
    assert_null(body_of(c));
    assert_int_equal(c->length, 0);
}

static void forty_scrapers_cause_one_gather(void **state)
{
    (void)state;
    struct client clients[CLIENTS];
    start(HOUR);
    for (unsigned i = 0; i < CLIENTS; i++)
        clients[i] = ask(REQUEST("", ""));
    for (unsigned i = 0; i < CLIENTS; i++) {
        const char *body = wait_for(&clients[i]);
        assert_int_equal(status_of(&clients[i]), 200);
        assert_true(says(body, "smx_agent_gathers_total 1"));
        assert_int_equal(count(body, "\nlarge_total{"), LARGE);
        assert_string_equal(body, wait_for(&clients[0]));
    }
    for (unsigned i = 0; i < CLIENTS; i++)
        leave(&clients[i]);
    finish();
}

/* They take only what their sockets hold. Two pages would be too much memory for the server. */
static void forty_scrapers_that_read_nothing_hold_one_page(void **state)
{
    (void)state;
    struct client clients[CLIENTS];
    start(HOUR);
    for (unsigned i = 0; i < CLIENTS; i++)
        clients[i] = ask(REQUEST("", ""));
    for (unsigned i = 0; i < CLIENTS; i++)
        while (recv(clients[i].fd, clients[i].answer, 1, MSG_DONTWAIT | MSG_PEEK) != 1)
            turn();
    assert_false(http_strained(f.http));
    assert_int_equal(http_connections(f.http).dropped[CONNECTIONS_MEMORY].n, 0);
    assert_int_equal(http_connections(f.http).now, CLIENTS);
    assert_int_equal(count(wait_for(&clients[7]), "\nlarge_total{"), LARGE);
    for (unsigned i = 0; i < CLIENTS; i++)
        leave(&clients[i]);
    finish();
}

static void a_small_scrape_is_answered_while_a_large_page_is_made(void **state)
{
    (void)state;
    static const char *const large[] = {REQUEST("", ""), REQUEST("", "Accept-Encoding: gzip\r\n"),
                                        REQUEST("", OPENMETRICS), REQUEST("", PROTOBUF),
                                        REQUEST("?app=large", "Accept-Encoding: gzip\r\n")};
    for (size_t i = 0; i < sizeof large / sizeof large[0]; i++) {
        start(HOUR);
        struct client first = ask(large[i]);
        let_it_begin(&first);
        struct client small = ask(REQUEST("?app=small", ""));
        const char *body = wait_for(&small);
        assert_int_equal(count(body, "\nsmall_total{"), 1);
        assert_null(body_of(&first));
        wait_for(&first);
        assert_int_equal(status_of(&first), 200);
        leave(&first);
        leave(&small);
        finish();
    }
}

static void a_client_that_goes_away_holds_up_nobody(void **state)
{
    (void)state;
    start(HOUR);
    struct client gone = ask(REQUEST("", ""));
    let_it_begin(&gone);
    struct client stays = ask(REQUEST("", ""));
    turn();
    leave(&gone);
    assert_int_equal(count(wait_for(&stays), "\nlarge_total{"), LARGE);
    struct client next = ask(REQUEST("?app=small", ""));
    wait_for(&next);
    assert_int_equal(http_connections(f.http).now, 2);
    leave(&stays);
    leave(&next);
    finish();
}

static void expect_small(uint64_t expected, const char *query)
{
    char line[64];
    struct client c = ask(query);
    snprintf(line, sizeof line, "small_total{app=\"small\"} %llu", (unsigned long long)expected);
    const char *body = wait_for(&c);
    if (!says(body, line))
        fail_msg("%s is not in:\n%.2000s", line, body);
    leave(&c);
}

static void what_is_shared_is_no_older_than_it_may_be(void **state)
{
    (void)state;
    start(HOUR);
    expect_small(0, REQUEST("?app=small", ""));
    smx_counter_add(f.small, 1);
    expect_small(0, REQUEST("?app=small", ""));
    expect_small(0, REQUEST("?name[]=small_total", ""));
    finish();
    start(0);
    expect_small(1, REQUEST("?app=small", ""));
    smx_counter_add(f.small, 1);
    expect_small(2, REQUEST("?app=small", ""));
    smx_counter_add(f.small, 1);
    expect_small(3, REQUEST("", ""));
    smx_counter_add(f.small, 1);
    expect_small(4, REQUEST("", ""));
    finish();
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
    start(HOUR);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t k = 0; k < 3; k++) {
            char request[512];
            size_t at;
            snprintf(request, sizeof request, REQUEST("%s", "%s"), cases[i].query, accepts[k]);
            struct client c = ask(request);
            const char *body = wait_for(&c);
            size_t length = c.length - (size_t)(body - c.answer);
            assert_int_equal(status_of(&c), 200);
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
            leave(&c);
        }
    }
    finish();
}

/* When a segment was read; 0 if it never was, or is not known. */
static uint64_t read_at(const char *app)
{
    size_t n;
    const struct segment *list = segments_list(f.segments, &n);
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i].app, app) == 0)
            return list[i].read_ns;
    return 0;
}

static void an_application_alone_is_read_for_its_page(void **state)
{
    (void)state;
    start(0);
    expect_small(4, REQUEST("?app=small", ""));
    assert_int_equal(read_at("large"), 0);
    expect_small(4, REQUEST("", ""));
    uint64_t large = read_at("large"), small = read_at("small");
    assert_true(large > 0);
    expect_small(4, REQUEST("?app=small&app=nobody", OPENMETRICS));
    assert_true(read_at("small") > small);
    assert_int_equal(read_at("large"), large);
    small = read_at("small");
    struct client nobody = ask(REQUEST("?app=nobody", ""));
    wait_for(&nobody);
    assert_int_equal(read_at("small"), small);
    leave(&nobody);
    expect_small(4, REQUEST("", ""));
    assert_true(read_at("small") > small && read_at("large") > large);
    finish();
}

/* Its page waits until all of it is there, those of others do not, nor does who only looks. */
static void what_is_new_and_large_holds_up_no_other(void **state)
{
    (void)state;
    char path[SCRATCH_SIZE + 16];
    start(0);
    expect_small(4, REQUEST("", ""));
    open_large("new", "new_total", LARGE / 2);
    pages_refresh(f.pages);
    struct client whole = ask(REQUEST("", ""));
    unsigned served = 0;
    for (; read_at("new") == 0; served++)
        expect_small(4, REQUEST("?app=small", ""));
    assert_true(served >= 3);
    assert_int_equal(count(wait_for(&whole), "\nnew_total{"), LARGE / 2);
    leave(&whole);
    snprintf(path, sizeof path, "%s/new.v1.smx", f.directory);
    assert_int_equal(unlink(path), 0);
    finish();
}

static void what_is_new_is_read_although_nobody_asks(void **state)
{
    unsigned turns = 0;
    (void)state;
    start(0);
    for (pages_look(f.pages); read_at("large") == 0; turns++)
        turn();
    assert_true(turns >= 50 && read_at("small") > 0);
    finish();
}

static void a_selection_does_not_spoil_the_whole_page(void **state)
{
    (void)state;
    start(HOUR);
    expect_small(4, REQUEST("?app=small", ""));
    struct client c = ask(REQUEST("", ""));
    assert_int_equal(count(wait_for(&c), "\nlarge_total{"), LARGE);
    leave(&c);
    expect_small(4, REQUEST("?app=small", ""));
    finish();
}

/* More than there is room for, one after the other and at once: each gets its own, or is told. */
static void many_selections_at_a_time_are_bounded(void **state)
{
    (void)state;
    struct client clients[CLIENTS];
    unsigned served = 0, refused = 0;
    start(HOUR);
    for (unsigned i = 0; i < CLIENTS; i++) {
        char request[256];
        snprintf(request, sizeof request, REQUEST("?app=small&name[]=small_total&name[]=x%u", ""),
                 i);
        expect_small(4, request);
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        char request[256];
        snprintf(request, sizeof request, REQUEST("?app=large&name[]=large_total&name[]=x%u", ""),
                 i);
        clients[i] = ask(request);
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        const char *body = wait_for(&clients[i]);
        served += status_of(&clients[i]) == 200 && count(body, "\nlarge_total{") == LARGE;
        refused += status_of(&clients[i]) == 503 && strstr(body, "too many different selections");
        leave(&clients[i]);
    }
    assert_int_equal(served + refused, CLIENTS);
    assert_true(served >= 16 && refused > 0);
    finish();
}

/* The first must not even be begun to be worth it, the second runs out while the page is made. What
 * either has begun is read to its end: else who has little time would never be answered. */
static void a_scrape_that_would_be_late_is_refused_in_time(void **state)
{
    (void)state;
    static const char *const requests[] = {REQUEST("", TIMEOUT("0.000000001")),
                                           REQUEST("", TIMEOUT("0.0001"))};
    start(0);
    for (unsigned i = 0; i < 2; i++) {
        uint64_t read = read_at("large");
        struct client late = ask(requests[i]);
        assert_non_null(strstr(wait_for(&late), "within the scrape's timeout"));
        assert_int_equal(status_of(&late), 503);
        leave(&late);
        for (unsigned turns = 0; read_at("large") == read; turn())
            assert_true(turns++ < 1000);
    }
    struct client c = ask(REQUEST("", TIMEOUT("10")));
    assert_true(says(wait_for(&c), "smx_agent_late_scrapes_total 2"));
    leave(&c);
    finish();
}

/* Zero, or no number, is no time at all to go by. */
static void a_timeout_that_makes_no_sense_is_ignored(void **state)
{
    (void)state;
    static const char *const times[] = {"0", "-1", "nan", "inf", "1e300", "10s", ""};
    start(HOUR);
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        char request[256];
        snprintf(request, sizeof request, REQUEST("?app=small", TIMEOUT("%s")), times[i]);
        struct client c = ask(request);
        wait_for(&c);
        assert_int_equal(status_of(&c), 200);
        leave(&c);
    }
    finish();
}

static void note_drained(void *context)
{
    (void)context;
    f.drained = true;
}

static void who_waits_when_it_ends_gets_his_page(void **state)
{
    (void)state;
    start(HOUR);
    struct client c = ask(REQUEST("", ""));
    let_it_begin(&c);
    http_drain(f.http, HOUR, note_drained, NULL);
    assert_false(f.drained);
    assert_int_equal(count(wait_for(&c), "\nlarge_total{"), LARGE);
    assert_int_equal(status_of(&c), 200);
    for (unsigned i = 0; i < 1000 && !f.drained; i++)
        turn();
    assert_true(f.drained);
    leave(&c);
    finish();
}

/* As when it is told twice, in the middle of everything: nothing leaks. */
static void an_end_in_the_middle_is_clean(void **state)
{
    (void)state;
    for (unsigned turns = 1; turns < 60; turns += 9) {
        start(HOUR);
        struct client whole = ask(REQUEST("", "Accept-Encoding: gzip\r\n"));
        struct client part = ask(REQUEST("?app=large", PROTOBUF));
        for (unsigned i = 0; i < turns; i++)
            turn();
        finish();
        leave(&whole);
        leave(&part);
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
    return cmocka_run_group_tests(tests, setup, teardown) ? 1 : 0;
}
