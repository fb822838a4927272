/* SPDX-License-Identifier: MIT
 *
 * probing.c - one batch is on its way at a time, so that neither end ever blocks the other.
 */
#include "agent/workers/probing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct probing {
    struct probing_options options;
    int socket; /* -1: the prober has ended */
    struct probe_process *list;
    size_t n, asked;
    bool waiting; /* for an answer */
    uint64_t began_ns;
};

static void finish(struct probing *p)
{
    free(p->list);
    p->list = NULL;
    p->n = 0;
    p->asked = 0;
    p->waiting = false;
}

static void give_up(struct probing *p, int rc)
{
    LOG_ERROR(p->options.log, "the prober has ended: memory and bytes of processes are not told",
              "reason", strerror(-rc), "do", "restart the agent");
    loop_unwatch(p->options.loop, p->socket);
    close(p->socket);
    p->socket = -1;
    finish(p);
}

static void ask(struct probing *p)
{
    size_t left = p->n - p->asked, n = left < PROBE_BATCH ? left : PROBE_BATCH;
    if (n == 0) {
        finish(p);
        return;
    }
    int rc = probe_ask(p->socket, p->list + p->asked, n);
    p->asked += n;
    p->waiting = rc == 0;
    if (rc < 0)
        give_up(p, rc);
}

static void receive(void *context)
{
    struct probing *p = context;
    struct probe_process list[PROBE_BATCH];
    int n = probe_answer(p->socket, list);
    if (n == -EAGAIN)
        return;
    if (n < 0) {
        give_up(p, n);
        return;
    }
    for (int i = 0; i < n; i++)
        p->options.answered(p->options.context, &list[i]);
    ask(p);
}

int probing_new(const struct probing_options *options, struct probing **out)
{
    struct probing *p = calloc(1, sizeof *p);
    if (!p)
        return -ENOMEM;
    p->options = *options;
    int rc = probe_start(options->what, &p->socket);
    if (rc == 0) {
        rc = loop_watch(options->loop, p->socket, receive, p);
        if (rc < 0)
            close(p->socket);
    }
    if (rc < 0) {
        free(p);
        return rc;
    }
    *out = p;
    return 0;
}

void probing_free(struct probing *p)
{
    if (!p)
        return;
    if (p->socket >= 0) {
        loop_unwatch(p->options.loop, p->socket);
        close(p->socket);
    }
    finish(p);
    free(p);
}

bool probing_is_due(const struct probing *p)
{
    return p->socket >= 0 && !p->waiting &&
           (!p->began_ns || loop_now_ns() - p->began_ns >= p->options.interval_ns);
}

void probing_begin(struct probing *p, struct probe_process *list, size_t n)
{
    finish(p);
    p->list = list;
    p->n = n;
    p->began_ns = loop_now_ns();
    ask(p);
}

bool probing_is_busy(const struct probing *p)
{
    return p->waiting;
}
