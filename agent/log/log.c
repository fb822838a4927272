/* SPDX-License-Identifier: MIT
 *
 * log.c - one line an event. Allocates nothing: the log must work when memory is what is missing.
 * The values come from files and requests, so whatever would break a line, or the terminal that
 * shows it, is escaped.
 */
#include "agent/log/log.h"
#include "agent/log/sink.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LINE_SIZE = SINK_LINE_MAX, VALUE_MAX = 1024, END_SIZE = 64 };
_Static_assert((int)FOLD_SIZE >= (int)LINE_SIZE, "a text is a part of a line");

/* The last bytes are kept free for what ends a line: how often it was repeated. */
struct line {
    char at[LINE_SIZE];
    size_t length;
    bool full; /* something did not fit */
};

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static const char *const format_names[] = {"logfmt", "json"};

int log_level_parse(const char *name, enum log_level *out)
{
    for (unsigned i = 0; i < sizeof level_names / sizeof level_names[0]; i++)
        if (strcmp(name, level_names[i]) == 0) {
            *out = (enum log_level)i;
            return 0;
        }
    return -EINVAL;
}

int log_format_parse(const char *name, enum log_format *out)
{
    for (unsigned i = 0; i < sizeof format_names / sizeof format_names[0]; i++)
        if (strcmp(name, format_names[i]) == 0) {
            *out = (enum log_format)i;
            return 0;
        }
    return -EINVAL;
}

static void put(struct line *line, const char *text, size_t length)
{
    line->full = line->full || line->length + length > LINE_SIZE - END_SIZE;
    if (line->full)
        return;
    memcpy(line->at + line->length, text, length);
    line->length += length;
}

static void put_text(struct line *line, const char *text)
{
    put(line, text, strlen(text));
}

/* The length of the well-formed UTF-8 sequence at s, 0 if there is none: no overlong forms, no
 * surrogates, nothing past U+10FFFF. s is NUL-terminated, and a NUL continues nothing. */
static size_t sequence_length(const unsigned char *s)
{
    if (s[0] < 0x80)
        return 1;
    if (s[0] >= 0xc2 && s[0] <= 0xdf)
        return (s[1] & 0xc0) == 0x80 ? 2 : 0;
    if (s[0] >= 0xe0 && s[0] <= 0xef) {
        unsigned low = s[0] == 0xe0 ? 0xa0 : 0x80, high = s[0] == 0xed ? 0x9f : 0xbf;
        return s[1] >= low && s[1] <= high && (s[2] & 0xc0) == 0x80 ? 3 : 0;
    }
    if (s[0] >= 0xf0 && s[0] <= 0xf4) {
        unsigned low = s[0] == 0xf0 ? 0x90 : 0x80, high = s[0] == 0xf4 ? 0x8f : 0xbf;
        return s[1] >= low && s[1] <= high && (s[2] & 0xc0) == 0x80 && (s[3] & 0xc0) == 0x80 ? 4
                                                                                             : 0;
    }
    return 0;
}

static void put_quoted(struct line *line, const char *value)
{
    const unsigned char *s = (const unsigned char *)value;
    size_t end = line->length + VALUE_MAX;
    put(line, "\"", 1);
    while (*s && line->length < end) {
        size_t length = sequence_length(s);
        char escape[8];
        if (length == 0) {
            put_text(line, "\xef\xbf\xbd");
        } else if (*s == '"' || *s == '\\') {
            escape[0] = '\\';
            escape[1] = (char)*s;
            put(line, escape, 2);
        } else if (*s < 0x20 || *s == 0x7f) {
            snprintf(escape, sizeof escape, "\\u%04x", *s);
            put_text(line, escape);
        } else {
            put(line, (const char *)s, length);
        }
        s += length ? length : 1;
    }
    put_text(line, *s ? "\xe2\x80\xa6\"" : "\"");
}

static bool is_plain(const char *value)
{
    for (const char *c = value; *c; c++)
        if (*c <= ' ' || *c >= 0x7f || *c == '"' || *c == '=' || *c == '\\')
            return false;
    return *value != 0 && strlen(value) <= VALUE_MAX;
}

static void put_named(struct line *line, enum log_format format, const char *name,
                      const char *value)
{
    const bool json = format == LOG_FORMAT_JSON;
    put_text(line, json ? ",\"" : " ");
    put_text(line, name);
    put_text(line, json ? "\":" : "=");
    if (!json && is_plain(value))
        put_text(line, value);
    else
        put_quoted(line, value);
}

/* All of it or nothing, so that whoever parses the line can. */
static void put_pair(struct line *line, enum log_format format, const char *name, const char *value)
{
    const size_t before = line->length;
    put_named(line, format, name, value);
    if (line->full)
        line->length = before;
    line->full = false;
}

/* What differs when the same is said again: for journald the priority, which it takes off, and the
 * time. */
