/* SPDX-License-Identifier: MIT
 *
 * http.c - any bytes on connections to the agent's HTTP server: the real libmicrohttpd, loop,
 * guard, routes and pages behind a socket without a name in the file system, which the guard takes
 * for one of the loopback; its limits are not tried, and credentials are judged, but checked by
 * nobody. 0xff, which is in no request, ends a write; 0xfe closes the connection and opens another.
 * Asked of it: every answer is one by RFC 9112, with the status and the length that the page had;
 * nothing comes between answers or behind the last; and when all connections are closed no request
 * is in flight.
 */
#include "agent/http/http.h"

#include "agent/http/routes.h"
#include "agent/web/guard.h"
#include "agent/web/users.h"
#include "fuzz/require.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { ASKED_MAX = 256, IDLE_TURNS = 4 };
/* Nobody is slow here. */
#define LONG_NS UINT64_C(1000000000000)

enum { END_OF_WRITE = 0xff, NEXT_CONNECTION = 0xfe };

/* What the pages were asked for on this connection, in order. */
struct asked {
    bool head;
    unsigned status;
    size_t length;
};

static struct server {
    struct loop *loop;
    struct log log;
    struct routes routes;
    struct guard *guard;
    struct users *users;
    struct segments *segments;
    struct body *body; /* of every scrape */
    struct asked asked[ASKED_MAX];
    size_t n_asked;
    struct buffer received;
    bool has_nul; /* the connection's bytes do */
    bool drained;
} server;

static void scrape(void *context, const struct accepted *accepted, struct codings codings,
                   const struct http_request *request, struct http_reply *reply)
{
    struct server *s = context;
    require(accepted->format < EXPOSITION_COUNT && accepted->escaping < ESCAPING_COUNT,
            "no format");
    require(codings.identity || codings.gzip, "no coding");
    for (size_t i = 0; i < request->n_parameters; i++)
        require(request->parameters[i].name, "a parameter without a name");
    *reply = (struct http_reply){.status = 200,
                                 .content_type = accepted->content_type,
                                 .encoding = codings.gzip ? "gzip" : NULL,
                                 .body = body_ref(s->body)};
}

static void describe(void *context, struct status *out)
{
    struct server *s = context;
    static const struct sandbox none = {.seccomp = "off", .landlock = "off"};
    static const struct health nobody;
    *out = (struct status){
        .loop = loop_name(s->loop), .sandbox = &none, .segments = s->segments, .health = &nobody};
}

static void judge(struct server *s, const struct http_request *request)
{
    struct users_claim claim;
    if (users_judge(s->users, request->authorization, &claim) != USERS_UNKNOWN)
        return;
    require(request->authorization && strlen(claim.name) < sizeof claim.name &&
                strlen(claim.password) < sizeof claim.password &&
                claim.known == (strcmp(claim.name, "alice") == 0),
            "a claim that nobody made");
}

static void answer(void *context, const struct http_request *request, struct http_reply *reply)
{
    struct server *s = context;
    require(request->method && request->path, "a request without a method or a path");
    judge(s, request);
    guard_answer(s->guard, request, reply);
    require(reply->body && reply->content_type, "a page without a body or a type");
    require(s->n_asked < ASKED_MAX, "more requests than the bytes can hold");
    s->asked[s->n_asked++] = (struct asked){.head = strcmp(request->method, "HEAD") == 0,
                                            .status = reply->status,
                                            .length = reply->body->bytes.length};
}

static void make_server(void)
{
    static const char *const directories[] = {"/nonexistent"};
    struct segments_options options = {
        .directories = directories, .n_directories = 1, .log = &server.log};
    server.log = (struct log){.fd = open("/dev/null", O_WRONLY | O_CLOEXEC)};
    server.routes = (struct routes){.scrape = scrape, .status = describe, .context = &server};
    static const char *const hosts[] = {"a"};
    static const struct users_entry users[] = {
        {"alice", "$2y$04$69cYko9GMxvz8uZniKYl8.R/Dq/03WIRDjGCvYyb1KHMW2l0Qh11S"}};
    const struct guard_options guard = {.log = &server.log,
                                        .hosts = hosts,
                                        .n_hosts = 1,
                                        .is_open = routes_is_probe,
                                        .answer = routes_answer,
                                        .context = &server.routes};
    require(guard_new(&guard, &server.guard) == 0 && users_new(users, 1, NULL, &server.users) == 0,
            "no guard");
    server.body = body_new();
    require(server.body && loop_new(LOOP_EPOLL, &server.loop) == 0 &&
                segments_new(&options, &server.segments) == 0,
            "the server cannot be made");
    buffer_puts(&server.body->bytes, "# TYPE a gauge\na 1\n");
    segments_update(server.segments);
}

/* The kernel gives it an abstract address. */
static int make_listener(struct sockaddr_un *address, socklen_t *length)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    *length = sizeof *address;
    require(fd >= 0 && bind(fd, (struct sockaddr *)address, sizeof address->sun_family) == 0 &&
                listen(fd, 8) == 0 && getsockname(fd, (struct sockaddr *)address, length) == 0,
            "no listening socket");
    return fd;
}

