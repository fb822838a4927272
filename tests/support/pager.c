/* SPDX-License-Identifier: MIT
 *
 * pager.c - a fixture of one process: what it drives is a global of the test.
 */
#include "support/pager.h"

#include "support/tap.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

struct pager pager;

void pager_open_large(const char *app, const char *name, unsigned series)
{
    smx_segment *large;
    const struct smx_options options = {.app = app, .directory = pager.directory};
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
    const struct smx_options options = {.app = "small", .directory = pager.directory};
    pager_open_large("large", "large_total", LARGE);
    assert_int_equal(smx_open(&options, &small, NULL), 0);
    pager.small = smx_counter_new(small, &(struct smx_metric){.name = "small_total"}, NULL);
    smx_histogram_record(
        smx_histogram_new(small, &(struct smx_metric){.name = "latency_seconds"}, NULL), 1);
}

static void answer(void *context, const struct http_request *request, struct http_reply *reply)
{
    struct pages_scrape scrape = {.accepted = accept_choose(request->accept),
                                  .codings = accept_codings(request->accept_encoding)};
    (void)context;
    pages_answer(pager.pages, &scrape, request, reply);
}

static void look(void *context)
{
    (void)context;
}

static void forget(void *context, smx_reader *reader)
{
    (void)context;
    pages_forget(pager.pages, reader);
}

void pager_start(uint64_t max_age_ns)
{
    char why[LISTEN_WHY_SIZE];
    const char *const directories[] = {pager.directory};
    pager.log = (struct log){.fd = open("/dev/null", O_WRONLY | O_CLOEXEC)};
    const struct segments_options segments = {
        .directories = directories, .n_directories = 1, .log = &pager.log, .closing = forget};
    pager.drained = false;
    assert_int_equal(loop_new(LOOP_AUTO, &pager.loop), 0);
    assert_int_equal(segments_new(&segments, &pager.segments), 0);
    const struct pages_options pages = {.loop = pager.loop,
                                        .log = &pager.log,
                                        .segments = pager.segments,
                                        .max_age_ns = max_age_ns,
                                        .slice_ns = 1,
                                        .looking = look};
    assert_int_equal(pages_new(&pages, &pager.pages), 0);
    const struct http_options http = {.loop = pager.loop,
                                      .log = &pager.log,
                                      .limits = {.connections = 2 * CLIENTS,
                                                 .request_ns = HOUR,
                                                 .answer_ns = HOUR,
                                                 .answer_bytes = ANSWERS_MOST},
                                      .answer = answer};
    assert_int_equal(http_new(&http, &pager.http), 0);
    pages_serve(pager.pages, pager.http, NULL, NULL);
    assert_int_equal(listen_open("127.0.0.1:0", &pager.socket, why), 0);
    assert_int_equal(http_listen(pager.http, &pager.socket), 0);
}

void pager_finish(void)
{
    pages_stop(pager.pages);
    http_free(pager.http);
    listen_close(&pager.socket);
    segments_free(pager.segments);
    pages_free(pager.pages);
    loop_free(pager.loop);
    close(pager.log.fd);
}

int pager_setup(void **state)
{
    (void)state;
    if (scratch_make(pager.directory) != 0)
        return -1;
    open_segments();
    return 0;
}

int pager_teardown(void **state)
{
    (void)state;
    scratch_remove(pager.directory);
    return 0;
}

struct client pager_ask(const char *request)
{
    struct sockaddr_in to;
    socklen_t length = sizeof to;
    struct client c = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    assert_int_equal(getsockname(pager.socket.fd, (struct sockaddr *)&to, &length), 0);
    assert_int_equal(connect(c.fd, (struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(send(c.fd, request, strlen(request), MSG_NOSIGNAL), (ssize_t)strlen(request));
    c.answer = malloc(ANSWER_SIZE);
    assert_non_null(c.answer);
    return c;
}

void pager_leave(struct client *c)
{
    close(c->fd);
    free(c->answer);
}

const char *pager_body_of(struct client *c)
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

unsigned pager_status_of(const struct client *c)
{
    return (unsigned)strtoul(c->answer + strlen("HTTP/1.1 "), NULL, 10);
}

void pager_turn(void)
{
    assert_int_equal(loop_turn(pager.loop, MS), 0);
}

const char *pager_wait_for(struct client *c)
{
    uint64_t end = loop_now_ns() + PATIENCE_NS;
    const char *body;
    while (!(body = pager_body_of(c))) {
        assert_true(loop_now_ns() < end);
        pager_turn();
    }
    return body;
}

/* By neither strstr() nor memmem(): at each call ASan looks at the whole rest of the body. */
unsigned pager_count(const char *body, const char *text)
{
    unsigned n = 0;
    const char *end = body + strlen(body);
    for (; (body = memchr(body, text[0], (size_t)(end - body))); body++)
        n += strncmp(body, text, strlen(text)) == 0;
    return n;
}

bool pager_says(const char *body, const char *line)
{
    const char *at = strstr(body, line);
    return at && at[-1] == '\n' && at[strlen(line)] == '\n';
}

void pager_let_it_begin(struct client *c)
{
    for (unsigned i = 0; i < 10; i++)
        pager_turn();
    assert_null(pager_body_of(c));
    assert_int_equal(c->length, 0);
}

void pager_expect_small(uint64_t expected, const char *query)
{
    char line[64];
    struct client c = pager_ask(query);
    snprintf(line, sizeof line, "small_total{app=\"small\"} %llu", (unsigned long long)expected);
    const char *body = pager_wait_for(&c);
    if (!pager_says(body, line))
        fail_msg("%s is not in:\n%.2000s", line, body);
    pager_leave(&c);
}
