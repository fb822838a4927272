/* SPDX-License-Identifier: MIT
 *
 * 40-notify.c - what is said to a service manager, word for word, and what is made of the
 * environment that it gives.
 */
#include "agent/system/notify.h"
#include "support/tap.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MS UINT64_C(1000000)

enum { TEXT_SIZE = 4096 };

/* The manager: a socket of a name that the kernel chose. */
struct manager {
    int fd;
    int log_fd;
    struct log log;
    char name[sizeof(struct sockaddr_un)]; /* as the environment has it */
    char heard[TEXT_SIZE];
};

static int set_up(void **state)
{
    static struct manager m;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t length = sizeof address;
    m.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    /* No more than the family: any abstract name. */
    assert_int_equal(bind(m.fd, (struct sockaddr *)&address, sizeof address.sun_family), 0);
    assert_int_equal(getsockname(m.fd, (struct sockaddr *)&address, &length), 0);
    snprintf(m.name, sizeof m.name, "@%s", address.sun_path + 1);
    m.log_fd = memfd_create("log", MFD_CLOEXEC);
    m.log = (struct log){.fd = m.log_fd};
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    setenv("NOTIFY_SOCKET", m.name, 1);
    *state = &m;
    return 0;
}

static int tear_down(void **state)
{
    struct manager *m = *state;
    close(m->fd);
    close(m->log_fd);
    return 0;
}

/* The next message, "" if there is none. */
static const char *hear(struct manager *m)
{
    ssize_t n = recv(m->fd, m->heard, sizeof m->heard - 1, 0);
    m->heard[n > 0 ? n : 0] = 0;
    return m->heard;
}

static const char *logged(struct manager *m)
{
    ssize_t n = pread(m->log_fd, m->heard, sizeof m->heard - 1, 0);
    m->heard[n > 0 ? n : 0] = 0;
    return m->heard;
}

static void messages_are_those_of_sd_notify(void **state)
{
    struct manager *m = *state;
    struct notify notify;
    unsigned long long before = loop_now_ns() / 1000, said;
    notify_open(&notify, &m->log);
    notify_ready(&notify, "serving");
    assert_string_equal(hear(m), "READY=1\nSTATUS=serving");
    notify_reloading(&notify);
    assert_int_equal(sscanf(hear(m), "RELOADING=1\nMONOTONIC_USEC=%llu", &said), 1);
    assert_true(said >= before && said <= loop_now_ns() / 1000);
    notify_stopping(&notify, "bye");
    assert_string_equal(hear(m), "STOPPING=1\nSTATUS=bye");
    notify_close(&notify);
    notify_ready(&notify, "closed");
    assert_string_equal(hear(m), "");
    assert_string_equal(logged(m), "");
}

static void a_status_of_lines_is_one(void **state)
{
    struct manager *m = *state;
    static char status[4000];
    struct notify notify;
    notify_open(&notify, &m->log);
    notify_ready(&notify, "a\nWATCHDOG=trigger\n");
    assert_string_equal(hear(m), "READY=1\nSTATUS=a WATCHDOG=trigger ");
    memset(status, 'x', sizeof status - 1);
    notify_ready(&notify, status);
    assert_true(strncmp(hear(m), "READY=1\nSTATUS=xxx", 18) == 0);
    notify_close(&notify);
}

static void children_do_not_inherit_what_concerns_the_manager(void **state)
{
    struct manager *m = *state;
    struct notify notify;
    setenv("WATCHDOG_USEC", "1000", 1);
    setenv("WATCHDOG_PID", "1", 1);
    notify_open(&notify, &m->log);
    assert_null(getenv("NOTIFY_SOCKET"));
    assert_null(getenv("WATCHDOG_USEC"));
    assert_null(getenv("WATCHDOG_PID"));
    notify_close(&notify);
    notify_open(&notify, &m->log);
    assert_int_equal(notify.fd, -1);
    notify_ready(&notify, "to nobody");
    assert_string_equal(logged(m), "");
    notify_close(&notify);
}

/* What the environment says is looked at, and 0 is no watchdog. */
static uint64_t watchdog_for(struct manager *m, const char *us, const char *pid)
{
    struct notify notify;
    setenv("WATCHDOG_USEC", us, 1);
    if (pid)
        setenv("WATCHDOG_PID", pid, 1);
    notify_open(&notify, &m->log);
    uint64_t ns = notify.watchdog_ns;
    notify_close(&notify);
    return ns;
}

