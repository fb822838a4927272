/* SPDX-License-Identifier: MIT
 *
 * http.c - HTTP/1.1 messages as bytes. Pure functions: no socket, no state.
 *
 * It reads what a small server needs: the request line, Connection, and whether a body follows.
 * Bodies are not read: a request with one is answered, and the connection then closed.
 */
#include "http.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char *const method_names[HTTP_METHODS] = {"GET", "HEAD", "other"};

static const struct {
    const char *code;
    const char *reason;
} statuses[HTTP_STATUSES] = {
    [HTTP_200] = {"200", "OK"},
    [HTTP_400] = {"400", "Bad Request"},
    [HTTP_404] = {"404", "Not Found"},
    [HTTP_405] = {"405", "Method Not Allowed"},
    [HTTP_500] = {"500", "Internal Server Error"},
};

const char *http_method_name(enum http_method method)
{
    return method_names[method];
}

const char *http_status_name(enum http_status status)
{
    return statuses[status].code;
}

static enum http_method find_method(const char *name, size_t length)
{
    for (enum http_method m = HTTP_GET; m < HTTP_OTHER; m++)
        if (strlen(method_names[m]) == length && memcmp(method_names[m], name, length) == 0)
            return m;
    return HTTP_OTHER;
}

/* METHOD SP /target SP HTTP/1.x; the target is cut at its query. */
static bool parse_request_line(const char *line, size_t length, struct http_request *request)
{
    const char *end = line + length;
    const char *target = memchr(line, ' ', length);
    if (!target || target == line || ++target == end || *target != '/')
        return false;
    const char *version = memchr(target, ' ', (size_t)(end - target));
    if (!version || end - version != 9 || memcmp(version, " HTTP/1.", 8) != 0)
        return false;
    const char *query = memchr(target, '?', (size_t)(version - target));
    request->method = find_method(line, (size_t)(target - 1 - line));
    request->path = target;
    request->path_length = (size_t)((query ? query : version) - target);
    request->keep_alive = version[8] != '0';
    return true;
}

static bool is_header(const char *line, size_t length, const char *name)
{
    size_t n = strlen(name);
    return length > n && line[n] == ':' && strncasecmp(line, name, n) == 0;
}

static bool value_is(const char *line, size_t length, const char *value)
{
    const char *at = (const char *)memchr(line, ':', length) + 1;
    while (at < line + length && (*at == ' ' || *at == '\t'))
        at++;
    size_t n = strlen(value);
    return (size_t)(line + length - at) >= n && strncasecmp(at, value, n) == 0;
}

static void parse_header(const char *line, size_t length, struct http_request *request)
{
    if (is_header(line, length, "Connection") && value_is(line, length, "close"))
        request->keep_alive = false;
    if (is_header(line, length, "Transfer-Encoding"))
        request->keep_alive = false;
    if (is_header(line, length, "Content-Length") && !value_is(line, length, "0"))
        request->keep_alive = false;
}

int http_parse(const char *data, size_t length, struct http_request *request)
{
    const char *blank = memmem(data, length, "\r\n\r\n", 4);
    if (!blank)
        return 0;
    const char *end = blank + 2;
    const char *next = (const char *)memmem(data, (size_t)(end - data), "\r\n", 2) + 2;
    struct http_request found;
    if (!parse_request_line(data, (size_t)(next - 2 - data), &found))
        return -1;
    for (const char *line = next; line < end; line = next) {
        next = (const char *)memmem(line, (size_t)(end - line), "\r\n", 2) + 2;
        parse_header(line, (size_t)(next - 2 - line), &found);
    }
    *request = found;
    return (int)(end + 2 - data);
}

size_t http_format(char *buffer, size_t size, const struct http_answer *answer)
{
    int head =
        snprintf(buffer, size,
                 "HTTP/1.1 %s %s\r\n"
                 "Content-Type: text/plain; charset=utf-8\r\n"
                 "Content-Length: %zu\r\n%s%s\r\n",
                 statuses[answer->status].code, statuses[answer->status].reason,
                 answer->body_length, answer->status == HTTP_405 ? "Allow: GET, HEAD\r\n" : "",
                 answer->keep_alive ? "" : "Connection: close\r\n");
    size_t body = answer->head ? 0 : answer->body_length;
    if (head < 0 || (size_t)head + body >= size)
        return 0;
    memcpy(buffer + head, answer->body, body);
    return (size_t)head + body;
}
