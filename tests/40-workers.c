/* SPDX-License-Identifier: MIT
 *
 * 40-workers.c - the numbers of live processes, read from /proc for real ones: they are those that
 * the processes know of themselves, and sums go on when one ends.
 */
#include "agent/workers/proc.h"
#include "support/staff.h"
#include "support/tap.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { STRANGER = 61003 };

static void test_numbers(void **state)
{
    (void)state;
    const struct child *child = staff_add("worker", 150);
    const struct process_row *row = staff_row(staff_scrape(), PROCESS_EACH, "worker");
    uint64_t cpu = staff_value(row, PROCESS_CPU), known = staff_cpu_ns(&child->usage);
    assert_in_range(cpu, known - 30000000, known + 30000000); /* in ticks of 10 ms, two of them */
    assert_int_equal(staff_value(row, PROCESS_RESIDENT),
                     staff_word(child->pid, "statm", 1) * (uint64_t)sysconf(_SC_PAGESIZE));
    assert_int_equal(staff_value(row, PROCESS_OPEN_FDS), child->fds);
    assert_int_equal(staff_value(row, PROCESS_MAX_FDS), child->files.rlim_cur);
    assert_int_equal(staff_value(row, PROCESS_THREADS), 1);
    assert_in_range(staff_value(row, PROCESS_VOLUNTARY), (uint64_t)child->usage.ru_nvcsw,
                    (uint64_t)child->usage.ru_nvcsw + 10);
    assert_in_range(staff_value(row, PROCESS_INVOLUNTARY), (uint64_t)child->usage.ru_nivcsw,
                    (uint64_t)child->usage.ru_nivcsw + 10);
    uint64_t age = (uint64_t)time(NULL) * 1000000000 - staff_value(row, PROCESS_START);
    assert_true((int64_t)age > -2000000000 && (int64_t)age < 60000000000);
    assert_int_equal(row->worker, 0);
}

/* Instead of libc's: as if we lost the CPU just before we read the second of two clocks. */
static bool late;

int clock_gettime(clockid_t clock, struct timespec *out)
{
    long rc = syscall(SYS_clock_gettime, clock, out);
    if (clock == CLOCK_BOOTTIME && late) {
        out->tv_sec++;
        late = false;
    }
    return (int)rc;
}

static void test_start_time(void **state)
{
    (void)state;
    staff_add("worker", 0);
    uint64_t start = staff_value(staff_row(staff_scrape(), PROCESS_EACH, NULL), PROCESS_START);
    for (int i = 0; i < 20; i++) {
        late = i % 2;
        assert_int_equal(staff_value(staff_row(staff_scrape(), PROCESS_EACH, NULL), PROCESS_START),
                         start);
        assert_false(late);
    }
    assert_int_equal(start % (UINT64_C(1000000000) / (uint64_t)sysconf(_SC_CLK_TCK)), 0);
}

static void check_sums(const struct processes *p)
{
    static const enum process_value sums[] = {PROCESS_CPU,       PROCESS_RESIDENT,
                                              PROCESS_OPEN_FDS,  PROCESS_THREADS,
                                              PROCESS_VOLUNTARY, PROCESS_INVOLUNTARY};
    for (size_t v = 0; v < sizeof sums / sizeof sums[0]; v++) {
        uint64_t all = 0;
        for (size_t r = 0; r < p->n[PROCESS_BY_ROLE]; r++) {
            const struct process_row *role = &p->rows[PROCESS_BY_ROLE][r];
            uint64_t sum = 0, n = 0;
            for (size_t i = 0; i < p->n[PROCESS_EACH]; i++)
                if (strcmp(p->rows[PROCESS_EACH][i].role, role->role) == 0) {
                    sum += staff_value(&p->rows[PROCESS_EACH][i], sums[v]);
                    n++;
                }
            assert_int_equal(staff_value(role, sums[v]), sum);
            assert_int_equal(staff_value(role, PROCESS_NUMBER), n);
            all += sum;
        }
        assert_int_equal(staff_value(staff_row(p, PROCESS_BY_APP, NULL), sums[v]), all);
    }
}

