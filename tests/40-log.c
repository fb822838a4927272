/* SPDX-License-Identifier: MIT
 *
 * 40-log.c - a line of the log is one line, whatever is in the values, and can be read back.
 */
#include "agent/http/body.h"
#include "agent/log/log.h"
#include "agent/log/once.h"
#include "agent/log/sink.h"
#include "support/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

enum { TEXT_SIZE = 32768 };

/* What log_event() writes, without its time. */
static const char *written(enum log_format format, const char *const text[])
{
    static char line[TEXT_SIZE];
    int fd = memfd_create("log", MFD_CLOEXEC);
    assert_true(fd >= 0);
    struct log log = {.fd = fd, .level = LOG_LEVEL_INFO, .format = format};
    log_event(&log, LOG_LEVEL_INFO, text);
    ssize_t length = pread(fd, line, sizeof line - 1, 0);
    assert_true(length > 0);
    line[length] = 0;
    close(fd);
    return strstr(line, "level");
}

static void logfmt_quotes_what_is_not_plain(void **state)
{
    (void)state;
    assert_string_equal(written(LOG_FORMAT_LOGFMT, LOG_TEXT("ready", "path", "/run/smx")),
                        "level=info msg=ready path=/run/smx\n");
    assert_string_equal(
        written(LOG_FORMAT_LOGFMT, LOG_TEXT("two words", "a", "", "b", "x=y", "c", "q\"\\q")),
        "level=info msg=\"two words\" a=\"\" b=\"x=y\" c=\"q\\\"\\\\q\"\n");
}

static void json_escapes(void **state)
{
    (void)state;
    assert_string_equal(written(LOG_FORMAT_JSON, LOG_TEXT("a\"b", "path", "x\ny\x1b[0m\x7f")),
                        "level\":\"info\",\"msg\":\"a\\\"b\",\"path\":\"x\\u000ay\\u001b[0m\\u007f"
                        "\"}\n");
}

