/* SPDX-License-Identifier: MIT
 *
 * watch.h - one segment observed over time: the snapshot of now, and the one before it.
 */
#ifndef SMX_TOP_WATCH_H
#define SMX_TOP_WATCH_H

#include <limits.h>
#include <smx/reader.h>

/* A series of the snapshot before, found by its id. */
struct watch_past {
    uint64_t id;
    const struct smx_series_info *series;
    const struct smx_family_info *family;
};

struct watch {
    char path[PATH_MAX];
    smx_reader *now;    /* NULL while there is no snapshot */
    smx_reader *before; /* NULL until there are two of the same file */
    uint64_t now_ns;    /* CLOCK_MONOTONIC */
    uint64_t before_ns;
    struct watch_past *past; /* of `before`, sorted by id */
    size_t n_past;
    int error; /* of the last update; diag then says what */
    struct smx_diag diag;
};

/* Take a snapshot; the one that was `now` becomes `before`. A file that was replaced by another is
 * opened anew and has no `before`. An error is kept in the watch: the next update tries again. */
void watch_update(struct watch *watch);

/* The same series in the snapshot before, or NULL. */
const struct smx_series_info *watch_before(const struct watch *watch,
                                           const struct smx_family_info *family,
                                           const struct smx_series_info *series);

/* Seconds between the two snapshots; 0 without two. */
double watch_interval(const struct watch *watch);

void watch_fini(struct watch *watch);

#endif
