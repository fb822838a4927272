/* SPDX-License-Identifier: MIT
 *
 * staff.h - processes of an application "shop" that a test starts and ends, and the agent's modules
 * that read their numbers. With cmocka's assertions.
 */
#ifndef SMX_TESTS_STAFF_H
#define SMX_TESTS_STAFF_H

#include "agent/workers/workers.h"
#include "support/scratch.h"

#include <sys/resource.h>

enum { STAFF_MAX = 24 };

/* What a child is told, and what it says of itself. */
struct child {
    pid_t pid;
    char role[32];
    unsigned burn_ms;
    uint32_t ready;
    struct rusage usage;
    struct rlimit files;
    uint64_t fds;
};

struct staff {
    char directory[SCRATCH_SIZE];
    struct log log;
    struct segments *segments;
    struct workers *workers;
    struct child *children; /* shared */
};

/* The one of this test; setup and teardown of cmocka. */
extern struct staff staff;
int staff_setup(void **state);
int staff_teardown(void **state);

/* Start a child, wait until it has its slot and has used so much CPU time; kill it. */
struct child *staff_add(const char *role, unsigned burn_ms);
void staff_rest(pid_t pid); /* wait until it sleeps, having said that it is ready */
void staff_end(struct child *child);

/* The body of a child. */
int staff_live(void *child);

/* Replace the reader of the numbers. */
void staff_workers(const struct workers_options *options);

/* Find the processes; read them; both. Reading returns the only application's, NULL if there is
 * none. */
void staff_look(void);
const struct processes *staff_read(void);
const struct processes *staff_scrape(void);

/* The only row of a role, or the only one of all with NULL. NULL: there is none. */
const struct process_row *staff_row(const struct processes *p, enum process_level level,
                                    const char *role);

/* A value that must be known. */
uint64_t staff_value(const struct process_row *row, enum process_value v);

/* How many processes of an application are hidden for a reason; UINT64_MAX: there is none. */
uint64_t staff_hidden(const char *app, enum workers_hidden reason);

/* The n-th word, from 0 on, of a file of /proc/<pid>. */
uint64_t staff_word(pid_t pid, const char *file, unsigned n);

/* Use CPU time until this process has used so much. */
void staff_burn(unsigned ms);

uint64_t staff_cpu_ns(const struct rusage *usage);

/* Descriptors of this process. */
uint64_t staff_own_fds(void);

/* Whether there may be other users and namespaces; says it if not. */
bool staff_is_root(void);

#endif