static void test_sums(void **state)
{
    (void)state;
    staff_add("master", 20);
    for (int i = 0; i < 5; i++)
        staff_add("worker", 20);
    const struct processes *shop = staff_scrape();
    assert_int_equal(shop->n[PROCESS_EACH], 6);
    assert_int_equal(shop->n[PROCESS_BY_ROLE], 2);
    check_sums(shop);
    check_sums(staff_scrape());
    const struct process_row *app = staff_row(shop, PROCESS_BY_APP, NULL);
    assert_int_equal(staff_value(app, PROCESS_NUMBER), 6);
    assert_true(staff_value(app, PROCESS_WORST_FD_RATIO) > 0);
    assert_false(process_row_has(app, PROCESS_START) || process_row_has(app, PROCESS_MAX_FDS));
}

static void test_ended(void **state)
{
    (void)state;
    struct child *first = staff_add("worker", 100);
    staff_add("master", 0);
    uint64_t before =
        staff_value(staff_row(staff_scrape(), PROCESS_BY_ROLE, "worker"), PROCESS_CPU);
    assert_true(before >= 90000000);
    staff_end(first);
    const struct processes *shop = staff_scrape();
    const struct process_row *worker = staff_row(shop, PROCESS_BY_ROLE, "worker");
    assert_null(staff_row(shop, PROCESS_EACH, "worker"));
    assert_int_equal(staff_value(worker, PROCESS_CPU), before);
    assert_int_equal(staff_value(worker, PROCESS_NUMBER), 0);
    assert_int_equal(staff_value(worker, PROCESS_RESIDENT), 0);
    assert_false(process_row_has(worker, PROCESS_WORST_FD_RATIO));
    staff_add("worker", 100);
    shop = staff_scrape();
    uint64_t second = staff_value(staff_row(shop, PROCESS_EACH, "worker"), PROCESS_CPU);
    assert_int_equal(staff_value(staff_row(shop, PROCESS_BY_ROLE, "worker"), PROCESS_CPU),
                     before + second);
}

static void test_older(void **state)
{
    (void)state;
    staff_add("worker", 100);
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL); /* two ticks older */
    staff_workers(&(struct workers_options){.kept = 1000});
    const struct processes *shop = staff_scrape();
    assert_true(staff_value(staff_row(shop, PROCESS_EACH, NULL), PROCESS_CPU) >= 90000000);
    assert_int_equal(staff_value(staff_row(shop, PROCESS_BY_ROLE, NULL), PROCESS_CPU), 0);
    /* What a machine's host takes from it may be counted as the second's. */
    uint64_t known = staff_cpu_ns(&staff_add("worker", 50)->usage);
    shop = staff_scrape();
    assert_in_range(staff_value(staff_row(shop, PROCESS_BY_ROLE, NULL), PROCESS_CPU),
                    known - 30000000, known + 30000000);
}

static void test_roles(void **state)
{
    char role[32];
    (void)state;
    for (int i = 0; i < WORKERS_ROLES_MAX + 3; i++) {
        snprintf(role, sizeof role, "role %d", i);
        staff_add(role, 0);
    }
    const struct processes *shop = staff_scrape();
    assert_int_equal(shop->n[PROCESS_EACH], WORKERS_ROLES_MAX + 3);
    assert_int_equal(shop->n[PROCESS_BY_ROLE], WORKERS_ROLES_MAX);
    assert_int_equal(staff_value(staff_row(shop, PROCESS_BY_ROLE, "role 14"), PROCESS_NUMBER), 1);
    assert_int_equal(staff_value(staff_row(shop, PROCESS_BY_ROLE, "(other)"), PROCESS_NUMBER), 4);
    assert_null(staff_row(shop, PROCESS_BY_ROLE, "role 15"));
}

static void test_other_role(void **state)
{
    char role[32] = "(other)";
    (void)state;
    for (int i = 0; i < WORKERS_ROLES_MAX + 3; i++) {
        staff_add(role, 0);
        snprintf(role, sizeof role, "role %d", i);
    }
    const struct processes *shop = staff_scrape();
    size_t n = 0;
    for (size_t i = 0; i < shop->n[PROCESS_BY_ROLE]; i++)
        n += strcmp(shop->rows[PROCESS_BY_ROLE][i].role, "(other)") == 0;
    assert_int_equal(n, 1);
    assert_int_equal(staff_value(staff_row(shop, PROCESS_BY_ROLE, "(other)"), PROCESS_NUMBER), 5);
}

