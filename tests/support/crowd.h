/* SPDX-License-Identifier: MIT
 *
 * crowd.h - company for a process that is to die: workers that update and register all the time, a
 * reader that reads all the time, and what must be true at the end. Runs in the test's own process,
 * with cmocka's assertions; that process never opens a segment for writing.
 */
#ifndef SMX_TESTS_CROWD_H
#define SMX_TESTS_CROWD_H

#include "support/invariants.h"
#include "support/life.h"
#include "support/scratch.h"

#include <sys/types.h>

enum { CROWD_WORKERS = 3, CROWD_LIVES = 1024 };

struct crowd_shared {
    uint32_t turn;
    uint32_t idle; /* the workers only hold their slots */
    uint32_t stop;
    uint32_t working;
    uint32_t reads;
    struct life_tally tally[CROWD_LIVES];
};

struct crowd {
    char directory[SCRATCH_SIZE];
    char path[64]; /* of the segment that all share */
    struct crowd_shared *shared;
    pid_t workers[CROWD_WORKERS];
    pid_t reader;
    unsigned lives; /* so far; the workers are the first */
};

/* What may be missing at most. */
struct crowd_loss {
    uint64_t operations; /* in flight */
    uint64_t records;    /* registrations in flight, or beaten in a race */
};

/* Start `workers` of them, at least one, so that the segment is there and held; and the reader. */
void crowd_start(struct crowd *crowd, unsigned workers);

/* The next life in this company, for a child to go through. */
struct life crowd_life(struct crowd *crowd);

/* Every segment's file is whole; private names that killed makers left: at most so many. */
void crowd_check_files(const struct crowd *crowd, unsigned private_names);

/* Workers and reader end, and have found nothing wrong; then all that was counted is there.
 * Fills in what the segment's bytes are used for. */
void crowd_stop(struct crowd *crowd, const struct crowd_loss *most, struct invariants_use *use);

/* Also after a failure: end what still runs, remove the files. */
void crowd_clear(struct crowd *crowd);

#endif
