/* SPDX-License-Identifier: MIT
 *
 * 40-exchange.c - one request over the agent's HTTP server: what the callback is told of it, that
 * it can be put to the callback once more, and what every answer has beside its own.
 */
#include "agent/http/http.h"
#include "agent/http/listen.h"
#include "support/tap.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MS     UINT64_C(1000000)
#define GET(p) "GET " p " HTTP/1.1\r\nHost: agent\r\n\r\n"

struct fixture {
    struct log log;
    struct loop *loop;
    struct http *http;
    struct listen_socket socket;
    struct http_deferred *deferred; /* the last /again */
};

static void describe_peer(const struct http_request *request, struct buffer *out)
{
    char name[HTTP_PEER_NAME_SIZE];
    http_peer_name(request, name);
    buffer_puts(out, name);
    buffer_puts(out, request->peer.local ? " local" : " far");
    buffer_puts(out, request->peer.scope == LISTEN_LOOPBACK ? " loopback " : " elsewhere ");
    buffer_puts(out, request->host);
    buffer_puts(out, " ");
    buffer_puts(out, request->authorization);
}

static void answer(void *context, const struct http_request *request, struct http_reply *reply)
{
    struct fixture *f = context;
    reply->status = 200;
    reply->content_type = "text/plain";
    if (strcmp(request->path, "/again") == 0 && !request->again) {
        f->deferred = http_defer(request);
        assert_non_null(f->deferred);
        return;
    }
    reply->body = body_new();
    if (strcmp(request->path, "/peer") == 0) {
        describe_peer(request, &reply->body->bytes);
        return;
    }
    for (size_t i = 0; i < request->n_parameters; i++) {
        const struct http_parameter *p = &request->parameters[i];
        buffer_puts(&reply->body->bytes, p->name);
        buffer_puts(&reply->body->bytes, p->value ? "=" : "!");
        buffer_puts(&reply->body->bytes, p->value ? p->value : "");
        buffer_puts(&reply->body->bytes, "\n");
    }
    buffer_puts(&reply->body->bytes, "well");
}

static void start(struct fixture *f)
{
    char why[LISTEN_WHY_SIZE];
    *f = (struct fixture){.log = {.fd = memfd_create("log", MFD_CLOEXEC)}};
    assert_int_equal(loop_new(LOOP_AUTO, &f->loop), 0);
    struct http_options options = {.loop = f->loop,
                                   .log = &f->log,
                                   .limits = {.connections = 8,
                                              .request_ns = 60000 * MS,
                                              .answer_ns = 60000 * MS,
                                              .answer_bytes = 1 << 20},
                                   .answer = answer,
                                   .context = f};
    assert_int_equal(http_new(&options, &f->http), 0);
    assert_int_equal(listen_open("127.0.0.1:0", &f->socket, why), 0);
    assert_int_equal(http_listen(f->http, &f->socket), 0);
}

static void finish(struct fixture *f)
{
    http_free(f->http);
    listen_close(&f->socket);
    loop_free(f->loop);
    close(f->log.fd);
}

/* Connect from 127.0.0.<host>, and ask. */
static int ask(const struct fixture *f, unsigned host, const char *request)
{
    struct sockaddr_in to, from = {.sin_family = AF_INET};
    socklen_t length = sizeof to;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    from.sin_addr.s_addr = htonl(0x7f000000 + host);
    assert_int_equal(getsockname(f->socket.fd, (struct sockaddr *)&to, &length), 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof from), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), (ssize_t)strlen(request));
    return fd;
}

static void turn(struct fixture *f, uint64_t end)
{
    assert_true(loop_now_ns() < end);
    assert_int_equal(loop_turn(f->loop, MS), 0);
}

/* The whole of an answer, or fail after PATIENCE_MS. */
static const char *answer_on(struct fixture *f, int fd)
{
    static char text[4096];
    uint64_t end = loop_now_ns() + PATIENCE_NS;
    ssize_t n;
    while ((n = recv(fd, text, sizeof text - 1, MSG_DONTWAIT)) < 0)
        turn(f, end);
    text[n] = 0;
    assert_memory_equal(text, "HTTP/1.1 200 ", 13);
    return text;
}

static void expect_body(struct fixture *f, int fd, const char *body)
{
    assert_string_equal(strstr(answer_on(f, fd), "\r\n\r\n") + 4, body);
}

static struct http_deferred *deferred_of(struct fixture *f)
{
    uint64_t end = loop_now_ns() + PATIENCE_NS;
    while (!f->deferred)
        turn(f, end);
    struct http_deferred *deferred = f->deferred;
    f->deferred = NULL;
    return deferred;
}

static void a_request_can_be_put_once_more(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    int fd = ask(&f, 1, GET("/again?x=y"));
    http_retry(deferred_of(&f));
    expect_body(&f, fd, "x=y\nwell");
    close(fd);
    finish(&f);
}

static void one_whose_client_has_gone_can_be_put_once_more(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    int fd = ask(&f, 1, GET("/again"));
    struct http_deferred *deferred = deferred_of(&f);
    close(fd);
    http_retry(deferred);
    uint64_t end = loop_now_ns() + PATIENCE_NS;
    while (http_connections(f.http).now > 0)
        turn(&f, end);
    finish(&f);
}

static void who_asks_is_told(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    int fd = ask(&f, 7, "GET /peer HTTP/1.1\r\nHost: a:1\r\nAuthorization: Basic eA==\r\n\r\n");
    expect_body(&f, fd, "127.0.0.7 local loopback a:1 Basic eA==");
    close(fd);
    finish(&f);
}

static void answers_have_the_headers_that_were_chosen(void **state)
{
    (void)state;
    static const struct headers chosen = {
        {[HEADER_FRAME] = "sameorigin", [HEADER_POLICY] = "", [HEADER_TRANSPORT] = "max-age=1"}};
    static const char *const ours[] = {
        "\r\nCache-Control: no-store\r\n", "\r\nReferrer-Policy: no-referrer\r\n",
        "\r\nX-Frame-Options: DENY\r\n", "\r\nX-Content-Type-Options: nosniff\r\n",
        "\r\nContent-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n"};
    struct fixture f;
    start(&f);
    int fd = ask(&f, 1, GET("/"));
    const char *text = answer_on(&f, fd);
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        assert_non_null(strstr(text, ours[i]));
    assert_null(strstr(text, "Strict-Transport-Security"));
    close(fd);
    http_use_headers(f.http, &chosen);
    fd = ask(&f, 1, GET("/"));
    text = answer_on(&f, fd);
    assert_non_null(strstr(text, "\r\nX-Frame-Options: sameorigin\r\n"));
    assert_non_null(strstr(text, "\r\nStrict-Transport-Security: max-age=1\r\n"));
    assert_non_null(strstr(text, "\r\nX-Content-Type-Options: nosniff\r\n"));
    assert_null(strstr(text, "Content-Security-Policy"));
    close(fd);
    finish(&f);
}

static void a_query_is_told_in_parts(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    int fd = ask(&f, 1, GET("/?name%5B%5D=a+b&name[]=%26&app=&x&=y"));
    expect_body(&f, fd, "name[]=a b\nname[]=&\napp=\nx!\n=y\nwell");
    close(fd);
    finish(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_can_be_put_once_more),
        cmocka_unit_test(one_whose_client_has_gone_can_be_put_once_more),
        cmocka_unit_test(who_asks_is_told),
        cmocka_unit_test(answers_have_the_headers_that_were_chosen),
        cmocka_unit_test(a_query_is_told_in_parts),
    };
    return RUN_TESTS(tests);
}