static void test_descriptors(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++)
        staff_add("worker", 0);
    staff_look();
    uint64_t before = staff_own_fds();
    staff_read();
    assert_int_equal(staff_own_fds(), before + 4 * PROC_DESCRIPTORS);
    staff_end(&staff.children[1]);
    staff_scrape();
    assert_int_equal(staff_own_fds(), before + 3 * PROC_DESCRIPTORS);
    staff_workers(&(struct workers_options){.kept = 1});
    assert_int_equal(staff_scrape()->n[PROCESS_EACH], 3);
    assert_int_equal(staff_scrape()->n[PROCESS_EACH], 3);
    assert_int_equal(staff_own_fds(), before + PROC_DESCRIPTORS);
    staff_workers(&(struct workers_options){.detail = WORKERS_OFF});
    staff_look();
    assert_null(staff_read());
    assert_int_equal(staff_own_fds(), before);
}

static void test_detail(void **state)
{
    (void)state;
    staff_add("worker", 0);
    staff_workers(&(struct workers_options){.detail = WORKERS_SUMS});
    const struct processes *shop = staff_scrape();
    assert_int_equal(shop->n[PROCESS_EACH], 0);
    assert_int_equal(staff_value(staff_row(shop, PROCESS_BY_ROLE, "worker"), PROCESS_NUMBER), 1);
}

static void test_too_many(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++)
        staff_add("worker", 0);
    staff_workers(&(struct workers_options){.most = 4});
    assert_int_equal(staff_scrape()->n[PROCESS_EACH], 4);
    assert_int_equal(staff_hidden("shop", HIDDEN_TOO_MANY), 2);
    if (!staff_is_root())
        return;
    char path[64];
    snprintf(path, sizeof path, "%s/shop.v1.smx", staff.directory);
    assert_int_equal(chown(path, STRANGER, STRANGER), 0);
    assert_int_equal(chmod(staff.directory, 01777), 0);
    const struct processes *shop = staff_scrape(); /* another's */
    assert_int_equal(shop->n[PROCESS_EACH], 0);
    assert_int_equal(staff_hidden("shop", HIDDEN_TOO_MANY), 3);
    assert_int_equal(staff_hidden("shop", HIDDEN_OWNER), 3);
}

/* That is what a step is: the loop turns in between. */
static void test_steps(void **state)
{
    (void)state;
    unsigned steps = 0;
    for (int i = 0; i < STAFF_MAX; i++)
        staff_add("worker", 0);
    staff_look();
    while (workers_step(staff.workers))
        steps++;
    assert_in_range(steps, 1, STAFF_MAX);
    assert_int_equal(staff_read()->n[PROCESS_EACH], STAFF_MAX);
}

static void test_killed_meanwhile(void **state)
{
    (void)state;
    struct child *first = staff_add("worker", 0), *second = staff_add("worker", 0);
    staff_look();
    staff_end(first); /* never opened */
    assert_int_equal(staff_read()->n[PROCESS_EACH], 1);
    staff_look();
    staff_end(second); /* open */
    assert_int_equal(staff_read()->n[PROCESS_EACH], 0);
    for (unsigned reason = HIDDEN_NAMESPACE; reason < HIDDEN_COUNT; reason++)
        assert_int_equal(staff_hidden("shop", reason), 0);
}

static void test_listed(void **state)
{
    (void)state;
    int fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (int more = 0; more < 3; more++) {
        /* One is the listing's own. */
        assert_int_equal(proc_list_fds(fd), proc_count_fds(fd) + 1);
        assert_true(dup(0) >= 0);
    }
    close(fd);
    assert_true(proc_count_fds(fd) == UINT64_MAX && proc_list_fds(fd) == UINT64_MAX);
}

#define TEST(function, name)                                                                       \
    {                                                                                              \
        name, function, staff_setup, staff_teardown, NULL                                          \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_numbers, "a process's numbers are those that it knows of itself"),
        TEST(test_start_time, "a start time is the same in every scrape, in ticks"),
        TEST(test_sums, "sums by role and application are those of the processes"),
        TEST(test_ended, "what a process has used stays counted when it ends"),
        TEST(test_older, "of who is older than the agent sums count what it uses from now on"),
        TEST(test_roles, "past sixteen roles the rest is summed as (other)"),
        TEST(test_other_role, "a role that is named (other) is summed with the rest"),
        TEST(test_descriptors, "files are kept open for so many processes and closed with them"),
        TEST(test_detail, "only sums, where only these are wanted"),
        TEST(test_too_many, "past a number of processes no more are read, a stranger's sooner"),
        TEST(test_steps, "processes are read some at a time"),
        TEST(test_killed_meanwhile, "who ends while processes are read is gone, not hidden"),
        TEST(test_listed, "descriptors are listed where the kernel does not count them"),
    };
    return RUN_TESTS(tests);
}
