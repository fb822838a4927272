/* SPDX-License-Identifier: MIT
 *
 * crash.h - named places between two steps that others can see, where a test lets a process die:
 * after each of them alone the segment has to be sound. Only a build with SMX_CRASH_POINTS (the
 * preset `crash`) has any; elsewhere nothing is left of them, see tests/00-crash-points.bats.
 * A point stands on a line of its own, and its name in the source once.
 */
#ifndef SMX_CRASH_H
#define SMX_CRASH_H

/* The test's; NULL in programs that have none. */
__attribute__((weak)) void smx__crash_point(const char *name);

#ifdef SMX_CRASH_POINTS
/* All names lie in one section, where the test finds them. */
#define SMX__CRASH_POINT(name)                                                                     \
    do {                                                                                           \
        static const char point[] __attribute__((section("smx_crash_points"), used)) = name;       \
        if (smx__crash_point)                                                                      \
            smx__crash_point(point);                                                               \
    } while (0)
#else
#define SMX__CRASH_POINT(name) ((void)0)
#endif

#endif
