/* SPDX-License-Identifier: MIT
 *
 * 40-workers-probe.c - what the prober reads beside the agent: the numbers are the kernel's, nobody
 * waits for it, it ends with the agent, and it can do nothing else.
 */
#include "agent/workers/probing.h"
#include "support/process.h"
#include "support/staff.h"
#include "support/tap.h"
#include "support/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STRANGER = 61003 };

#define SHORT_NS UINT64_C(200000000)
#define LONG_NS  UINT64_C(3600000000000)

static struct loop *loop;

static int setup(void **state)
{
    assert_int_equal(loop_new(LOOP_AUTO, &loop), 0);
    return staff_setup(state);
}

static int teardown(void **state)
{
    int status, rc = staff_teardown(state);
    while (waitpid(-1, &status, 0) > 0) /* probers */
        continue;
    loop_free(loop);
    return rc;
}

static void start_probing(uint64_t interval_ns)
{
    staff_workers(&(struct workers_options){.probe = PROBE_MEMORY | PROBE_IO,
                                            .probe_interval_ns = interval_ns,
                                            .loop = loop,
                                            .kept = 100});
}

static uint64_t after_patience(void)
{
    return worker_now_ns() + PATIENCE_NS;
}

/* Until the prober has answered. Returns false when it does not. */
static bool turn(void)
{
    uint64_t end = after_patience();
    while (workers_probing(staff.workers) && worker_now_ns() < end)
        if (loop_turn(loop, 10000000) < 0)
            return false;
    return !workers_probing(staff.workers);
}

/* The number behind a key in a file of a process. */
static uint64_t number_of(pid_t pid, const char *file, const char *key)
{
    char path[64], text[8192];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    text[n < 0 ? 0 : n] = '\0';
    const char *at = strstr(text, key);
    return at ? strtoull(at + strlen(key), NULL, 10) : UINT64_MAX;
}

/* Our child of that name, or 0. */
static pid_t find_prober(void)
{
    char path[64], text[4096] = "", name[32];
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    (void)!read(fd, text, sizeof text - 1);
    close(fd);
    char *rest = text, *end;
    for (;;) {
        pid_t pid = (pid_t)strtol(rest, &end, 10);
        if (end == rest)
            return 0;
        rest = end;
        snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? 0 : read(fd, name, sizeof name - 1);
        close(fd);
        if (n > 0 && strncmp(name, "smx-prober", 10) == 0)
            return pid;
    }
}

static pid_t prober(void)
{
    uint64_t end = after_patience();
    pid_t pid;
    while ((pid = find_prober()) == 0 && worker_now_ns() < end)
        pause_ms(1);
    assert_true(pid > 0);
    return pid;
}

static int write_and_live(void *argument)
{
    char block[65536] = {1}, path[] = "/var/tmp/smx-test-XXXXXX";
    int fd = mkstemp(path);
    CHECK(fd >= 0 && unlink(path) == 0);
    for (int i = 0; i < 16; i++)
        CHECK(write(fd, block, sizeof block) == (ssize_t)sizeof block);
    CHECK(fsync(fd) == 0);
    close(fd);
    return staff_live(argument);
}

static struct child *add_writer(void)
{
    struct child *child = &staff.children[0];
    *child = (struct child){.role = "writer"};
    child->pid = worker_start(write_and_live, child);
    assert_true(worker_reach(&child->ready, 1));
    return child;
}

