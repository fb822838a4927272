/* SPDX-License-Identifier: MIT
 *
 * 40-workers-hidden.c - which processes are not shown: no segment makes the agent read one that
 * does not hold its locks, a pid that comes again is nobody's, and what /proc hides is counted.
 */
#include "support/segwriter.h"
#include "support/staff.h"
#include "support/tap.h"
#include "support/worker.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { STRANGER = 61003 };

/* Segments that lie. */

struct liar {
    struct segwriter *writer;
    char path[SEGWRITER_PATH_SIZE];
    uint32_t *ready;
    int how; /* F_SETLK or F_OFD_SETLK */
    unsigned n_slots;
    uid_t uid; /* that it becomes */
    unsigned burn_ms;
    pid_t pid;
};

static int hold(void *argument)
{
    const struct liar *liar = argument;
    struct flock lock = {.l_type = F_WRLCK,
                         .l_whence = SEEK_SET,
                         .l_start = SEGWRITER_LOCK_AT,
                         .l_len = liar->n_slots};
    int fd = open(liar->path, O_RDWR | O_CLOEXEC);
    CHECK(fd >= 0 && fcntl(fd, liar->how, &lock) == 0);
    CHECK(liar->uid == 0 || (setgid(liar->uid) == 0 && setuid(liar->uid) == 0));
    staff_burn(liar->burn_ms);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* which a change of the user has cleared */
    worker_arrive(liar->ready);
    for (;;)
        pause();
}

static void start_liar(struct liar *liar)
{
    liar->writer = segwriter_new(&(struct segwriter_options){.app = "liar", .slots = 8});
    assert_int_equal(segwriter_save(liar->writer, staff.directory, liar->path), 0);
    liar->ready = &staff.children[0].ready;
    *liar->ready = 0;
    liar->pid = worker_start(hold, liar);
    assert_true(worker_reach(liar->ready, 1));
    staff_rest(liar->pid);
}

static void tell_lie(const struct liar *liar, unsigned slot, const struct segwriter_process *lie)
{
    struct segwriter_process process = *lie;
    process.phase = SEGWRITER_LIVE;
    process.role = "liar";
    segwriter_process(liar->writer, slot, &process);
    assert_int_equal(segwriter_rewrite(liar->writer, liar->path), 0);
}

static void end_liar(struct liar *liar)
{
    kill(liar->pid, SIGKILL);
    worker_wait(liar->pid);
    segwriter_free(liar->writer);
}

static uint64_t own_namespace(void)
{
    struct stat st;
    assert_int_equal(stat("/proc/self/ns/pid", &st), 0);
    return st.st_ino;
}

/* A lock that belongs to no process backs nobody's pid; nor does that of another process. */
static void test_named_pids(void **state)
{
    (void)state;
    struct liar liar = {.how = F_OFD_SETLK, .n_slots = 4};
    start_liar(&liar);
    const pid_t named[] = {1, getpid(), getppid(), 4000000};
    for (unsigned i = 0; i < 4; i++)
        tell_lie(&liar, i,
                 &(struct segwriter_process){.pid = (uint32_t)named[i], .pid_ns = own_namespace()});
    assert_int_equal(staff_scrape()->n[PROCESS_EACH], 0);
    assert_int_equal(smx_reader_info(segments_list(staff.segments, &(size_t){0})[0].reader)->n_live,
                     4);
    assert_int_equal(staff_hidden("liar", HIDDEN_NAMESPACE), 4);
    end_liar(&liar);
}

static void test_held_by_another(void **state)
{
    (void)state;
    struct liar liar = {.how = F_SETLK, .n_slots = 8};
    start_liar(&liar);
    for (unsigned i = 0; i < 8; i++)
        tell_lie(&liar, i, &(struct segwriter_process){.pid = 1, .pid_ns = i});
    const struct processes *p = staff_scrape();
    const struct process_row *row = staff_row(p, PROCESS_EACH, NULL); /* the holder, once */
    assert_int_equal(staff_value(row, PROCESS_RESIDENT),
                     staff_word(liar.pid, "statm", 1) * (uint64_t)sysconf(_SC_PAGESIZE));
    assert_int_equal(staff_hidden("liar", HIDDEN_DUPLICATE), 7);
    end_liar(&liar);
}

/* Nor does it take the places of others. */
static void test_hoarder(void **state)
{
    (void)state;
    struct liar liar = {.how = F_SETLK, .n_slots = 8};
    start_liar(&liar);
    for (unsigned i = 0; i < 8; i++)
        tell_lie(&liar, i, &(struct segwriter_process){.pid = 1, .pid_ns = i});
    for (int i = 0; i < 3; i++)
        staff_add("worker", 0);
    staff_workers(&(struct workers_options){.most = 4});
    staff_look();
    while (workers_step(staff.workers))
        continue;
    assert_int_equal(staff_hidden("liar", HIDDEN_DUPLICATE), 7);
    assert_int_equal(staff_hidden("liar", HIDDEN_NOTHING), 1);
    assert_int_equal(staff_hidden("shop", HIDDEN_NOTHING), 3);
    end_liar(&liar);
}

