/* SPDX-License-Identifier: MIT
 *
 * supervise.h - a private directory on tmpfs, and a process that works in it.
 */
#ifndef SMX_BENCH_SUPERVISE_H
#define SMX_BENCH_SUPERVISE_H

/* Call work() in a child process, with the path of a new directory in `parent`; then remove that,
 * also when a signal (SIGINT, SIGTERM, SIGHUP) ends the work early.
 * Returns: the exit status for the program: what work() returned, 128 + the signal, or 1 after a
 * message. */
int supervise(const char *parent, int (*work)(const char *directory, void *context), void *context);

#endif
