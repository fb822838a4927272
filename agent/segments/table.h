/* SPDX-License-Identifier: MIT
 *
 * table.h - what segments.c, which finds the files, and reading.c, which reads them, share of the
 * table. Nobody else includes it.
 */
#ifndef SMX_AGENT_SEGMENTS_TABLE_H
#define SMX_AGENT_SEGMENTS_TABLE_H

#include "agent/log/once.h"
#include "agent/segments/segments.h"

/* Why a whole file is left out. */
enum fault {
    FAULT_LINK,
    FAULT_NOT_REGULAR,
    FAULT_OWNER,
    FAULT_MISNAMED,
    FAULT_PERMISSION,
    FAULT_REPLACED,
    FAULT_UNREADABLE,
    FAULT_VERSION,
    FAULT_NOT_A_SEGMENT,
    FAULT_HEADER,
    FAULT_TRUNCATED,
    FAULT_HOLES,
    FAULT_TOO_LARGE,
    FAULTS
};

/* Whole files, then records. */
enum { ERRORS = (int)FAULTS + (int)SMX_UNSOUND_COUNT };

/* What is left to be read of one user's segments in the update that runs. */
struct share {
    uid_t owner;
    uint64_t left;
};

struct segments {
    struct segments_options options;
    struct directory *directories;
    size_t n_directories;
    struct segment *list;
    size_t n, size;
    size_t n_ordered; /* behind these are those that the running scan has added */
    size_t n_left_out;
    struct once left_out; /* the paths of those that have been named */
    struct self_count by_state[SEGMENT_STATES - 1];
    struct self_count errors[ERRORS];
    struct directory *scanned; /* while directory_scan() runs */
    struct share shares[SEGMENTS_MAX];
    size_t n_shares;
};

/* Enter a state; close the reader and enter that of a fault; the same for what the reader says. */
void table_settle(struct segments *segments, struct segment *segment, enum segment_state state,
                  const char *why);
void table_fail(struct segments *segments, struct segment *segment, enum fault fault,
                const char *why);
void table_fail_code(struct segments *segments, struct segment *segment, int code,
                     const struct smx_diag *diag);

/* Let a segment go; its place in the list is for the caller to close. why: besides that its file
 * has gone, or NULL. */
void table_remove(struct segments *segments, struct segment *segment, const char *why);

/* Bring the list into its order. */
void table_order(struct segments *segments);

/* What was read ahead of it is not needed. */
static inline void table_forget_ahead(struct segment *segment)
{
    segment->begun = false;
    segment->ahead.code = 0;
}

#endif