static void the_watchdog_of_another_process_and_what_is_no_time_are_none(void **state)
{
    struct manager *m = *state;
    char own[32];
    snprintf(own, sizeof own, "%d", (int)getpid());
    assert_int_equal(watchdog_for(m, "2000000", NULL), 2000 * MS);
    assert_int_equal(watchdog_for(m, "2000000", own), 2000 * MS);
    assert_int_equal(watchdog_for(m, "2000000", "1"), 0);
    assert_int_equal(watchdog_for(m, "2000000", ""), 0);
    assert_int_equal(watchdog_for(m, "", NULL), 0);
    assert_int_equal(watchdog_for(m, "0", NULL), 0);
    assert_int_equal(watchdog_for(m, "-1", NULL), 0);
    assert_int_equal(watchdog_for(m, "2s", NULL), 0);
    assert_int_equal(watchdog_for(m, "18446744073709551615", NULL), 0);
    assert_int_equal(watchdog_for(m, "99999999999999999999", NULL), 0);
}

static void the_loop_says_twice_in_that_time_that_it_turns(void **state)
{
    struct manager *m = *state;
    struct loop *loop;
    struct notify notify;
    setenv("WATCHDOG_USEC", "40000", 1);
    assert_int_equal(loop_new(LOOP_AUTO, &loop), 0);
    notify_open(&notify, &m->log);
    notify_watchdog(&notify, loop);
    assert_string_equal(hear(m), "WATCHDOG=1");
    assert_string_equal(hear(m), "");
    for (int i = 0; i < 3; i++) {
        assert_true(notify.beat.set);
        assert_true(notify.beat.due_ns <= loop_now_ns() + 20 * MS);
        while (loop_now_ns() < notify.beat.due_ns)
            assert_int_equal(loop_turn(loop, UINT64_MAX), 0);
        if (*hear(m) == 0) { /* that turn ended just before */
            assert_int_equal(loop_turn(loop, UINT64_MAX), 0);
            hear(m);
        }
        assert_string_equal(m->heard, "WATCHDOG=1");
    }
    notify_close(&notify);
    loop_free(loop);
}

static void without_a_watchdog_no_timer_is_set(void **state)
{
    struct manager *m = *state;
    struct loop *loop;
    struct notify notify;
    assert_int_equal(loop_new(LOOP_AUTO, &loop), 0);
    notify_open(&notify, &m->log);
    notify_watchdog(&notify, loop);
    assert_false(notify.beat.set);
    assert_string_equal(hear(m), "");
    notify_close(&notify);
    loop_free(loop);
}

static void names_that_cannot_be_are_a_warning(void **state)
{
    static const char *const names[] = {"relative", "@", "/", "", "/nowhere/notify", "vsock:2:1"};
    struct manager *m = *state;
    char name[200];
    for (size_t i = 0; i <= sizeof names / sizeof names[0]; i++) {
        struct notify notify;
        memset(name, 'x', sizeof name - 1);
        name[0] = '/';
        name[sizeof name - 1] = 0;
        if (i < sizeof names / sizeof names[0])
            strcpy(name, names[i]);
        assert_int_equal(ftruncate(m->log_fd, 0), 0);
        lseek(m->log_fd, 0, SEEK_SET);
        setenv("NOTIFY_SOCKET", name, 1);
        notify_open(&notify, &m->log);
        assert_int_equal(notify.fd, -1);
        assert_non_null(strstr(logged(m), "level=warn"));
        notify_ready(&notify, "to nobody");
        notify_close(&notify);
    }
}

static void a_manager_that_is_gone_is_said_and_survived(void **state)
{
    struct manager *m = *state;
    struct notify notify;
    notify_open(&notify, &m->log);
    close(m->fd);
    notify_ready(&notify, "serving");
    assert_non_null(strstr(logged(m), "the service manager does not listen"));
    notify_close(&notify);
    m->fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(messages_are_those_of_sd_notify),
        TEST(a_status_of_lines_is_one),
        TEST(children_do_not_inherit_what_concerns_the_manager),
        TEST(the_watchdog_of_another_process_and_what_is_no_time_are_none),
        TEST(the_loop_says_twice_in_that_time_that_it_turns),
        TEST(without_a_watchdog_no_timer_is_set),
        TEST(names_that_cannot_be_are_a_warning),
        TEST(a_manager_that_is_gone_is_said_and_survived),
    };
    return RUN_TESTS(tests);
}
