/* SPDX-License-Identifier: MIT
 *
 * victim.h - a segment with one of everything, written without libshm, that a test spoils field by
 * field of the byte table; and the judge of what a reader makes of it. The judge reads the same
 * bytes by itself: whatever is served must be what the damaged file says.
 *
 *       struct victim v;
 *       victim_make(&v, directory);
 *       for (size_t t = 0; t < v.n_targets; t++)
 *           ...
 *               victim_spoil(&v, at, size, value);
 *               victim_fault(&v, reader)
 *               victim_restore(&v);
 *       victim_end(&v);
 */
#ifndef SMX_TESTS_VICTIM_H
#define SMX_TESTS_VICTIM_H

#include "support/bytetable.h"
#include "support/segwriter.h"

#include <smx/reader.h>
#include <stdbool.h>
#include <sys/types.h>

enum { VICTIM_TARGETS = 128 };

/* A structure of the segment. Those that are of a kind with an earlier one are not `first`. */
struct victim_target {
    const struct byte_table *table;
    uint64_t at;
    bool first;
};

struct victim {
    struct segwriter *w;
    char path[SEGWRITER_PATH_SIZE];
    int file;
    pid_t holder;    /* of the lock of slot 1, a child */
    uint64_t pid_ns; /* ours, and its */
    struct victim_target targets[VICTIM_TARGETS];
    size_t n_targets;
    size_t n_series, n_families, n_checks; /* of the sound segment */
    uint64_t at, sound;                    /* what is spoilt now */
    unsigned size;
};

/* Make <directory>/victim.v1.smx, and a process that lives in it. */
void victim_make(struct victim *v, const char *directory);
void victim_end(struct victim *v);

/* Overwrite 1 to 8 bytes, in the writer's copy and in the file, and move `published`; undo it. */
void victim_spoil(struct victim *v, uint64_t at, unsigned size, uint64_t value);
void victim_restore(struct victim *v);

/* byte_values() of a field, with the places of this segment. */
size_t victim_values(const struct victim *v, uint64_t at, unsigned size,
                     uint64_t values[BYTE_VALUES]);

/* What is wrong with a snapshot, by the promises of <smx/reader.h> and by the bytes of the file;
 * NULL if nothing. */
const char *victim_fault(const struct victim *v, const smx_reader *reader);

/* Whether a reason is among those of a field. */
bool victim_allows(const struct byte_field *field, const char *reason);

/* The reason of a code of smx_reader_open() or smx_reader_update(). */
const char *victim_reason(int code);

#endif
