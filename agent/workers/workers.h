/* SPDX-License-Identifier: MIT
 *
 * workers.h - the live processes of all segments that are served, as the kernel sees them: CPU
 * time, memory, descriptors, threads, context switches; of each, and summed by role and
 * application.
 *
 * Which processes these are the kernel says, not the segment: those that hold a slot's lock. And
 * only those of the segment's owner; of root's segments, of anybody. A process of another PID
 * namespace is found if that is below the agent's.
 *
 * A sum of what only grows goes on growing when a process ends: what it was last seen to have used
 * stays counted. Of a process that is older than the agent only what it uses while the agent looks
 * is counted in sums, or else a restarted agent would show a leap.
 */
#ifndef SMX_AGENT_WORKERS_H
#define SMX_AGENT_WORKERS_H

#include "agent/workers/processes.h"
#include "agent/log/log.h"
#include "agent/loop/loop.h"
#include "agent/segments/segments.h"
#include "agent/workers/probe.h"

/* What is exposed. */
enum workers_detail {
    WORKERS_EACH, /* every process, and sums */
    WORKERS_SUMS,
    WORKERS_OFF, /* nothing is read */
};

/* Past these processes no more are read; and of one user, who is neither root nor the agent's, past
 * three quarters of them. */
enum { WORKERS_MAX = 4096 };

/* A role is what a process says: past these the rest of an application's are summed as "(other)".
 */
enum { WORKERS_ROLES_MAX = 16 };

/* Why numbers of a process are missing. */
enum workers_hidden {
    HIDDEN_NOTHING,
    HIDDEN_NAMESPACE, /* the others: the whole process */
    HIDDEN_OWNER,
    HIDDEN_START,
    HIDDEN_DUPLICATE,
    HIDDEN_PROC,
    HIDDEN_LIMIT,
    HIDDEN_TOO_MANY,
    HIDDEN_FDS,    /* its descriptors */
    HIDDEN_MEMORY, /* what was asked for */
    HIDDEN_IO,
};
enum { HIDDEN_COUNT = HIDDEN_IO + 1 };

struct workers;

struct workers_options {
    enum workers_detail detail;
    unsigned probe;             /* enum probe_what: also by a prober; 0: nothing */
    uint64_t probe_interval_ns; /* 0: a minute */
    struct loop *loop;          /* if so */
    size_t most;                /* processes; 0: WORKERS_MAX */
    size_t kept; /* those whose files may be kept open; of others they are opened each time */
    const struct log *log;
};

/* Make a reader; it forks the prober, if there is to be one: before the sandbox, and before
 * anything is open. Returns: 0, -ENOMEM, or why there is no prober. */
int workers_new(const struct workers_options *options, struct workers **out);
void workers_free(struct workers *workers);

/* Expose other things from the next workers_begin() on. */
void workers_set(struct workers *workers, enum workers_detail detail);

/* The segments have been read: find their processes. Then read some, until it returns false: all is
 * read and summed. No snapshot may be of the numbers before. */
void workers_begin(struct workers *workers, const struct segments *segments);
bool workers_step(struct workers *workers);

/* Whether the prober still has to answer. */
bool workers_probing(const struct workers *workers);

/* What was read; the pointers hold until workers_begin(). */
struct processes *const *workers_list(const struct workers *workers, size_t *n);

/* How many processes of an application hide something, by reason; NULL: it has none. */
const uint32_t *workers_hidden(const struct workers *workers, struct smx_str app,
                               struct smx_str instance);

/* The name of a reason, and what it means. */
const char *workers_hidden_name(enum workers_hidden hidden);
const char *workers_hidden_text(enum workers_hidden hidden);

#endif
