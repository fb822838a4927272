/* SPDX-License-Identifier: MIT
 *
 * waiters.c - lists of those who wait, and the answers that are no page.
 */
#include "agent/pages/waiters.h"

#include "agent/loop/loop.h"

#include <stdlib.h>

static const char too_late[] = "the page cannot be made within the scrape's timeout\n";

void waiter_settle(struct waiter *w, const struct http_reply *reply)
{
    if (w->deferred) {
        http_answer(w->deferred, reply);
        free(w);
        return;
    }
    *w->reply = *reply;
    w->settled = true;
}

void waiters_remove(struct waiter **list, const struct waiter *waiter)
{
    while (*list && *list != waiter)
        list = &(*list)->next;
    if (*list)
        *list = waiter->next;
}

struct http_reply waiter_refusal(const char *why)
{
    struct http_reply reply = {
        .status = 503, .content_type = "text/plain; charset=utf-8", .body = body_new()};
    if (reply.body)
        buffer_puts(&reply.body->bytes, why);
    return reply;
}

void waiters_settle(struct waiter **list, const char *why)
{
    while (*list) {
        struct waiter *w = *list;
        struct http_reply reply = why ? waiter_refusal(why) : (struct http_reply){.body = NULL};
        *list = w->next;
        waiter_settle(w, &reply);
    }
}

size_t waiters_refuse_late(struct waiter **list)
{
    uint64_t now = loop_now_ns();
    size_t n = 0;
    while (*list) {
        struct waiter *w = *list;
        if (w->due_ns > now) {
            list = &w->next;
            continue;
        }
        struct http_reply reply = waiter_refusal(too_late);
        *list = w->next;
        waiter_settle(w, &reply);
        n++;
    }
    return n;
}