static void test_wrong_start(void **state)
{
    (void)state;
    struct liar liar = {.how = F_SETLK, .n_slots = 1};
    start_liar(&liar);
    struct segwriter_process process = {
        .pid = (uint32_t)liar.pid, .pid_ns = own_namespace(), .start = 1};
    tell_lie(&liar, 0, &process);
    assert_int_equal(staff_scrape()->n[PROCESS_EACH], 0);
    assert_int_equal(staff_hidden("liar", HIDDEN_START), 1);
    process.start = staff_word(liar.pid, "stat", 21);
    tell_lie(&liar, 0, &process);
    assert_int_equal(staff_scrape()->n[PROCESS_EACH], 1);
    assert_int_equal(staff_hidden("liar", HIDDEN_START), 0);
    end_liar(&liar);
}

/* Who got another's process to hold his lock. Of root's segments everybody is shown: servers give
 * up root. */
static void test_other_owner(void **state)
{
    (void)state;
    if (!staff_is_root())
        return;
    struct liar liar = {.how = F_SETLK, .n_slots = 1, .uid = STRANGER};
    start_liar(&liar);
    tell_lie(&liar, 0, &(struct segwriter_process){.pid = (uint32_t)liar.pid});
    assert_int_equal(staff_scrape()->n[PROCESS_EACH], 1);
    assert_int_equal(chown(liar.path, STRANGER + 1, STRANGER), 0);
    assert_int_equal(chmod(staff.directory, 01777), 0);
    staff_workers(&(struct workers_options){.kept = 1000});
    assert_int_equal(staff_scrape()->n[PROCESS_EACH], 0);
    assert_int_equal(staff_hidden("liar", HIDDEN_OWNER), 1);
    assert_int_equal(chown(liar.path, STRANGER, STRANGER), 0);
    assert_int_equal(staff_scrape()->n[PROCESS_EACH], 1);
    end_liar(&liar);
}

/* Namespaces. */

static int in_namespaces(int (*body)(void *argument))
{
    CHECK(unshare(CLONE_NEWPID | CLONE_NEWNS) == 0);
    CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    return worker_run(body, NULL);
}

enum { AGAIN = 300 };

static int make_it_next(pid_t pid)
{
    char text[16];
    int length = snprintf(text, sizeof text, "%d", (int)pid - 1);
    int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
    CHECK(fd >= 0 && write(fd, text, (size_t)length) == length);
    close(fd);
    return 0;
}

static int stay(void *argument)
{
    worker_arrive(argument);
    while (pause() < 0)
        continue;
    return 1;
}

/* A bystander gets the pid of a worker that ended between the look and the reading. kept: the
 * worker's files were open before that. */
static int reuse(bool kept)
{
    struct child *worker = &staff.children[0];
    uint32_t *ready = &staff.children[1].ready;
    CHECK(make_it_next(AGAIN) == 0);
    *worker = (struct child){.role = "worker"};
    worker->pid = worker_start(staff_live, worker);
    CHECK(worker->pid == AGAIN && worker_reach(&worker->ready, 1));
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL); /* another tick */
    staff_look();
    if (kept) {
        CHECK(staff_read()->n[PROCESS_EACH] == 1);
        staff_look();
    }
    kill(AGAIN, SIGKILL);
    CHECK(worker_wait(AGAIN) == -SIGKILL && make_it_next(AGAIN) == 0);
    *ready = 0;
    pid_t bystander = worker_start(stay, ready);
    CHECK(bystander == AGAIN && worker_reach(ready, 1));
    CHECK(staff_read()->n[PROCESS_EACH] == 0);
    staff_look();
    CHECK(staff_read()->n[PROCESS_EACH] == 0);
    kill(bystander, SIGKILL);
    worker->pid = 0;
    return worker_wait(bystander) == -SIGKILL ? 0 : 1;
}

static int reuse_in_a_namespace(void *argument)
{
    (void)argument;
    CHECK(mount("proc", "/proc", "proc", 0, NULL) == 0);
    return reuse(false) || reuse(true);
}

static int run_reuse(void *argument)
{
    (void)argument;
    return in_namespaces(reuse_in_a_namespace);
}

static void test_reuse(void **state)
{
    (void)state;
    if (staff_is_root())
        assert_int_equal(worker_run(run_reuse, NULL), 0);
}

/* A slot need not tell when its process began: then a successor of the same pid in the same slot
 * shows by that of the process alone. What it has used counts from 0. */
