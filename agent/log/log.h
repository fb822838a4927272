/* SPDX-License-Identifier: MIT
 *
 * log.h - the agent's log: one line an event to a descriptor, as logfmt or JSON. What is repeated
 * is folded; what nobody takes is dropped, and told of when somebody does again.
 *
 * An error is logged once, where the decision about it is taken, with what to do about it.
 */
#ifndef SMX_AGENT_LOG_H
#define SMX_AGENT_LOG_H

#include "agent/log/fold.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };

/* What is to be told of later: lines that were repeated, and lines that could not be written.
 * All-zero is empty. */
struct log_memory {
    struct fold fold;
    uint64_t dropped;               /* ever */
    uint64_t untold;                /* of these */
    void (*waiting)(void *context); /* call log_catch_up() in a while; NULL: nobody does */
    void *context;
};

struct log {
    int fd;
    enum log_level level; /* the lowest that is written */
    enum log_format format;
    bool journal;              /* journald reads it: a line begins with its priority */
    struct log_memory *memory; /* NULL: nothing is folded, and nothing counted */
};

/* Find a level or a format by its name in the options. Returns: 0, -EINVAL. */
int log_level_parse(const char *name, enum log_level *out);
int log_format_parse(const char *name, enum log_format *out);

/* Write an event: text[0] is the message, then come pairs of a name and a value, then NULL. A pair
 * with a NULL value is left out, as is one that does not fit the line; a long value is cut off by
 * an ellipsis, bytes that are not UTF-8 become U+FFFD. One write(2), which does not wait. What is
 * repeated within a window of the log's fold is not written, but counted. */
void log_event(const struct log *log, enum log_level level, const char *const text[]);

/* Tell of what was repeated, where its window is over: an event as it was, with how often; and of
 * what was dropped.
 * Returns: when to call it again, in nanoseconds from now; UINT64_MAX: all is told. */
uint64_t log_catch_up(const struct log *log);

/* The same, at the end, whether its window is over or not. */
void log_end(const struct log *log);

/* Whether journald is at the other end of a descriptor, as systemd says of a service's output. */
bool log_is_journal(int fd);

#define LOG_TEXT(...) ((const char *const[]){__VA_ARGS__, (const char *)0})

#define LOG_DEBUG(log, ...) log_event((log), LOG_LEVEL_DEBUG, LOG_TEXT(__VA_ARGS__))
#define LOG_INFO(log, ...)  log_event((log), LOG_LEVEL_INFO, LOG_TEXT(__VA_ARGS__))
#define LOG_WARN(log, ...)  log_event((log), LOG_LEVEL_WARN, LOG_TEXT(__VA_ARGS__))
#define LOG_ERROR(log, ...) log_event((log), LOG_LEVEL_ERROR, LOG_TEXT(__VA_ARGS__))

#endif
