/* SPDX-License-Identifier: MIT
 *
 * 40-http.c - connections: how many there may be, whose goes for another, how long one may take,
 * how much memory slow readers hold, and what becomes of it all without descriptors.
 */
#include "agent/system/descriptors.h"
#include "agent/http/http.h"
#include "agent/http/listen.h"
#include "support/process.h"
#include "support/tap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define MS     UINT64_C(1000000)
#define HOUR   (UINT64_C(3600000) * MS)
#define GET(p) "GET " p " HTTP/1.1\r\nHost: agent\r\n\r\n"

enum { MOST = 8, BIG = 24 << 20 };

struct fixture {
    int log_fd;
    struct log log;
    struct loop *loop;
    struct http *http;
    struct listen_socket socket;
    struct body *big;               /* what /big gives; NULL: a new one each time */
    struct http_deferred *deferred; /* the last /later */
};

/* For what turn_until() asks of no descriptor. */
static struct fixture *the_fixture;

static struct body *big_body(struct fixture *f)
{
    if (f->big)
        return body_ref(f->big);
    struct body *body = body_new();
    assert_non_null(body);
    assert_int_equal(buffer_reserve(&body->bytes, BIG), 0);
    memset(body->bytes.at, 'x', BIG);
    body->bytes.length = BIG;
    return body;
}

static void answer(void *context, const struct http_request *request, struct http_reply *reply)
{
    reply->status = 200;
    reply->content_type = "text/plain";
    if (strcmp(request->path, "/big") == 0) {
        reply->body = big_body(context);
        return;
    }
    if (strcmp(request->path, "/later") == 0) {
        struct fixture *f = context;
        f->deferred = http_defer(request);
        assert_non_null(f->deferred);
        return;
    }
    reply->body = body_new();
    buffer_puts(&reply->body->bytes, "well");
}

/* What /later was waiting for. */
static struct body *answer_later(struct fixture *f)
{
    struct http_reply reply = {.status = 200, .content_type = "text/plain", .body = body_new()};
    struct body *body = body_ref(reply.body);
    buffer_puts(&body->bytes, "well");
    http_answer(f->deferred, &reply);
    f->deferred = NULL;
    return body;
}

static void start(struct fixture *f, enum loop_kind kind, const struct connections_limits *limits)
{
    char why[LISTEN_WHY_SIZE];
    *f = (struct fixture){.log_fd = memfd_create("log", MFD_CLOEXEC)};
    the_fixture = f;
    f->log = (struct log){.fd = f->log_fd};
    assert_int_equal(loop_new(kind, &f->loop), 0);
    struct http_options options = {
        .loop = f->loop, .log = &f->log, .limits = *limits, .answer = answer, .context = f};
    if (options.limits.connections == 0)
        options.limits.connections = MOST;
    assert_int_equal(http_new(&options, &f->http), 0);
    assert_int_equal(listen_open("127.0.0.1:0", &f->socket, why), 0);
    assert_int_equal(http_listen(f->http, &f->socket), 0);
}

static void finish(struct fixture *f)
{
    http_free(f->http);
    body_unref(f->big);
    listen_close(&f->socket);
    loop_free(f->loop);
    close(f->log_fd);
}

/* Connect from 127.0.0.<host>. The kernel accepts; the loop need not have turned. */
static int client(const struct fixture *f, unsigned host)
{
    struct sockaddr_in to, from = {.sin_family = AF_INET};
    socklen_t length = sizeof to;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    from.sin_addr.s_addr = htonl(0x7f000000 + host);
    assert_true(fd >= 0);
    assert_int_equal(getsockname(f->socket.fd, (struct sockaddr *)&to, &length), 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof from), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static bool is_ended(int fd)
{
    char byte;
    ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK);
    return n == 0 || (n < 0 && errno != EAGAIN);
}

static bool has_answer(int fd)
{
    char byte;
    return recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 1;
}

static uint64_t dropped(const struct fixture *f, enum connections_reason reason)
{
    return http_connections(f->http).dropped[reason].n;
}

