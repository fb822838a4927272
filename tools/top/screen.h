/* SPDX-License-Identifier: MIT
 *
 * screen.h - lines on a terminal that scroll, and the keys. Alone knows curses and signals.
 */
#ifndef SMX_TOP_SCREEN_H
#define SMX_TOP_SCREEN_H

#include <stddef.h>
#include <stdint.h>

struct screen;

enum screen_event { SCREEN_TIMEOUT, SCREEN_QUIT };

/* Take over the terminal on stdin and stdout. SIGINT, SIGTERM and SIGHUP are kept back until
 * screen_close(). Returns: 0, -ENOTTY (a terminal that curses does not know), another negative
 * errno. */
int screen_open(struct screen **out);

/* Show a text; it is borrowed until the next call. */
void screen_show(struct screen *screen, const char *text);

/* Serve keys until the deadline (CLOCK_MONOTONIC) or the user, or a signal, wants to leave. */
enum screen_event screen_wait(struct screen *screen, uint64_t deadline_ns);

/* Give the terminal back as it was. Returns: the signal that ended screen_wait(), or 0. */
int screen_close(struct screen *screen);

#endif
