/* SPDX-License-Identifier: MIT
 *
 * clock.h - the measure of the time stamp counter.
 */
#ifndef SMX_CLOCK_H
#define SMX_CLOCK_H

#include <stdint.h>
#include <time.h>

/* One moment by both clocks; ns is 0 if the counter is not to be used. */
struct smx__moment {
    uint64_t tsc;
    uint64_t ns;
};

/* Note the first moment, if the counter is steady and the kernel trusts it. Once, at smx_open(). */
void smx__clock_begin(struct smx__moment *first);

/* The scale that follows from the first moment and now, which is now_ns; 0 if it is too early. */
uint64_t smx__clock_scale(const struct smx__moment *first, uint64_t now_ns);

/* A clock of the system, in nanoseconds. Async-signal-safe. */
uint64_t smx__clock_ns(clockid_t clock);

#endif
