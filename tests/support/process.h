/* SPDX-License-Identifier: MIT
 *
 * process.h - programs that a test runs: start, watch, end; and how long it goes on.
 */
#ifndef SMX_TESTS_PROCESS_H
#define SMX_TESTS_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Start a program that dies with the test. argv[0] without a slash is one of the build's programs
 * if there is such a one, else looked up in PATH. The standard output goes to *out, a descriptor to
 * read from; NULL: nowhere. Returns its pid, or -1. */
pid_t process_start(const char *const argv[], int *out);

/* Send a signal (0: none) and wait for the end, at most ten seconds, then kill.
 * Returns: as waitpid's status; -1 if it had to be killed. */
int process_stop(pid_t pid, int signo);

/* The children of a process that are not dead yet. Returns: how many are in pids. */
size_t process_children(pid_t pid, pid_t pids[], size_t size);

/* Poll for a state until a deadline of 30 seconds. Returns: the last answer. */
bool eventually(bool (*state)(void *), void *argument);

/* Wait a little, between two looks. */
void pause_ms(unsigned ms);

/* So many rounds, times $SMX_TEST_SCALE if that is set: for runs that are longer than usual. */
size_t scaled(size_t rounds);

/* Milliseconds of the monotonic clock. */
uint64_t now_ms(void);

#endif