static void bytes_that_are_not_utf8_are_replaced(void **state)
{
    (void)state;
    assert_string_equal(
        written(LOG_FORMAT_LOGFMT, LOG_TEXT("x", "v",
                                            "\xff"
                                            "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80")),
        "level=info msg=x v=\"\xef\xbf\xbd"
        "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"\n");
    assert_string_equal(written(LOG_FORMAT_LOGFMT, LOG_TEXT("x", "v", "\xc0\xaf")),
                        "level=info msg=x v=\"\xef\xbf\xbd\xef\xbf\xbd\"\n");
    assert_string_equal(written(LOG_FORMAT_LOGFMT, LOG_TEXT("x", "v", "\xe2\x82")),
                        "level=info msg=x v=\"\xef\xbf\xbd\xef\xbf\xbd\"\n");
}

static void a_pair_without_a_value_is_left_out(void **state)
{
    (void)state;
    assert_string_equal(written(LOG_FORMAT_LOGFMT, LOG_TEXT("x", "a", NULL, "b", "1")),
                        "level=info msg=x b=1\n");
}

static void what_does_not_fit_is_cut_and_the_line_still_ends(void **state)
{
    static char value[20000];
    (void)state;
    memset(value, '"', sizeof value - 1);
    const char *line = written(LOG_FORMAT_JSON, LOG_TEXT("x", "a", value, "b", "1"));
    assert_non_null(strstr(line, "\xe2\x80\xa6\",\"b\":\"1\"}\n"));
    line = written(LOG_FORMAT_JSON, LOG_TEXT(value, value, value, value, value, value, value, value,
                                             value, value, value, value, value));
    assert_string_equal(line + strlen(line) - 6, "\xe2\x80\xa6\"}\n");
    line = written(LOG_FORMAT_JSON,
                   LOG_TEXT("x", "a", value, "b", value, "c", value, "d", value, "e", "1"));
    assert_non_null(strstr(line, "\xe2\x80\xa6\",\"c\":\""));
    assert_null(strstr(line, "\"d\""));
    assert_non_null(strstr(line, "\xe2\x80\xa6\",\"e\":\"1\"}\n"));
    assert_true(strlen(line) <= SINK_LINE_MAX);
}

static void events_below_the_level_are_not_written(void **state)
{
    (void)state;
    int fd = memfd_create("log", MFD_CLOEXEC);
    struct log log = {.fd = fd, .level = LOG_LEVEL_WARN};
    LOG_INFO(&log, "x");
    assert_int_equal(lseek(fd, 0, SEEK_END), 0);
    LOG_ERROR(&log, "x");
    assert_true(lseek(fd, 0, SEEK_END) > 0);
    close(fd);
}

static void names_of_levels_and_formats_are_known(void **state)
{
    enum log_level level = LOG_LEVEL_INFO;
    enum log_format format = LOG_FORMAT_LOGFMT;
    (void)state;
    assert_int_equal(log_level_parse("error", &level), 0);
    assert_int_equal(level, LOG_LEVEL_ERROR);
    assert_int_equal(log_level_parse("Error", &level), -EINVAL);
    assert_int_equal(log_format_parse("json", &format), 0);
    assert_int_equal(format, LOG_FORMAT_JSON);
    assert_int_equal(log_format_parse("", &format), -EINVAL);
}

/* A log with a fold, to a file. */
struct folded {
    struct log_memory memory;
    struct log log;
    unsigned told; /* how often it asked for a timer */
    char text[TEXT_SIZE];
};

static void ask(void *context)
{
    struct folded *f = context;
    f->told++;
}

static struct folded *start_folded(enum log_format format)
{
    static struct folded f;
    memset(&f, 0, sizeof f);
    f.memory.waiting = ask;
    f.memory.context = &f;
    f.log = (struct log){.fd = memfd_create("log", MFD_CLOEXEC),
                         .format = format,
                         .journal = true,
                         .memory = &f.memory};
    return &f;
}

/* What has been written since the last call, without times. */
static const char *so_far(struct folded *f)
{
    ssize_t n = pread(f->log.fd, f->text, sizeof f->text - 1, 0);
    assert_true(n >= 0);
    f->text[n] = 0;
    assert_int_equal(ftruncate(f->log.fd, 0), 0);
    lseek(f->log.fd, 0, SEEK_SET);
    char *to = f->text;
    for (const char *from = f->text; *from;) {
        size_t skipped = strncmp(from, "ts=", 3) == 0 ? strcspn(from, " ") + 1 : 0;
        if (strncmp(from, "\"ts\":", 5) == 0)
            skipped = strcspn(from, ",") + 1;
        from += skipped;
        if (!skipped)
            *to++ = *from++;
    }
    *to = 0;
    return f->text;
}

/* As if the time of all windows had passed. */
static void pass_windows(struct folded *f)
{
    for (size_t i = 0; i < FOLD_TEXTS; i++)
        if (f->memory.fold.texts[i].until_ns > 0)
            f->memory.fold.texts[i].until_ns = 1;
}

static void what_is_repeated_is_counted_and_told_at_the_end_of_its_window(void **state)
{
    struct folded *f = start_folded(LOG_FORMAT_LOGFMT);
    (void)state;
    LOG_WARN(&f->log, "refused", "by", "x");
    assert_string_equal(so_far(f), "<4>level=warn msg=refused by=x\n");
    assert_int_equal(f->told, 0);
    assert_true(log_catch_up(&f->log) == UINT64_MAX);
    LOG_WARN(&f->log, "refused", "by", "x");
    LOG_WARN(&f->log, "refused", "by", "x");
    assert_string_equal(so_far(f), "");
    assert_int_equal(f->told, 1);
    uint64_t next = log_catch_up(&f->log);
    assert_true(next > 0 && next <= FOLD_WINDOW_NS);
    pass_windows(f);
    assert_true(log_catch_up(&f->log) == UINT64_MAX);
    assert_string_equal(so_far(f), "<4>level=warn msg=refused by=x repeated=2\n");
    /* It has been told just now: once more is counted, and so is not news. */
    LOG_WARN(&f->log, "refused", "by", "x");
    assert_string_equal(so_far(f), "");
    assert_int_equal(f->told, 2);
    pass_windows(f);
    log_catch_up(&f->log);
    assert_string_equal(so_far(f), "<4>level=warn msg=refused by=x repeated=1\n");
    /* After a window without it, it is. */
    pass_windows(f);
    LOG_WARN(&f->log, "refused", "by", "x");
    assert_string_equal(so_far(f), "<4>level=warn msg=refused by=x\n");
    close(f->log.fd);
}

static void what_differs_in_level_message_or_pairs_is_no_repetition(void **state)
{
    struct folded *f = start_folded(LOG_FORMAT_LOGFMT);
    (void)state;
    LOG_WARN(&f->log, "refused", "by", "x");
    LOG_ERROR(&f->log, "refused", "by", "x");
    LOG_WARN(&f->log, "refused", "by", "y");
    LOG_WARN(&f->log, "refused");
    assert_string_equal(so_far(f), "<4>level=warn msg=refused by=x\n"
                                   "<3>level=error msg=refused by=x\n"
                                   "<4>level=warn msg=refused by=y\n"
                                   "<4>level=warn msg=refused\n");
    close(f->log.fd);
}

static void texts_that_take_turns_are_folded_and_the_end_tells_all(void **state)
{
    struct folded *f = start_folded(LOG_FORMAT_JSON);
    (void)state;
    for (int i = 0; i < 3; i++) {
        LOG_INFO(&f->log, "up");
        LOG_DEBUG(&f->log, "down");
    }
    assert_string_equal(so_far(f), "<6>{\"level\":\"info\",\"msg\":\"up\"}\n"
                                   "<7>{\"level\":\"debug\",\"msg\":\"down\"}\n");
    log_end(&f->log);
    assert_string_equal(so_far(f), "<6>{\"level\":\"info\",\"msg\":\"up\",\"repeated\":2}\n"
                                   "<7>{\"level\":\"debug\",\"msg\":\"down\",\"repeated\":2}\n");
    close(f->log.fd);
}

static void nothing_that_was_counted_is_forgotten_for_what_is_new(void **state)
{
    struct folded *f = start_folded(LOG_FORMAT_LOGFMT);
    char number[16];
    (void)state;
    LOG_INFO(&f->log, "first");
    LOG_INFO(&f->log, "first");
    so_far(f);
    for (int i = 1; i <= FOLD_TEXTS; i++) {
        snprintf(number, sizeof number, "%d", i);
        LOG_INFO(&f->log, "other", "n", number);
    }
    assert_non_null(strstr(so_far(f), "<6>level=info msg=first repeated=1\n"
                                      "<6>level=info msg=other n=4\n"));
    close(f->log.fd);
}

static void a_line_of_the_greatest_length_has_room_for_its_number(void **state)
{
    static char value[20000];
    struct folded *f = start_folded(LOG_FORMAT_JSON);
    (void)state;
    memset(value, 'x', sizeof value - 1);
    for (int i = 0; i < 2; i++)
        log_event(&f->log, LOG_LEVEL_INFO,
                  LOG_TEXT(value, value, value, value, value, value, value, value, value, value,
                           value, value, value));
    so_far(f);
    log_end(&f->log);
    const char *line = so_far(f);
    assert_string_equal(line + strlen(line) - 14, "\"repeated\":1}\n");
    assert_true(strlen(line) <= SINK_LINE_MAX);
    close(f->log.fd);
}

/* Lines go to a descriptor of which nothing is read, until some were dropped; it blocks, if asked
 * to, and the test would hang. Returns how many were written. */
static unsigned log_until_full(struct folded *f, int fd)
{
    char number[16];
    unsigned n = 0;
    close(f->log.fd);
    f->log.fd = fd;
    for (; f->memory.dropped < 3; n++) {
        snprintf(number, sizeof number, "%u", n);
        LOG_INFO(&f->log, "line", "n", number);
    }
    return n - 3;
}

/* What comes out of a descriptor that has been filled so: all lines that were written, each whole,
 * and nothing more. */
static void expect_lines(int fd, unsigned n)
{
    static char text[1 << 22];
    size_t length = 0;
    ssize_t got;
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    while ((got = read(fd, text + length, sizeof text - 1 - length)) > 0)
        length += (size_t)got;
    text[length] = 0;
    char *at = text, *end;
    for (unsigned i = 0; i < n; i++, at = end + 1) {
        char expected[64];
        snprintf(expected, sizeof expected, " level=info msg=line n=%u", i);
        end = strchr(at, '\n');
        assert_non_null(end);
        *end = 0;
        assert_string_equal(strchr(at, ' '), expected);
    }
    assert_string_equal(at, "");
}

/* And then whoever reads goes on. */
static void tells_what_was_dropped(struct folded *f, int reader)
{
    char text[512];
    LOG_INFO(&f->log, "again");
    ssize_t n = read(reader, text, sizeof text - 1);
    assert_true(n > 0);
    text[n] = 0;
    assert_non_null(strstr(text,
                           "level=warn msg=\"lines of the log were dropped, since nobody took "
                           "them\" lines=3\n"));
    assert_string_equal(text + n - strlen("msg=again\n"), "msg=again\n");
    assert_int_equal(f->memory.dropped, 3);
    assert_int_equal(f->memory.untold, 0);
    assert_true(log_catch_up(&f->log) == UINT64_MAX);
}

static void a_pipe_that_nobody_reads_takes_what_it_can_and_the_rest_is_dropped(void **state)
{
    struct folded *f = start_folded(LOG_FORMAT_LOGFMT);
    int ends[2];
    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    unsigned n = log_until_full(f, ends[1]);
    assert_true(n > 100);
    assert_int_equal(f->told, 1);
    assert_true(log_catch_up(&f->log) == FOLD_WINDOW_NS);
    assert_int_equal(f->memory.untold, 3);
    expect_lines(ends[0], n);
    tells_what_was_dropped(f, ends[0]);
    /* Or, where nothing is logged, later; or at the end. */
    for (int i = 0; i < 2; i++) {
        f->memory.untold = 7;
        if (i == 0)
            assert_true(log_catch_up(&f->log) == UINT64_MAX);
        else
            log_end(&f->log);
        assert_int_equal(f->memory.untold, 0);
    }
    close(ends[0]);
    close(ends[1]);
}

static void a_socket_that_nobody_reads_does_so_too(void **state)
{
    struct folded *f = start_folded(LOG_FORMAT_LOGFMT);
    int ends[2];
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    unsigned n = log_until_full(f, ends[1]);
    expect_lines(ends[0], n);
    tells_what_was_dropped(f, ends[0]);
    /* Nobody is there any more: no signal. */
    close(ends[0]);
    LOG_INFO(&f->log, "gone");
    assert_int_equal(f->memory.dropped, 4);
    close(ends[1]);
}

/* At the end of its room a terminal would wait in the midst of a line, but for one of its own. */
static void a_terminal_that_nobody_reads_stops_nobody(void **state)
{
    struct folded *f = start_folded(LOG_FORMAT_LOGFMT);
    int master, slave;
    char text[4096];
    (void)state;
    assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
    int other = dup(slave);
    sink_own(slave);
    assert_int_equal(fcntl(other, F_GETFL) & O_NONBLOCK, 0);
    log_until_full(f, slave);
    assert_int_equal(fcntl(master, F_SETFL, O_NONBLOCK), 0);
    while (read(master, text, sizeof text) > 0)
        ;
    LOG_INFO(&f->log, "again");
    assert_int_equal(f->memory.untold, 0);
    close(other);
    close(slave);
    close(master);
}

static void a_terminal_that_is_held_stops_nobody(void **state)
{
    struct folded *f = start_folded(LOG_FORMAT_LOGFMT);
    int master, slave;
    (void)state;
    assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
    assert_int_equal(tcflow(slave, TCOOFF), 0); /* as by ^S */
    log_until_full(f, slave);
    assert_int_equal(tcflow(slave, TCOON), 0);
    LOG_INFO(&f->log, "again");
    assert_int_equal(f->memory.untold, 0);
    close(slave);
    close(master);
}

/* A disk that is full, for one. */
static void what_cannot_be_written_is_counted(void **state)
{
    struct folded *f = start_folded(LOG_FORMAT_LOGFMT);
    (void)state;
    close(f->log.fd);
    f->log.fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(f->log.fd >= 0);
    LOG_INFO(&f->log, "x");
    assert_int_equal(f->memory.dropped, 1);
    assert_int_equal(f->memory.untold, 1);
    close(f->log.fd);
    f->log.fd = -1;
    f->log.memory = NULL; /* nobody counts: no harm */
    LOG_INFO(&f->log, "x");
    assert_true(log_catch_up(&f->log) == UINT64_MAX);
    log_end(&f->log);
}

static void what_was_said_is_not_new(void **state)
{
    struct once once = {0};
    char text[16];
    (void)state;
    assert_true(once_is_new(&once, "a"));
    assert_false(once_is_new(&once, "a"));
    for (int i = 1; i < ONCE_MAX; i++) {
        snprintf(text, sizeof text, "%d", i);
        assert_true(once_is_new(&once, text));
    }
    assert_false(once_is_new(&once, "one too many"));
    once_fini(&once);
}

static void a_body_is_written_again_only_when_nobody_reads_it(void **state)
{
    struct body *kept = NULL;
    (void)state;
    struct body *first = body_reuse(&kept);
    assert_non_null(first);
    assert_ptr_equal(first, kept);
    buffer_puts(&first->bytes, "one");
    assert_ptr_equal(body_reuse(&kept), first);
    assert_int_equal(first->bytes.length, 0);
    buffer_puts(&first->bytes, "two");
    struct body *reader = body_ref(kept);
    struct body *second = body_reuse(&kept);
    assert_ptr_not_equal(second, reader);
    assert_ptr_equal(second, kept);
    assert_memory_equal(reader->bytes.at, "two", 3);
    body_unref(reader);
    body_unref(kept);
    body_unref(NULL);
}

int main(void)
{
    alarm(ALARM_S);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logfmt_quotes_what_is_not_plain),
        cmocka_unit_test(json_escapes),
        cmocka_unit_test(bytes_that_are_not_utf8_are_replaced),
        cmocka_unit_test(a_pair_without_a_value_is_left_out),
        cmocka_unit_test(what_does_not_fit_is_cut_and_the_line_still_ends),
        cmocka_unit_test(events_below_the_level_are_not_written),
        cmocka_unit_test(names_of_levels_and_formats_are_known),
        cmocka_unit_test(what_is_repeated_is_counted_and_told_at_the_end_of_its_window),
        cmocka_unit_test(what_differs_in_level_message_or_pairs_is_no_repetition),
        cmocka_unit_test(texts_that_take_turns_are_folded_and_the_end_tells_all),
        cmocka_unit_test(nothing_that_was_counted_is_forgotten_for_what_is_new),
        cmocka_unit_test(a_line_of_the_greatest_length_has_room_for_its_number),
        cmocka_unit_test(a_pipe_that_nobody_reads_takes_what_it_can_and_the_rest_is_dropped),
        cmocka_unit_test(a_socket_that_nobody_reads_does_so_too),
        cmocka_unit_test(a_terminal_that_nobody_reads_stops_nobody),
        cmocka_unit_test(a_terminal_that_is_held_stops_nobody),
        cmocka_unit_test(what_cannot_be_written_is_counted),
        cmocka_unit_test(what_was_said_is_not_new),
        cmocka_unit_test(a_body_is_written_again_only_when_nobody_reads_it),
    };
    return RUN_TESTS(tests);
}
