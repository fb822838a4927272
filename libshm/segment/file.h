/* SPDX-License-Identifier: MIT
 *
 * file.h - a segment's file: made complete, then published; or found and checked.
 */
#ifndef SMX_FILE_H
#define SMX_FILE_H

#include "libshm/layout.h"

#include <limits.h>
#include <smx/smx.h>
#include <stdbool.h>

/* What a new segment will look like: the options with every default decided. */
struct smx__shape {
    uint64_t capacity;
    uint64_t max_bytes;
    uint64_t seed;
    uint32_t slots;
    uint32_t n_buckets;
    uint32_t max_series;
    uint16_t kind;
    uint16_t rows;
    uint16_t counter_stripes;
    uint16_t hist_stripes;
    bool reserve_now;
    const char *app;
    const char *instance;
    uint16_t labels_len;
    uint8_t labels[SMX__LABELS_SIZE];
};

/* Decide the shape. Checks the numbers and constant labels of the options, and fits the file into
 * RLIMIT_FSIZE and RLIMIT_AS. Returns 0 or -EINVAL, -EFBIG, -ENOMEM. */
int smx__shape(const struct smx_options *options, struct smx__shape *out, struct smx_diag *diag);

/* A segment's file, open and mapped. */
struct smx__file {
    int fd;
    struct smx__header *header;
    uint64_t length;
    char private_name[NAME_MAX + 1]; /* in its directory until published; empty: it has no name */
};

/* Make a file without a name (or with a private one where /proc is missing), reserve, map and
 * initialise it. Owns: the caller publishes or discards it. Returns 0 or -errno. */
int smx__file_make(int directory, const char *name, const struct smx__shape *shape,
                   struct smx__file *out, struct smx_diag *diag);

/* Give it its name, atomically: either only if there is none yet (-EEXIST), or in place of another.
 * Returns 0 or -errno. */
int smx__file_publish(int directory, const char *name, bool replace, struct smx__file *file);

/* Undo smx__file_make. */
void smx__file_discard(int directory, struct smx__file *file);

/* Map the file behind fd, whose header must have been checked. Returns 0 or -errno. */
int smx__file_map(int fd, uint64_t length, struct smx__file *out);

/* Read the header of the file behind fd and check it against this build of libshm; `path` is for
 * the diagnostic. Returns 0, -EPROTO or -EPROTONOSUPPORT. */
int smx__file_check(int fd, const char *path, struct smx__header *out, struct smx_diag *diag);

/* The boot's id, all zero if unknown. */
void smx__boot_id(uint8_t id[16]);

#endif
