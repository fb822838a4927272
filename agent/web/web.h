/* SPDX-License-Identifier: MIT
 *
 * web.h - the agent as others reach it: a server for all, one for probes alone if there is to be
 * one, the sockets of both, who may ask, and the web configuration file, which is reread when it or
 * a certificate has changed.
 *
 * Files are looked at when somebody comes, once a second at most: an agent that nobody asks has
 * nothing to do.
 */
#ifndef SMX_AGENT_WEB_H
#define SMX_AGENT_WEB_H

#include "agent/gather/self.h"
#include "agent/http/http.h"
#include "agent/http/listen.h"
#include "agent/config/options.h"

struct web;

enum { WEB_WHY_SIZE = 1024, WEB_FILES_MAX = 4 };

struct web_options {
    struct loop *loop;
    const struct log *log;
    const struct options *options;
    uint64_t rate;      /* as web_limit() */
    size_t connections; /* at a time */
    bool (*is_probe)(const char *path);
    void (*answer)(void *context, const struct http_request *request, struct http_reply *reply);
    void (*answer_probe)(void *context, const struct http_request *request,
                         struct http_reply *reply);
    void *context;
};

/* Check a web configuration file and what it names. Returns: 0, or a negative errno and what is
 * wrong: FILE:LINE: KEY: ... */
int web_check(const char *path, char why[WEB_WHY_SIZE]);

/* Make the servers and read the file; before the sandbox, as are the two that follow. Returns: 0,
 * or a negative errno; the log then says why. */
int web_new(const struct web_options *options, struct web **out);

/* Open the sockets, or take those that are open. Returns: as web_new(). */
int web_listen(struct web *web);

/* List the files that may be reread. Returns: how many. */
size_t web_files(const struct web *web, const char *out[WEB_FILES_MAX]);

/* Read the file again, if there is one, and keep aside what it says. Returns: 0, or a negative
 * errno and what is wrong, which the log says, too. */
int web_read(struct web *web, char why[WEB_WHY_SIZE]);

/* Put in force what was read, or forget it. */
void web_use(struct web *web);
void web_forget(struct web *web);

/* From now on answer one address so many requests a second; 0: any number. */
void web_limit(struct web *web, uint64_t rate);

/* The server for all, and its sockets; the sockets for probes. */
struct http *web_http(const struct web *web);
const struct listen_socket *web_sockets(const struct web *web, size_t *n);
const struct listen_socket *web_probe_sockets(const struct web *web, size_t *n);

/* How it stands. The pointers in it hold as long as the servers. */
void web_measure(struct web *web, struct self_web *out);

/* As http_drain(); probes are answered until web_free(). */
void web_drain(struct web *web, uint64_t limit_ns, void (*drained)(void *context), void *context);

/* Close all. NULL is fine. */
void web_free(struct web *web);

#endif
