/* SPDX-License-Identifier: MIT
 *
 * notify.h - tells the service manager how the agent is, as sd_notify(3) does: ready, reading its
 * configuration again, stopping, and from time to time that the loop still turns. Without a manager
 * it does nothing.
 */
#ifndef SMX_AGENT_NOTIFY_H
#define SMX_AGENT_NOTIFY_H

#include "agent/loop/loop.h"
#include "agent/log/log.h"

struct notify {
    int fd; /* connected to the manager's socket; -1: there is none */
    const struct log *log;
    uint64_t watchdog_ns; /* without a word for so long the manager ends us; 0: it does not */
    struct loop *loop;
    struct loop_timer beat;
};

/* Connect to the socket that the environment names, and take what concerns it out of there. A
 * sandbox may be entered afterwards. What is wrong with it goes to the log. */
void notify_open(struct notify *out, const struct log *log);
void notify_close(struct notify *notify);

/* Requests are served from now on; again, after a reload. status: a line for people. */
void notify_ready(struct notify *notify, const char *status);

/* The configuration is being read again, until the next notify_ready(). */
void notify_reloading(struct notify *notify);

void notify_stopping(struct notify *notify, const char *status);

/* From now on say that the loop turns, twice in the time that the manager waits for it. */
void notify_watchdog(struct notify *notify, struct loop *loop);

#endif