static void turn(struct fixture *f, uint64_t end)
{
    assert_true(loop_now_ns() < end);
    assert_int_equal(loop_turn(f->loop, 10 * MS), 0);
}

/* Turn until something is so, or fail after PATIENCE_MS. What is sent or closed comes to the other
 * end some time later. */
#define TURN_UNTIL(f, so)                                                                          \
    for (uint64_t end = loop_now_ns() + PATIENCE_NS; !(so);)                                       \
    turn(f, end)

static void turn_until(struct fixture *f, bool (*state)(int fd), int fd)
{
    TURN_UNTIL(f, state(fd));
}

/* Connect, and be accepted. */
static int guest(struct fixture *f, unsigned host)
{
    uint64_t before = http_connections(f->http).accepted;
    int fd = client(f, host);
    TURN_UNTIL(f, http_connections(f->http).accepted > before);
    return fd;
}

/* Turn until there is nothing left to do, if it has come. */
static void settle(struct fixture *f)
{
    for (int i = 0; i < 50; i++)
        assert_int_equal(loop_turn(f->loop, MS), 0);
}

static void ask(struct fixture *f, int fd)
{
    char text[512] = "";
    say(fd, GET("/"));
    turn_until(f, has_answer, fd);
    assert_true(recv(fd, text, sizeof text - 1, 0) > 0);
    assert_memory_equal(text, "HTTP/1.1 200 ", 13);
    assert_non_null(strstr(text, "\r\n\r\nwell"));
}

static void close_all(const int *fds, size_t n)
{
    for (size_t i = 0; i < n; i++)
        close(fds[i]);
}

static const struct connections_limits patient = {
    .request_ns = HOUR, .answer_ns = HOUR, .answer_bytes = 1};

static void when_it_is_full_the_one_that_waited_longest_goes(void **state)
{
    (void)state;
    struct fixture f;
    int fds[MOST + 1];
    start(&f, LOOP_AUTO, &patient);
    for (unsigned i = 0; i < MOST; i++)
        fds[i] = guest(&f, i + 1);
    ask(&f, fds[0]); /* waits again, but not for as long as the next one */
    assert_int_equal(http_connections(f.http).now, MOST);
    fds[MOST] = client(&f, MOST + 1);
    ask(&f, fds[MOST]);
    turn_until(&f, is_ended, fds[1]);
    for (unsigned i = 0; i <= MOST; i++)
        assert_int_equal(is_ended(fds[i]), i == 1);
    assert_int_equal(dropped(&f, CONNECTIONS_FULL), 1);
    assert_int_equal(http_connections(f.http).now, MOST);
    assert_int_equal(http_connections(f.http).accepted, MOST + 1);
    close_all(fds, MOST + 1);
    finish(&f);
}

static void one_address_gets_three_quarters(void **state)
{
    (void)state;
    struct fixture f;
    int fds[MOST], other;
    start(&f, LOOP_AUTO, &patient);
    other = guest(&f, 200);
    for (unsigned i = 0; i < MOST; i++)
        fds[i] = guest(&f, 1);
    for (unsigned i = 0; i < MOST / 4; i++)
        turn_until(&f, is_ended, fds[i]);
    for (unsigned i = 0; i < MOST; i++)
        assert_int_equal(is_ended(fds[i]), i < MOST / 4);
    assert_int_equal(dropped(&f, CONNECTIONS_ADDRESS), MOST / 4);
    assert_int_equal(dropped(&f, CONNECTIONS_FULL), 0);
    ask(&f, other);
    close_all(fds, MOST);
    close(other);
    finish(&f);
}