static void test_numbers(void **state)
{
    (void)state;
    uint64_t known = 0, told = 1, end = after_patience();
    start_probing(1);
    const struct child *child = add_writer();
    const struct process_row *row = staff_row(staff_scrape(), PROCESS_EACH, NULL);
    assert_false(process_row_has(row, PROCESS_PROPORTIONAL) || process_row_has(row, PROCESS_READ));
    /* A stranger may share pages with it for a moment. */
    for (; known != told && worker_now_ns() < end;) {
        start_probing(LONG_NS);
        staff_scrape();
        assert_true(turn());
        row = staff_row(staff_scrape(), PROCESS_EACH, NULL);
        assert_false(workers_probing(staff.workers)); /* not that soon */
        told = staff_value(row, PROCESS_PROPORTIONAL);
        known = number_of(child->pid, "smaps_rollup", "\nPss:") << 10;
    }
    assert_int_equal(told, known);
    uint64_t written = number_of(child->pid, "io", "\nwrite_bytes:");
    assert_true(written > 0);
    assert_int_equal(staff_value(row, PROCESS_WRITTEN), written);
    assert_int_equal(staff_value(row, PROCESS_READ), number_of(child->pid, "io", "\nread_bytes:"));
}

static void test_sums(void **state)
{
    (void)state;
    uint64_t memory = 0;
    enum { N = 20 };
    start_probing(LONG_NS);
    for (int i = 0; i < N; i++)
        staff_add("worker", 0);
    staff_scrape();
    assert_true(turn());
    const struct processes *shop = staff_scrape();
    for (size_t i = 0; i < N; i++)
        memory += staff_value(&shop->rows[PROCESS_EACH][i], PROCESS_PROPORTIONAL);
    assert_int_equal(staff_value(staff_row(shop, PROCESS_BY_ROLE, NULL), PROCESS_PROPORTIONAL),
                     memory);
    /* Of one that was not asked about yet there is no sum. */
    staff_add("worker", 0);
    shop = staff_scrape();
    assert_false(process_row_has(staff_row(shop, PROCESS_BY_ROLE, NULL), PROCESS_PROPORTIONAL));
    assert_int_equal(staff_hidden("shop", HIDDEN_MEMORY), 0);
}

static bool is_told(void)
{
    const struct processes *shop = staff_scrape();
    return process_row_has(&shop->rows[PROCESS_EACH][0], PROCESS_PROPORTIONAL);
}

/* Until it is told: where the machine is busy, an answer may be old before we have it. */
static bool comes_to_be_told(void)
{
    uint64_t end = after_patience();
    bool told = is_told();
    while (!told && worker_now_ns() < end)
        told = turn() && is_told();
    return told;
}

/* Stuck in the kernel, or stopped: nobody waits for it, and what is old is told no more. */
static void test_stuck(void **state)
{
    (void)state;
    uint64_t end = after_patience();
    start_probing(SHORT_NS);
    staff_add("worker", 0);
    staff_scrape();
    assert_true(turn());
    assert_true(comes_to_be_told());
    pid_t pid = prober();
    kill(pid, SIGSTOP);
    while (is_told() && worker_now_ns() < end)
        pause_ms(10);
    assert_false(is_told());
    assert_true(workers_probing(staff.workers));
    kill(pid, SIGCONT);
    assert_true(turn());
    assert_true(comes_to_be_told());
}

static void test_killed(void **state)
{
    int status;
    (void)state;
    start_probing(1);
    staff_add("worker", 0);
    pid_t pid = prober();
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    staff_scrape();
    assert_true(turn());
    assert_false(is_told());
    assert_false(workers_probing(staff.workers));
}

static void test_ends(void **state)
{
    int status;
    (void)state;
    start_probing(1);
    pid_t pid = prober();
    kill(pid, SIGTERM); /* which the agent gets, too */
    kill(pid, SIGINT);
    staff_workers(&(struct workers_options){.detail = WORKERS_SUMS});
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    start_probing(1);
    staff_workers(
        &(struct workers_options){.detail = WORKERS_OFF, .probe = PROBE_IO, .loop = loop});
    while (waitpid(-1, &status, 0) > 0)
        continue;
    assert_int_equal(errno, ECHILD);
}

static uint64_t status_of(pid_t pid, const char *key, int base)
{
    char path[64], text[8192];
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    assert_true(n > 0);
    text[n] = '\0';
    const char *at = strstr(text, key);
    assert_non_null(at);
    return strtoull(at + strlen(key), NULL, base);
}

