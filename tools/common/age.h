/* SPDX-License-Identifier: MIT
 *
 * age.h - how long ago something was.
 */
#ifndef SMX_TOOLS_AGE_H
#define SMX_TOOLS_AGE_H

#include <stdint.h>
#include <stdio.h>

/* Write "3.0 s ago", "in 2 h 5 min", or "-" for a time of 0. */
void age_write(FILE *out, uint64_t then_ns, uint64_t now_ns);

/* In seconds, negative for what lies ahead. The difference is taken in integers: a double has no
 * nanoseconds since 1970. */
double age_seconds(uint64_t then_ns, uint64_t now_ns);

#endif