static int succeed_unseen(void *argument)
{
    struct liar liar = {.how = F_SETLK, .n_slots = 1, .burn_ms = 200};
    (void)argument;
    CHECK(mount("proc", "/proc", "proc", 0, NULL) == 0 && make_it_next(AGAIN) == 0);
    start_liar(&liar);
    CHECK(liar.pid == AGAIN);
    tell_lie(&liar, 0, &(struct segwriter_process){.pid = AGAIN, .pid_ns = 1});
    staff_look();
    uint64_t before = staff_read()->rows[PROCESS_BY_APP]->values[PROCESS_CPU];
    kill(AGAIN, SIGKILL);
    CHECK(worker_wait(AGAIN) == -SIGKILL && make_it_next(AGAIN) == 0);
    liar.burn_ms = 60;
    *liar.ready = 0;
    liar.pid = worker_start(hold, &liar);
    CHECK(liar.pid == AGAIN && worker_reach(liar.ready, 1));
    staff_look();
    staff_read(); /* finds that who was there has ended */
    staff_look();
    uint64_t after = staff_read()->rows[PROCESS_BY_APP]->values[PROCESS_CPU];
    CHECK(before >= 200000000 && after >= before + 60000000);
    end_liar(&liar);
    return 0;
}

static int run_succession(void *argument)
{
    (void)argument;
    return in_namespaces(succeed_unseen);
}

static void test_succession(void **state)
{
    (void)state;
    if (staff_is_root())
        assert_int_equal(worker_run(run_succession, NULL), 0);
}

/* In a PID namespace with the /proc of another: its numbers would be other processes'. */
static int look_at_foreign_proc(void *argument)
{
    struct child *worker = &staff.children[0];
    (void)argument;
    *worker = (struct child){.role = "worker"};
    worker->pid = worker_start(staff_live, worker);
    CHECK(worker_reach(&worker->ready, 1));
    for (int i = 0; i < 2; i++) {
        staff_look();
        CHECK(staff_read()->n[PROCESS_EACH] == 0);
    }
    CHECK(staff_hidden("shop", HIDDEN_PROC) == 1);
    kill(worker->pid, SIGKILL);
    worker_wait(worker->pid);
    worker->pid = 0;
    return 0;
}

static int run_foreign_proc(void *argument)
{
    (void)argument;
    return in_namespaces(look_at_foreign_proc);
}

static void test_foreign_proc(void **state)
{
    (void)state;
    if (staff_is_root())
        assert_int_equal(worker_run(run_foreign_proc, NULL), 0);
}

/* Mounted with hidepid, for who is not root. */
static int look_past_hidepid(void *argument)
{
    struct child *worker = &staff.children[0];
    (void)argument;
    CHECK(mount("proc", "/proc", "proc", 0, "hidepid=2") == 0);
    *worker = (struct child){.role = "worker"};
    worker->pid = worker_start(staff_live, worker);
    CHECK(worker_reach(&worker->ready, 1));
    worker->pid = 0; /* it ends with the namespace */
    char path[64];
    snprintf(path, sizeof path, "%s/shop.v1.smx", staff.directory);
    CHECK(chmod(staff.directory, 01777) == 0 && chmod(path, 0644) == 0);
    CHECK(setgid(STRANGER) == 0 && setuid(STRANGER) == 0);
    staff_look();
    CHECK(staff_read()->n[PROCESS_EACH] == 0); /* it may just have ended */
    staff_look();
    CHECK(staff_read()->n[PROCESS_EACH] == 0);
    CHECK(staff_hidden("shop", HIDDEN_PROC) == 1);
    return 0;
}

static int run_hidepid(void *argument)
{
    (void)argument;
    return in_namespaces(look_past_hidepid);
}

static void test_hidepid(void **state)
{
    (void)state;
    if (staff_is_root())
        assert_int_equal(worker_run(run_hidepid, NULL), 0);
}

#define TEST(function, name)                                                                       \
    {                                                                                              \
        name, function, staff_setup, staff_teardown, NULL                                          \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_named_pids, "a slot cannot name a process that does not hold its lock"),
        TEST(test_held_by_another, "who holds the locks of many slots is one process"),
        TEST(test_hoarder, "nor does it take other processes' places"),
        TEST(test_wrong_start, "a process that began at another time is not the slot's"),
        TEST(test_other_owner, "a process of another user than the segment's is hidden"),
        TEST(test_reuse, "who gets the pid of one that ended is not taken for it"),
        TEST(test_succession, "who has the pid and the slot of one that ended counts from 0"),
        TEST(test_foreign_proc, "the /proc of another PID namespace is not read"),
        TEST(test_hidepid, "whom /proc does not show is hidden"),
    };
    return RUN_TESTS(tests);
}