static void who_is_being_answered_goes_last(void **state)
{
    (void)state;
    struct fixture f;
    int fds[MOST + 1];
    start(&f, LOOP_AUTO, &patient);
    f.big = big_body(&f);
    for (unsigned i = 0; i < MOST; i++) {
        fds[i] = guest(&f, i + 1);
        if (i == 5)
            continue;
        say(fds[i], GET("/big"));
        turn_until(&f, has_answer, fds[i]);
    }
    fds[MOST] = client(&f, MOST + 1);
    ask(&f, fds[MOST]);
    turn_until(&f, is_ended, fds[5]);
    for (unsigned i = 0; i < MOST; i++)
        assert_int_equal(is_ended(fds[i]), i == 5);
    close_all(fds, MOST + 1);
    finish(&f);
}

static void the_time_of_an_answer_is_no_waiting(void **state)
{
    (void)state;
    struct fixture f;
    static char bytes[1 << 20];
    int fds[MOST + 1];
    start(&f, LOOP_AUTO, &patient);
    fds[0] = client(&f, 1);
    say(fds[0], GET("/big"));
    turn_until(&f, has_answer, fds[0]);
    for (unsigned i = 1; i < MOST; i++)
        fds[i] = guest(&f, i + 1);
    for (size_t taken = 0; taken < BIG;) {
        turn_until(&f, has_answer, fds[0]);
        taken += (size_t)recv(fds[0], bytes, sizeof bytes, 0);
    }
    settle(&f);
    fds[MOST] = client(&f, MOST + 1);
    turn_until(&f, is_ended, fds[1]);
    assert_false(is_ended(fds[0]));
    close_all(fds, MOST + 1);
    finish(&f);
}

static void who_has_asked_is_answered_before_he_goes_for_others(void **state)
{
    (void)state;
    struct fixture f;
    int fds[3 * MOST];
    start(&f, LOOP_AUTO, &patient);
    for (unsigned i = 0; i < 3 * MOST; i++) {
        fds[i] = client(&f, 1);
        say(fds[i], GET("/"));
    }
    for (unsigned i = 0; i < 3 * MOST; i++)
        turn_until(&f, has_answer, fds[i]);
    close_all(fds, 3 * MOST);
    finish(&f);
}

static void a_flood_of_connections_keeps_no_scraper_out(void **state)
{
    (void)state;
    struct fixture f;
    int fds[200];
    start(&f, LOOP_AUTO, &patient);
    for (unsigned i = 0; i < 200; i++) {
        fds[i] = client(&f, 1);
        if (i % 50 == 49) {
            int scraper = client(&f, i % 100 == 49 ? 1 : 2);
            ask(&f, scraper);
            close(scraper);
        }
    }
    assert_true(dropped(&f, CONNECTIONS_ADDRESS) > 150);
    assert_true(http_connections(f.http).now <= MOST);
    close_all(fds, 200);
    TURN_UNTIL(&f, http_connections(f.http).now == 0);
    finish(&f);
}

/* Send a byte of a header whenever the loop has turned. */
static bool drips_in_vain(int fd)
{
    return send(fd, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 || is_ended(fd);
}

static bool has_answer_or_none(int fd)
{
    return has_answer(fd) || is_ended(fd);
}

/* Whether one who asks as soon as he has come is answered. */
static bool is_served(struct fixture *f)
{
    int fd = client(f, 1);
    (void)!send(fd, GET("/"), strlen(GET("/")), MSG_NOSIGNAL);
    turn_until(f, has_answer_or_none, fd);
    bool served = has_answer(fd);
    close(fd);
    return served;
}

static void a_request_must_come_in_time_however_busy_its_sender(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, LOOP_AUTO, &(struct connections_limits){.request_ns = 50 * MS, .answer_ns = HOUR});
    int silent = client(&f, 1), header = client(&f, 1), body = client(&f, 1);
    say(header, "GET / HTTP/1.1\r\nX: ");
    say(body, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
    turn_until(&f, drips_in_vain, header);
    turn_until(&f, drips_in_vain, body);
    turn_until(&f, is_ended, silent);
    assert_int_equal(dropped(&f, CONNECTIONS_SLOW_REQUEST), 3);
    while (!is_served(&f)) /* on a busy machine he is late himself */
        continue;
    close_all((int[]){silent, header, body}, 3);
    finish(&f);
}

static bool takes_in_vain(int fd)
{
    char bytes[4096];
    ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno != EAGAIN);
}