/* Turn the loop until nothing comes any more. */
static void turn(int fd)
{
    char bytes[4096];
    for (int idle = 0; idle < IDLE_TURNS; idle++) {
        require(loop_turn(server.loop, 0) == 0, "the loop failed");
        for (ssize_t n; (n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0; idle = 0)
            buffer_put(&server.received, bytes, (size_t)n);
    }
}

/* The server may have closed: then what is sent goes nowhere. */
static void send_all(int fd, const uint8_t *data, size_t size)
{
    for (size_t sent = 0; sent < size;) {
        ssize_t n = send(fd, data + sent, size - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            break;
        sent += n > 0 ? (size_t)n : 0;
        turn(fd);
    }
}

/* Take a line off, without its end. */
static size_t take_line(const char **at, const char *end)
{
    const char *newline = memmem(*at, (size_t)(end - *at), "\r\n", 2);
    require(newline != NULL, "an answer's line has no end");
    size_t length = (size_t)(newline - *at);
    for (size_t i = 0; i < length; i++)
        require((*at)[i] == '\t' || (unsigned char)(*at)[i] >= 0x20, "a control in a header");
    *at = newline + 2;
    return length;
}

/* Take the headers; returns the length that they give the body. */
static size_t take_headers(const char **at, const char *end)
{
    static const char name[] = "Content-Length: ";
    size_t length = SIZE_MAX;
    for (const char *line = *at; take_line(at, end) > 0; line = *at) {
        require(*line != ' ' && memchr(line, ':', (size_t)(*at - line)), "a header without a name");
        if (strncasecmp(line, name, sizeof name - 1) != 0)
            continue;
        require(length == SIZE_MAX && isdigit((unsigned char)line[sizeof name - 1]),
                "two lengths, or one that is no number");
        length = strtoul(line + sizeof name - 1, NULL, 10);
    }
    return length;
}

static unsigned take_status(const char **at, const char *end)
{
    const char *line = *at;
    size_t length = take_line(at, end);
    require(length > 12 && strncmp(line, "HTTP/1.", 7) == 0 && isdigit((unsigned char)line[7]) &&
                line[8] == ' ' && isdigit((unsigned char)line[9]) &&
                isdigit((unsigned char)line[10]) && isdigit((unsigned char)line[11]) &&
                line[12] == ' ',
            "not a status line");
    return (unsigned)strtoul(line + 9, NULL, 10);
}

/* Behind the last answer of a page the library may give one of its own, to what it did not take for
 * a request; it leaves out the body if that began with HEAD, and 0.9.75 sends the headers twice if
 * a length was no number. Nothing follows it. */
static void check_refusal(unsigned status, size_t length, const char *at, const char *end)
{
    require(status >= 400, "an answer that nobody gave");
    if (at < end && *at == 'H')
        require(take_status(&at, end) == status && take_headers(&at, end) == length,
                "another answer behind a refusal");
    require((size_t)(end - at) == length || at == end, "something behind a refusal");
}

/* The answers of the pages, in order. After a 100 the last may lack: 0.9.75 closes the connection
 * if other bytes have come with a request that expects it. */
static void check_answers(void)
{
    if (server.received.length == 0)
        return;
    const char *at = server.received.at, *end = at + server.received.length;
    size_t answers = 0;
    bool continued = false;
    while (at < end) {
        unsigned status = take_status(&at, end);
        size_t length = take_headers(&at, end);
        continued = status == 100;
        if (continued)
            continue;
        require(length != SIZE_MAX, "an answer without a length");
        if (answers == server.n_asked) {
            check_refusal(status, length, at, end);
            break;
        }
        const struct asked *asked = &server.asked[answers++];
        require(status == asked->status && length == asked->length, "not the page's answer");
        /* 0.9.75 takes "HEAD\0..." for another method than HEAD, and the page cannot see it. */
        bool bare = asked->head && !(server.has_nul && at < end && *at != 'H');
        require(bare || length <= (size_t)(end - at), "a body that is cut off");
        at += bare ? 0 : length;
    }
    require(answers + continued == server.n_asked || answers == server.n_asked,
            "a page that was not sent");
}

static void converse(const struct sockaddr_un *address, socklen_t length, const uint8_t *data,
                     size_t size)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    require(fd >= 0 && connect(fd, (const struct sockaddr *)address, length) == 0, "no connection");
    server.n_asked = 0;
    server.received.length = 0;
    server.has_nul = memchr(data, 0, size) != NULL;
    for (const uint8_t *end = data + size, *to; data < end; data = to < end ? to + 1 : end) {
        to = memchr(data, END_OF_WRITE, (size_t)(end - data));
        to = to ? to : end;
        send_all(fd, data, (size_t)(to - data));
    }
    turn(fd);
    check_answers();
    close(fd);
}

static void drained(void *context)
{
    *(bool *)context = true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sockaddr_un address;
    socklen_t length;
    struct http *http;
    if (!server.loop)
        make_server();
    int listener = make_listener(&address, &length);
    struct http_options options = {.loop = server.loop,
                                   .log = &server.log,
                                   .limits = {.connections = 8,
                                              .request_ns = LONG_NS,
                                              .answer_ns = LONG_NS,
                                              .answer_bytes = 1 << 20},
                                   .answer = answer,
                                   .context = &server};
    const struct listen_socket socket = {.fd = listener, .scope = LISTEN_LOOPBACK};
    require(http_new(&options, &http) == 0 && http_listen(http, &socket) == 0, "no server");
    for (const uint8_t *end = data + size, *to; data < end; data = to < end ? to + 1 : end) {
        to = memchr(data, NEXT_CONNECTION, (size_t)(end - data));
        to = to ? to : end;
        converse(&address, length, data, (size_t)(to - data));
    }
    server.drained = false;
    for (int i = 0; i < IDLE_TURNS; i++)
        require(loop_turn(server.loop, 0) == 0, "the loop failed");
    http_drain(http, 0, drained, &server.drained);
    require(server.drained, "a request is in flight though all connections are closed");
    http_free(http);
    close(listener);
    return 0;
}
