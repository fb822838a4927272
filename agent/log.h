/* SPDX-License-Identifier: MIT
 *
 * log.h - the agent's log: one line an event to a descriptor, as logfmt or JSON.
 *
 * An error is logged once, where the decision about it is taken, with what to do about it.
 */
#ifndef SMX_AGENT_LOG_H
#define SMX_AGENT_LOG_H

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };

struct log {
    int fd;
    enum log_level level; /* the lowest that is written */
    enum log_format format;
};

/* Find a level or a format by its name in the options. Returns: 0, -EINVAL. */
int log_level_parse(const char *name, enum log_level *out);
int log_format_parse(const char *name, enum log_format *out);

/* Write an event: text[0] is the message, then come pairs of a name and a value, then NULL. A pair
 * with a NULL value is left out. One write(2); what does not fit a line is cut off by an ellipsis,
 * bytes that are not UTF-8 become U+FFFD. */
void log_event(const struct log *log, enum log_level level, const char *const text[]);

#define LOG_TEXT(...) ((const char *const[]){__VA_ARGS__, (const char *)0})

#define LOG_DEBUG(log, ...) log_event((log), LOG_LEVEL_DEBUG, LOG_TEXT(__VA_ARGS__))
#define LOG_INFO(log, ...)  log_event((log), LOG_LEVEL_INFO, LOG_TEXT(__VA_ARGS__))
#define LOG_WARN(log, ...)  log_event((log), LOG_LEVEL_WARN, LOG_TEXT(__VA_ARGS__))
#define LOG_ERROR(log, ...) log_event((log), LOG_LEVEL_ERROR, LOG_TEXT(__VA_ARGS__))

#endif