static void an_answer_must_be_taken_in_time(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, LOOP_AUTO, &(struct connections_limits){.request_ns = HOUR, .answer_ns = 50 * MS});
    int stalled = client(&f, 1), slow = client(&f, 1);
    say(stalled, GET("/big"));
    say(slow, GET("/big"));
    turn_until(&f, takes_in_vain, slow);
    TURN_UNTIL(&f, http_connections(f.http).now == 0);
    assert_int_equal(dropped(&f, CONNECTIONS_SLOW_ANSWER), 2);
    close_all((int[]){stalled, slow}, 2);
    finish(&f);
}

static void slow_readers_hold_four_answers_at_most(void **state)
{
    (void)state;
    struct fixture f;
    int fds[MOST];
    start(&f, LOOP_AUTO, &patient);
    for (unsigned i = 0; i < MOST; i++) {
        fds[i] = client(&f, i + 1);
        say(fds[i], GET("/big"));
        turn_until(&f, has_answer, fds[i]);
        assert_int_equal(http_strained(f.http), true);
    }
    settle(&f);
    assert_int_equal(dropped(&f, CONNECTIONS_MEMORY), MOST - 4);
    assert_int_equal(http_connections(f.http).now, 4);
    close_all(fds, MOST);
    TURN_UNTIL(&f, !http_strained(f.http));
    finish(&f);
}

static void an_answer_that_all_share_counts_once(void **state)
{
    (void)state;
    struct fixture f;
    int fds[MOST];
    start(&f, LOOP_AUTO, &patient);
    f.big = big_body(&f);
    for (unsigned i = 0; i < MOST; i++) {
        fds[i] = client(&f, i + 1);
        say(fds[i], GET("/big"));
        turn_until(&f, has_answer, fds[i]);
    }
    assert_int_equal(f.big->takers, MOST);
    assert_int_equal(http_connections(f.http).now, MOST);
    close_all(fds, MOST);
    TURN_UNTIL(&f, f.big->takers == 0);
    assert_int_equal(f.big->references, 1);
    finish(&f);
}

/* The second is answered before the first has taken all of its own. */
static void a_small_answer_takes_nothing_from_a_large_one(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, LOOP_AUTO, &patient);
    int large = client(&f, 1), small = client(&f, 2);
    say(large, GET("/big"));
    turn_until(&f, has_answer, large);
    ask(&f, small);
    settle(&f);
    assert_int_equal(dropped(&f, CONNECTIONS_MEMORY), 0);
    close_all((int[]){large, small}, 2);
    finish(&f);
}

static bool asked_for_later(int fd)
{
    (void)fd;
    return the_fixture->deferred != NULL;
}

static void expect_well(int fd, const char *body)
{
    char text[512] = "";
    assert_true(recv(fd, text, sizeof text - 1, 0) > 0);
    assert_memory_equal(text, "HTTP/1.1 200 ", 13);
    assert_string_equal(strstr(text, "\r\n\r\n") + 4, body);
}

static void who_waits_for_an_answer_is_not_one_who_idles(void **state)
{
    (void)state;
    struct fixture f;
    int fds[MOST];
    start(&f, LOOP_AUTO, &patient);
    int first = client(&f, 1);
    say(first, GET("/later"));
    turn_until(&f, asked_for_later, -1);
    for (unsigned i = 0; i < MOST; i++)
        fds[i] = guest(&f, i + 2);
    turn_until(&f, is_ended, fds[0]);
    assert_int_equal(dropped(&f, CONNECTIONS_FULL), 1);
    body_unref(answer_later(&f));
    turn_until(&f, has_answer, first);
    expect_well(first, "well");
    close(first);
    close_all(fds, MOST);
    finish(&f);
}

