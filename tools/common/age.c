/* SPDX-License-Identifier: MIT
 *
 * age.c - how long ago something was, for people and for programs.
 */
#include "common/age.h"

#include <inttypes.h>

/* A time span with its two leading units. */
static void write_span(FILE *out, uint64_t ns)
{
    uint64_t s = ns / 1000000000u;
    if (s < 60)
        fprintf(out, "%.1f s", (double)ns / 1e9);
    else if (s < 3600)
        fprintf(out, "%" PRIu64 " min %" PRIu64 " s", s / 60, s % 60);
    else if (s < 86400)
        fprintf(out, "%" PRIu64 " h %" PRIu64 " min", s / 3600, s / 60 % 60);
    else
        fprintf(out, "%" PRIu64 " d %" PRIu64 " h", s / 86400, s / 3600 % 24);
}

void age_write(FILE *out, uint64_t then_ns, uint64_t now_ns)
{
    if (then_ns == 0) {
        putc('-', out);
    } else if (then_ns > now_ns) {
        fputs("in ", out);
        write_span(out, then_ns - now_ns);
    } else {
        write_span(out, now_ns - then_ns);
        fputs(" ago", out);
    }
}

double age_seconds(uint64_t then_ns, uint64_t now_ns)
{
    return now_ns >= then_ns ? (double)(now_ns - then_ns) / 1e9 : -(double)(then_ns - now_ns) / 1e9;
}
