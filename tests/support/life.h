/* SPDX-License-Identifier: MIT
 *
 * life.h - the life of a process that uses libshm, in stages that each take another of its paths;
 * for tests that end it at any step. Every operation is noted before and after in a tally that
 * outlives the process. Several lives may run at once; they share a segment, and each opens some
 * that are its own.
 */
#ifndef SMX_TESTS_LIFE_H
#define SMX_TESTS_LIFE_H

#include <smx/health.h>
#include <smx/smx.h>
#include <stdbool.h>

/* Stages, in an order in which they can be run. Those marked * need the ones so marked before. */
enum life_stage {
    LIFE_CREATE,       /* a segment that nobody has */
    LIFE_REPLACE,      /* one that the life before left */
    LIFE_CREATE_BARE,  /* the same without /proc */
    LIFE_REPLACE_BARE, /* */
    LIFE_CONTINUE,     /* one that the life before left, with its totals */
    LIFE_FULL,         /* a segment, and register until nothing fits any more */
    LIFE_ATTACH,       /* * the shared segment: somebody must have it open */
    LIFE_FAMILIES,     /* * register */
    LIFE_SERIES,       /* * find and create series, some of them in a race with other lives */
    LIFE_UPDATES,      /* * counters and histograms */
    LIFE_GAUGES,       /* * the first writes and later ones */
    LIFE_REMOVAL,      /* * remove a series and revive it */
    LIFE_RECOVER,      /* * lose the descriptor and take it back */
    LIFE_FORK,         /* * a child, which updates, too */
    LIFE_REFUSED,      /* a child that is refused a slot; needs LIFE_CREATE */
    LIFE_CLOSE,        /* * close, open again, close */
    LIFE_STAGES
};

/* What is counted. */
enum life_count {
    LIFE_ADDS,           /* ops_total, in a restartable sequence where there is one */
    LIFE_ATOMIC_ADDS,    /* atomic_ops_total */
    LIFE_RECORDS,        /* sizes */
    LIFE_ATOMIC_RECORDS, /* atomic_sizes */
    LIFE_LABELLED,       /* races_total, all values */
    LIFE_OWN,            /* life<number>_total */
    LIFE_COUNTS
};

struct life_tally {
    _Alignas(64) uint64_t started[LIFE_COUNTS];
    uint64_t done[LIFE_COUNTS];
};

struct life {
    const char *directory;
    unsigned number;      /* unique in the directory */
    const uint32_t *turn; /* what lives race for: shared, moved on by the test */
    struct life_tally *tally;
    smx_segment *made;    /* by LIFE_CREATE */
    smx_segment *segment; /* the shared one */
    smx_counter ops, atomic_ops, own;
    smx_histogram sizes, atomic_sizes;
    smx_gauge who, level, last;
    smx_stateset phase;
    smx_family races, levels, shapes;
    smx_check common, lives; /* of all, and of this one */
};

/* The shared segment's name, and the most that one process that dies can leave unused there. */
#define LIFE_APP "common"
enum { LIFE_DEBRIS_MAX = 28 * 1024 };

/* Go through one stage. Returns 0, or 1 with a line on what failed. Does not return when a child
 * of the life was killed: that kills the life, too. */
int life_run(struct life *life, enum life_stage stage);

#endif
