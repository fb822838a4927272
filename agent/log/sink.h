/* SPDX-License-Identifier: MIT
 *
 * sink.h - writes a line of the log, or does not: who reads it may have stopped, and the agent
 * waits for nobody.
 */
#ifndef SMX_AGENT_SINK_H
#define SMX_AGENT_SINK_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

/* The longest line. A pipe in which there is any room takes so much at once. */
enum { SINK_LINE_MAX = PIPE_BUF };

/* Open anew, in its place, the pipe or terminal that a descriptor leads to, so that writing to it
 * does not wait; what would be set on the one that we were given is set for all who have it. Where
 * that is refused it stays as it is. */
void sink_own(int fd);

/* Returns whether the line has been written, to its end. */
bool sink_write(int fd, const char *line, size_t length);

#endif