static void test_sandbox(void **state)
{
    char path[64];
    struct stat st;
    (void)state;
    staff_add("worker", 0);
    start_probing(1);
    staff_scrape();
    assert_true(turn()); /* it has entered it */
    pid_t pid = prober();
    assert_int_equal(status_of(pid, "\nNoNewPrivs:", 10), 1);
    assert_int_equal(status_of(pid, "\nSeccomp:", 10), 2);
    assert_int_equal(status_of(pid, "\nCapEff:", 16) & ~UINT64_C(0x80004), 0);
    assert_int_equal(status_of(pid, "\nCapBnd:", 16) & ~(geteuid() ? UINT64_MAX : 0), 0);
    for (int fd = 3; fd < 64; fd++) { /* its socket alone is left */
        snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, fd);
        assert_int_equal(lstat(path, &st) == 0, fd == 3);
    }
}

/* Who is asked about must be who he was. */
static void test_mistaken(void **state)
{
    (void)state;
    int socket, n = -EAGAIN;
    const pid_t pid = staff_add("worker", 0)->pid;
    const uint64_t start = staff_word(pid, "stat", 21), end = after_patience();
    const struct probe_process right = {.pid = pid, .owner = geteuid(), .start_ticks = start};
    struct probe_process list[PROBE_BATCH] = {right, right, right, right};
    list[0].start_ticks++;
    list[1].owner++;
    list[2].pid = 4999999;
    assert_int_equal(probe_start(PROBE_MEMORY, &socket), 0);
    assert_int_equal(probe_ask(socket, list, 4), 0);
    while (n == -EAGAIN && worker_now_ns() < end)
        n = probe_answer(socket, list);
    close(socket);
    assert_int_equal(n, 1);
    assert_true(list[0].proportional_bytes < UINT64_MAX);
    assert_true(list[0].read_bytes == UINT64_MAX); /* not asked */
}

/* What may be seen of another user's process without privileges. */
static int look_as_a_stranger(void *argument)
{
    char path[64];
    (void)argument;
    snprintf(path, sizeof path, "%s/shop.v1.smx", staff.directory);
    CHECK(chmod(staff.directory, 01777) == 0 && chmod(path, 0644) == 0);
    CHECK(setgid(STRANGER) == 0 && setuid(STRANGER) == 0);
    start_probing(1);
    for (int i = 0; i < 2; i++) {
        staff_look();
        const struct processes *shop = staff_read();
        CHECK(shop && shop->n[PROCESS_EACH] == 1 && turn());
        CHECK(process_row_has(shop->rows[PROCESS_EACH], PROCESS_CPU));
        CHECK(!process_row_has(shop->rows[PROCESS_EACH], PROCESS_PROPORTIONAL));
        CHECK(!process_row_has(shop->rows[PROCESS_EACH], PROCESS_READ));
    }
    CHECK(staff_hidden("shop", HIDDEN_MEMORY) == 1 && staff_hidden("shop", HIDDEN_IO) == 1);
    CHECK(staff_hidden("shop", HIDDEN_PROC) == 0);
    workers_free(staff.workers);
    return 0;
}

static void test_stranger(void **state)
{
    (void)state;
    if (!staff_is_root())
        return;
    staff_add("worker", 0);
    assert_int_equal(worker_run(look_as_a_stranger, NULL), 0);
}

#define TEST(function, name)                                                                       \
    {                                                                                              \
        name, function, setup, teardown, NULL                                                      \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_numbers, "the prober's numbers are the kernel's, and asked for no more often"),
        TEST(test_sums, "there are sums of them where all are told"),
        TEST(test_stuck, "nobody waits for a prober, and what is old is told no more"),
        TEST(test_killed, "without the prober the rest is told"),
        TEST(test_ends, "the prober ends with the agent, and not by its signals"),
        TEST(test_sandbox, "the prober has given up what it does not need"),
        TEST(test_mistaken, "a process that is not who was asked about is not looked at"),
        TEST(test_stranger, "of another user's process memory and bytes are hidden"),
    };
    return RUN_TESTS(tests);
}
