/* SPDX-License-Identifier: MIT
 *
 * http.h - HTTP/1.1 messages as bytes: find a request at the start of a buffer, write an answer.
 */
#ifndef SMX_DEMO_HTTP_H
#define SMX_DEMO_HTTP_H

#include <stdbool.h>
#include <stddef.h>

/* The methods told apart; any other one is HTTP_OTHER, so that a client cannot invent labels. */
enum http_method { HTTP_GET, HTTP_HEAD, HTTP_OTHER, HTTP_METHODS };

/* The statuses that this server answers with. */
enum http_status { HTTP_200, HTTP_400, HTTP_404, HTTP_405, HTTP_500, HTTP_STATUSES };

struct http_request {
    enum http_method method;
    const char *path; /* into the buffer, without a query; not terminated */
    size_t path_length;
    bool keep_alive;
};

struct http_answer {
    enum http_status status;
    const char *body;
    size_t body_length;
    bool head; /* the headers only */
    bool keep_alive;
};

/* Find the first request in data. It writes *request on success only.
 * Returns: the bytes of the request; 0 if more are needed; -1 if this is no request. */
int http_parse(const char *data, size_t length, struct http_request *request);

/* Write an answer to buffer. Returns: its bytes, or 0 if it does not fit. */
size_t http_format(char *buffer, size_t size, const struct http_answer *answer);

/* The label values "GET" and "200". */
const char *http_method_name(enum http_method method);
const char *http_status_name(enum http_status status);

#endif
