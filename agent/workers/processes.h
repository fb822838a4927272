/* SPDX-License-Identifier: MIT
 *
 * processes.h - what the kernel knows of the applications' processes: smx_process_*, and the sums
 * smx_role_* and smx_app_*. The runtime reads the numbers; gather turns them into families.
 */
#ifndef SMX_AGENT_PROCESSES_H
#define SMX_AGENT_PROCESSES_H

#include "agent/gather/filter.h"
#include "agent/gather/snapshot.h"

#include <smx/reader.h>

/* The order has nothing to do with that of the families. */
enum process_value {
    PROCESS_CPU,            /* ns */
    PROCESS_RESIDENT,       /* bytes */
    PROCESS_PROPORTIONAL,   /* bytes */
    PROCESS_OPEN_FDS,       /* descriptors */
    PROCESS_MAX_FDS,        /* their limit; not in sums */
    PROCESS_WORST_FD_RATIO, /* 10^-9 of the limit; only in sums, where it is the largest */
    PROCESS_THREADS,
    PROCESS_VOLUNTARY, /* context switches of the first thread */
    PROCESS_INVOLUNTARY,
    PROCESS_READ,    /* bytes, from storage */
    PROCESS_WRITTEN, /* bytes, to storage */
    PROCESS_START,   /* ns after the Epoch; not in sums */
    PROCESS_NUMBER,  /* of processes; only in sums */
};
enum { PROCESS_VALUES = PROCESS_NUMBER + 1 };

/* A process, or the sum of those of a role or of an application. */
struct process_row {
    char role[sizeof((struct smx_process_info *)0)->role];
    uint32_t worker;
    uint32_t known; /* bit v: values[v] is */
    uint64_t values[PROCESS_VALUES];
};

static inline void process_row_set(struct process_row *row, enum process_value value, uint64_t n)
{
    row->known |= UINT32_C(1) << value;
    row->values[value] = n;
}

static inline bool process_row_has(const struct process_row *row, enum process_value value)
{
    return row->known >> value & 1;
}

enum process_level { PROCESS_EACH, PROCESS_BY_ROLE, PROCESS_BY_APP };
enum { PROCESS_LEVELS = PROCESS_BY_APP + 1 };

struct process_texts;

/* One application instance's. All-zero is none. */
struct processes {
    struct smx_str app, instance;
    const struct process_row *rows[PROCESS_LEVELS];
    size_t n[PROCESS_LEVELS];
    struct process_texts *texts; /* gather's: names and labels, kept while the rows are the same
                                    processes with the same known values */
};

/* Before it goes, or when other rules have come; no snapshot may be of it any more. */
void processes_fini(struct processes *processes);

/* The families of all applications. All-zero is none. */
struct process_families {
    struct exposed *at;
    size_t n;
    struct part *parts;
    size_t n_parts;
};

/* Make the families anew, by the rules' filter and labels, with messages if they are wanted.
 * Returns: 0, -ENOMEM. */
int process_families_make(struct process_families *out, struct processes *const list[], size_t n,
                          const struct render_rules *rules, bool messages);
void process_families_fini(struct process_families *families);

#endif
