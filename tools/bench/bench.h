/* SPDX-License-Identifier: MIT
 *
 * bench.h - the nouns of smx-bench: a case, where and how long it runs, and what it found.
 *
 * main.c reads the options, cases.c lists the cases and runs each in a process of its own.
 *   run/       the private directory, segments, and one operation in a loop by many processes
 *   subjects/  the operations: what peers do, what smx does
 *   tables/    cases that are no loop of one operation: scrapes, memory, the life of a process
 *   report/    what was found, as a table, JSON or Markdown
 * An arrow leads from each to run/ alone, and from main.c and cases.c to all.
 */
#ifndef SMX_BENCH_H
#define SMX_BENCH_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum bench_unit { BENCH_NS, BENCH_MS, BENCH_BYTES };
enum bench_format { BENCH_TABLE, BENCH_JSON, BENCH_MARKDOWN };

/* Which runs have a case. */
enum bench_when { BENCH_QUICK, BENCH_NORMAL, BENCH_FULL };

enum { BENCH_NOTE_SIZE = 256, BENCH_REPEATS_MAX = 64 };

struct bench_options {
    enum bench_when when;
    enum bench_format format;
    const char *directory; /* where the private one is made */
    char **filters;        /* any of them; none: all */
    size_t n_filters;
    char **groups; /* likewise */
    size_t n_groups;
};

/* Where a case runs, and how long it takes. */
struct bench_place {
    char directory[PATH_MAX]; /* of this case alone, empty */
    unsigned repeats;
    unsigned
        laps; /* repetitions of a loop: what it is compared with runs in turns, so short ones */
    uint64_t lap_ns;
};

/* What a case found: the median of the repetitions. */
struct bench_result {
    double median, min, max;
    double ratio;               /* to the limit (run/limit.h), of neighbours in time; 0: none */
    unsigned rows;              /* of the segment; 0: does not matter */
    bool counts;                /* whether operations were counted */
    int64_t lost;               /* operations less than there should be */
    char note[BENCH_NOTE_SIZE]; /* why there is no result */
};

struct subject;

struct bench_case {
    const char *group;
    const char *name;
    enum bench_unit unit;
    enum bench_when when;
    bool exact;         /* a loss is a failure */
    unsigned procs;     /* 0: does not matter */
    uint64_t series;    /* 0: likewise */
    unsigned rows;      /* forced; 0: as the machine has them */
    unsigned segments;  /* 0: one */
    uint64_t gauges;    /* likewise */
    const char *kind;   /* of the segment; NULL: per-CPU */
    const char *beside; /* another group, whose cases compare with this one; NULL: none */
    double reach;       /* the ratio that is wanted, or bytes, or what has no ratio; 0: nothing */
    const struct subject *subject;
    /* Returns: 0, or a negative errno with the reason in the note; -ENOTSUP: cannot be had here. */
    int (*run)(const struct bench_case *, const struct bench_place *, struct bench_result *);
};

/* Put the reason into the note. Returns: code. */
int bench_fail(struct bench_result *result, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Put what failed into the note, with the text of errno. Returns: -errno. */
int bench_fail_errno(struct bench_result *result, const char *what);

#endif
