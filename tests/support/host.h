/* SPDX-License-Identifier: MIT
 *
 * host.h - an application that uses every kind of metric, whatever it is refused, and knows what it
 * has counted; for tests in which things run out. Each function runs in a child of the test: it
 * returns 0, or says what is wrong, as CHECK() does.
 */
#ifndef SMX_TESTS_HOST_H
#define SMX_TESTS_HOST_H

#include <smx/smx.h>

/* What hosts have counted, and what they were refused. In memory that they share. */
struct host_tally {
    uint64_t plain, labelled, observed;
    uint64_t refused; /* families, and series of families without labels */
    uint64_t dropped; /* gauge writes */
};

/* Register what there is, and update it. segment: may be NULL. errno is left alone, handles can be
 * used, gauges have their values. */
int host_use(smx_segment *segment, struct host_tally *tally);

/* The same in a child of fork(), which has a slot of its own. */
int host_use_in_child(smx_segment *segment, struct host_tally *tally);

/* As those two; nothing is refused any more, though it may take a moment until all is tried again,
 * and this process has a slot. */
int host_recovers(smx_segment *segment, struct host_tally *tally);

/* What a reader sees is sound and complete, and says what the tally says; so do the losses. For a
 * segment of its own, on which host_use() has succeeded at last. */
int host_compare(const smx_segment *segment, const struct host_tally *tally);

#endif