/* Let this process open no descriptor more. Returns what the limit was. */
static rlim_t allow_no_more(void)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    rlim_t before = limit.rlim_cur;
    int next = dup(0);
    assert_true(next >= 0);
    close(next);
    limit.rlim_cur = (rlim_t)next;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    return before;
}

static void allow(rlim_t limit)
{
    struct rlimit all;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &all), 0);
    all.rlim_cur = limit;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);
}

static void no_descriptor_left(enum loop_kind kind)
{
    struct fixture f;
    char log[4096] = "";
    start(&f, kind, &patient);
    int fd = client(&f, 1);
    say(fd, GET("/"));
    rlim_t before = allow_no_more();
    uint64_t turns = loop_turns(f.loop), end = loop_now_ns() + 500 * MS;
    while (loop_now_ns() < end)
        assert_int_equal(loop_turn(f.loop, 100 * MS), 0);
    assert_true(loop_turns(f.loop) - turns <
                50); /* a loop that tried on would turn 100,000 times */
    assert_false(has_answer(fd));
    allow(before);
    turn_until(&f, has_answer, fd);
    assert_true(pread(f.log_fd, log, sizeof log - 1, 0) > 0);
    const char *said = strstr(log, "no descriptor is left");
    assert_non_null(said);
    assert_null(strstr(said + 1, "no descriptor is left"));
    close(fd);
    finish(&f);
}

static void without_descriptors_the_loop_rests_and_recovers(void **state)
{
    struct loop *loop = NULL;
    (void)state;
    no_descriptor_left(LOOP_EPOLL);
    if (loop_new(LOOP_URING, &loop) == 0)
        no_descriptor_left(LOOP_URING);
    loop_free(loop);
}

static void without_descriptors_one_that_waits_yields(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, LOOP_AUTO, &patient);
    int idle = guest(&f, 1), fd = client(&f, 2);
    rlim_t before = allow_no_more();
    ask(&f, fd);
    allow(before);
    turn_until(&f, is_ended, idle);
    assert_int_equal(dropped(&f, CONNECTIONS_DESCRIPTORS), 1);
    close_all((int[]){idle, fd}, 2);
    finish(&f);
}

static void descriptors_are_divided(void **state)
{
    (void)state;
    static const struct {
        uint64_t limit, most;
        size_t connections, segments;
    } cases[] = {
        {0, 512, 8, 8},
        {80, 512, 8, 8},
        {128, 512, 12, 36},
        {256, 512, 44, 132},
        {1024, 512, 236, 708},
        {20000, 512, 512, 1024},
        {1024, 100, 100, 844},
        {1024, 8, 8, 936},
        {UINT64_MAX, 512, 512, 1024},
        {20000, 4096, 4096, 1024},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct descriptors share = descriptors_divide(cases[i].limit, cases[i].most);
        assert_int_equal(share.connections, cases[i].connections);
        assert_int_equal(share.segments, cases[i].segments);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(when_it_is_full_the_one_that_waited_longest_goes),
        cmocka_unit_test(one_address_gets_three_quarters),
        cmocka_unit_test(who_is_being_answered_goes_last),
        cmocka_unit_test(the_time_of_an_answer_is_no_waiting),
        cmocka_unit_test(who_has_asked_is_answered_before_he_goes_for_others),
        cmocka_unit_test(a_flood_of_connections_keeps_no_scraper_out),
        cmocka_unit_test(a_request_must_come_in_time_however_busy_its_sender),
        cmocka_unit_test(an_answer_must_be_taken_in_time),
        cmocka_unit_test(slow_readers_hold_four_answers_at_most),
        cmocka_unit_test(an_answer_that_all_share_counts_once),
        cmocka_unit_test(a_small_answer_takes_nothing_from_a_large_one),
        cmocka_unit_test(who_waits_for_an_answer_is_not_one_who_idles),
        cmocka_unit_test(without_descriptors_the_loop_rests_and_recovers),
        cmocka_unit_test(without_descriptors_one_that_waits_yields),
        cmocka_unit_test(descriptors_are_divided),
    };
    return RUN_TESTS(tests);
}
