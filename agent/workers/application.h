/* SPDX-License-Identifier: MIT
 *
 * application.h - what workers.c, which reads the processes, and application.c, which knows whose
 * they are and sums, share. Nobody else includes it.
 */
#ifndef SMX_AGENT_WORKERS_APPLICATION_H
#define SMX_AGENT_WORKERS_APPLICATION_H

#include "agent/workers/proc.h"
#include "agent/workers/workers.h"

/* Values that only grow. */
enum { COUNTERS = 5 };

/* A live process. */
struct worker {
    pid_t pid;            /* in our namespace */
    uid_t owner;          /* when it was opened */
    uint64_t start;       /* as its slot says, or 0 */
    struct proc proc;     /* while it is kept open */
    unsigned missed;      /* looks at which it was not there */
    uint64_t max_fds;     /* the last time that it was read: */
    uint64_t limit_ns;    /* 0: never */
    uint64_t start_ticks; /* as the kernel says */
    enum workers_hidden hidden;
    uint64_t probed_ns; /* 0: never; what the prober said then: */
    uint64_t proportional_bytes, read_bytes, written_bytes; /* UINT64_MAX: hidden */
    bool read;                                              /* row is of this look */
    struct process_row row;
    uint32_t counted;        /* bit i: counter i is in the sums, up to */
    uint64_t upto[COUNTERS]; /* this */
};

/* The sum of a role. */
struct total {
    struct process_row row; /* gauges, of those that live */
    uint32_t known;         /* what any has ever told */
    uint64_t counters[COUNTERS];
};

/* An application instance. */
struct application {
    struct processes shown;
    uid_t owner;
    uint64_t read_ns; /* when its segment was */
    bool due;         /* is to be read */
    size_t n_looked_at;
    struct worker *workers; /* ascending by number */
    size_t n;
    struct process_row *rows; /* room for n */
    struct total totals[WORKERS_ROLES_MAX];
    struct process_row role_rows[WORKERS_ROLES_MAX], app_row;
    size_t n_roles;
    uint32_t hidden[HIDDEN_COUNT];
};

/* Returns NULL without memory. */
struct application *application_new(const struct smx_segment_info *info);
void application_free(struct application *application);

/* Take over the live processes that a reader shows; those that were there keep what is known of
 * them. Returns: 0, -ENOMEM. */
int application_take(struct application *application, const smx_reader *reader);

/* Add up what was read. began_ticks: after boot; who is older has used something before. */
void application_sum(struct application *application, uint64_t began_ticks,
                     const struct workers_options *options);

#endif