static void begin(struct line *line, const struct log *log, enum log_level level)
{
    static const char priorities[] = "7643"; /* as syslog(3) numbers them, by level */
    struct timespec now;
    struct tm utc;
    char seconds[32], text[64];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &utc);
    if (log->journal) {
        snprintf(text, sizeof text, "<%c>", priorities[level]);
        put_text(line, text);
    }
    snprintf(text, sizeof text,
             log->format == LOG_FORMAT_JSON ? "{\"ts\":\"%s.%03ldZ\"" : "ts=%s.%03ldZ", seconds,
             now.tv_nsec / 1000000);
    put_text(line, text);
}

static bool end(struct line *line, const struct log *log)
{
    if (log->format == LOG_FORMAT_JSON)
        line->at[line->length++] = '}';
    line->at[line->length++] = '\n';
    return sink_write(log->fd, line->at, line->length);
}

static void wait_for(const struct log *log)
{
    if (log->memory->waiting)
        log->memory->waiting(log->memory->context);
}

/* False: something was dropped that cannot be told of yet. */
static bool tell_dropped(const struct log *log)
{
    struct log_memory *memory = log->memory;
    if (!memory || memory->untold == 0)
        return true;
    char n[24];
    struct line line = {.length = 0};
    snprintf(n, sizeof n, "%" PRIu64, memory->untold);
    begin(&line, log, LOG_LEVEL_WARN);
    put_pair(&line, log->format, "level", level_names[LOG_LEVEL_WARN]);
    put_pair(&line, log->format, "msg", "lines of the log were dropped, since nobody took them");
    put_pair(&line, log->format, "lines", n);
    if (end(&line, log))
        memory->untold = 0;
    return memory->untold == 0;
}

static void finish(struct line *line, const struct log *log)
{
    if ((tell_dropped(log) && end(line, log)) || !log->memory)
        return;
    log->memory->dropped++;
    if (log->memory->untold++ == 0)
        wait_for(log);
}

static uint64_t monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The text again, with the number of times. */
static void tell_repeated(const struct log *log, struct fold_text *text, uint64_t now_ns)
{
    struct line line = {.length = 0};
    char repeated[END_SIZE];
    begin(&line, log, (enum log_level)text->level);
    put(&line, text->at, text->length);
    int length = snprintf(repeated, sizeof repeated,
                          log->format == LOG_FORMAT_JSON ? ",\"repeated\":%llu" : " repeated=%llu",
                          (unsigned long long)text->repeated);
    memcpy(line.at + line.length, repeated, (size_t)length);
    line.length += (size_t)length;
    finish(&line, log);
    fold_told(text, now_ns);
}

static void tell_due(const struct log *log, uint64_t now_ns)
{
    for (struct fold_text *text; (text = fold_due(&log->memory->fold, now_ns));)
        tell_repeated(log, text, now_ns);
}

/* Returns whether a text is only counted, since it was written a moment ago. */
static bool folded(const struct log *log, enum log_level level, const char *text, size_t length)
{
    struct fold *fold = &log->memory->fold;
    uint64_t now = monotonic_ns();
    tell_due(log, now);
    const uint64_t times = fold_count(fold, text, length, now);
    if (times == 1)
        wait_for(log);
    if (times > 0)
        return true;
    struct fold_text *place = fold_place(fold);
    if (place->repeated > 0)
        tell_repeated(log, place, now);
    fold_remember(place, (int)level, text, length, now);
    return false;
}

void log_event(const struct log *log, enum log_level level, const char *const text[])
{
    if (level < log->level)
        return;
    struct line line = {.length = 0};
    begin(&line, log, level);
    size_t head = line.length;
    put_pair(&line, log->format, "level", level_names[level]);
    put_pair(&line, log->format, "msg", text[0]);
    for (const char *const *pair = text + 1; *pair; pair += 2)
        if (pair[1])
            put_pair(&line, log->format, pair[0], pair[1]);
    if (!log->memory || !folded(log, level, line.at + head, line.length - head))
        finish(&line, log);
}

uint64_t log_catch_up(const struct log *log)
{
    if (!log->memory)
        return UINT64_MAX;
    uint64_t now = monotonic_ns();
    tell_due(log, now);
    const bool told = tell_dropped(log);
    uint64_t next = fold_next_ns(&log->memory->fold);
    next = next == UINT64_MAX ? next : next - now;
    return told || next < FOLD_WINDOW_NS ? next : FOLD_WINDOW_NS;
}

void log_end(const struct log *log)
{
    if (!log->memory)
        return;
    tell_due(log, UINT64_MAX);
    tell_dropped(log);
}

bool log_is_journal(int fd)
{
    struct stat st;
    char own[64];
    const char *stream = getenv("JOURNAL_STREAM");
    if (!stream || fstat(fd, &st) < 0)
        return false;
    snprintf(own, sizeof own, "%llu:%llu", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino);
    return strcmp(stream, own) == 0;
}
