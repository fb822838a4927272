/* SPDX-License-Identifier: MIT
 *
 * guard.h - who may ask what, and how often: stands between the HTTP server and the pages. Probes
 * pass; all others need a name that we go by, a token, and credentials where there are users.
 *
 * A password that is not known yet is checked beside the loop, and its requests wait meanwhile,
 * together if they have the same one. Whoever was found right is not kept out by those who guess:
 * what has a limit is checking.
 */
#ifndef SMX_AGENT_GUARD_H
#define SMX_AGENT_GUARD_H

#include "agent/gather/self.h"
#include "agent/http/http.h"
#include "agent/web/limiter.h"
#include "agent/web/passwords.h"
#include "agent/web/users.h"

struct guard;

struct guard_options {
    const struct log *log;
    struct passwords *passwords; /* NULL: there will never be users */
    const char *const *hosts;    /* names that we go by, beside those of the loopback */
    size_t n_hosts;              /* 0: only those who come by the loopback are asked for one */
    bool (*is_open)(const char *path); /* for everybody */
    void (*answer)(void *context, const struct http_request *request, struct http_reply *reply);
    void *context;
};

/* Make one. Returns: 0, -ENOMEM. */
int guard_new(const struct guard_options *options, struct guard **out);

/* Answer those who wait that nothing comes any more. Before http_free(). */
void guard_stop(struct guard *guard);

/* After passwords_free(). NULL is fine. */
void guard_free(struct guard *guard);

/* From now on these users, of whom it borrows the table, NULL for none; and this rate of all
 * requests together. */
void guard_use(struct guard *guard, struct users *users, const struct limiter_rate *of_all);

/* From now on so many requests a second from one address that is not this machine's, and four times
 * as many at once; 0: any number, as it is at first. */
void guard_limit(struct guard *guard, uint64_t rate);

/* Whether somebody may shake hands, twice as often as he may ask. */
bool guard_admits(struct guard *guard, const struct peer *peer);

/* Answer a request, let it be answered, or defer that: http_options.answer with a struct guard as
 * its context. */
void guard_answer(void *guard, const struct http_request *request, struct http_reply *reply);

/* Whom it has not let pass, so far. */
void guard_count(const struct guard *guard, struct self_web *out);

#endif
