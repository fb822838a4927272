/* SPDX-License-Identifier: MIT
 *
 * waiters.h - those who wait for one page: each is answered once, in the callback in which he came
 * or later. Knows nothing of how pages are made.
 */
#ifndef SMX_AGENT_WAITERS_H
#define SMX_AGENT_WAITERS_H

#include "agent/pages/deadline.h"
#include "agent/http/accept.h"
#include "agent/http/http.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The list is NULL when nobody waits. */
struct waiter {
    struct waiter *next;
    struct http_deferred *deferred; /* NULL: in its callback, whose reply this is: */
    struct http_reply *reply;
    bool settled;
    struct codings codings;
    const char *content_type;
    uint64_t due_ns; /* or DEADLINE_NONE */
};

/* Answer one that is in no list any more. If it was deferred it is gone then. */
void waiter_settle(struct waiter *waiter, const struct http_reply *reply);

/* Take one out of its list. */
void waiters_remove(struct waiter **list, const struct waiter *waiter);

/* Answer all: 503 and why, or NULL: as without memory. */
void waiters_settle(struct waiter **list, const char *why);

/* Answer those whose time is over; nobody is beyond it. Returns how many. */
size_t waiters_refuse_late(struct waiter **list);

/* 503 and why. */
struct http_reply waiter_refusal(const char *why);

#endif
