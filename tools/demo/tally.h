/* SPDX-License-Identifier: MIT
 *
 * tally.h - a second account of the work done, kept without libshm: what the tests compare the
 * segment with. One file, one record for each life of a worker, written by that worker alone.
 */
#ifndef SMX_DEMO_TALLY_H
#define SMX_DEMO_TALLY_H

#include "http.h"
#include "route.h"

#include <stdint.h>

enum { TALLY_LIVES = 65536 };

/* What one worker process did, from its first request to its death. */
struct tally_life {
    uint64_t requests[HTTP_METHODS][ROUTES][HTTP_STATUSES];
    uint64_t bytes[ROUTES];
};

/* The file. Past the last record lives goes on, and what those workers do is not tallied. */
struct tally {
    uint64_t lives; /* workers started, ever; written by the master */
    struct tally_life life[TALLY_LIVES];
};

/* Make the file anew, and map it. Returns: 0 or a negative errno. */
int tally_open(const char *path, struct tally **out);

/* A record for the worker about to be forked; NULL for no tally, or past the last. */
struct tally_life *tally_next(struct tally *tally);

/* Count one answered request in a worker's own record, NULL for none. Call it last: whatever
 * SIGKILL then leaves out of the record is one request. */
void tally_count(struct tally_life *life, enum http_method method, enum route route,
                 enum http_status status, size_t bytes);

#endif
