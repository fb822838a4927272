/* SPDX-License-Identifier: MIT
 *
 * 30-clone.c - children in which no fork handler runs: of a raw clone(2) or clone3(2), of _Fork(),
 * of vfork(). They learn who they are from the page that the kernel has wiped, at their first gauge
 * write; also if threads and a signal handler come to it together.
 */
#include "support/cells.h"
#include "support/process.h"
#include "support/scratch.h"
#include "support/tap.h"
#include "support/worker.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

enum { ROUNDS = 200, WRITERS = 2, ADDS = 200 };

static char directory[SCRATCH_SIZE];
static smx_segment *segment; /* slot 0 is the test's */
static smx_gauge gauge;
static smx_counter counter;

static uint64_t *dropped; /* gauge writes that came while another was at the claim */

static long raw_clone(void)
{
    return syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
}

static long raw_clone3(void)
{
    struct clone_args args = {.exit_signal = SIGCHLD};
    return syscall(SYS_clone3, &args, sizeof args);
}

static long fork_without_handlers(void)
{
    return _Fork();
}

static long (*const ways[])(void) = {raw_clone, raw_clone3, fork_without_handlers};
enum { WAYS = sizeof ways / sizeof *ways };

/* Run a body in such a child. Gives its exit status; ENOSYS, of an old kernel, counts as run. */
static int run(long (*way)(void), int (*body)(void))
{
    fflush(NULL);
    long pid = way();
    if (pid == 0)
        syscall(SYS_exit_group, body());
    return pid > 0 ? worker_wait((pid_t)pid) : 1;
}

static int claim_and_add(void)
{
    CHECK(smx_worker(segment) == -1);
    CHECK(smx_gauge_value(gauge) == 0);
    smx_counter_inc(counter);
    CHECK(smx_worker(segment) == -1);
    smx_gauge_inc(gauge);
    CHECK(smx_worker(segment) == 1);
    CHECK(smx_gauge_value(gauge) == 1);
    CHECK(cells_gauge_sum(segment, gauge) == 1001);
    CHECK(cells_live(segment) == 2);
    return 0;
}

static void a_child_without_fork_handlers_claims_at_its_first_gauge_write(void **state)
{
    (void)state;
    smx_gauge_set(gauge, 1000);
    uint64_t before = smx_counter_value(counter);
    for (size_t i = 0; i < WAYS; i++)
        assert_int_equal(run(ways[i], claim_and_add), 0);
    assert_int_equal(smx_gauge_value(gauge), 1000);
    assert_int_equal(cells_gauge_sum(segment, gauge), 1000);
    assert_int_equal(smx_counter_value(counter), before + WAYS);
    smx_gauge_set(gauge, 0);
}

/* What the threads and the handler of one child share. */
static uint32_t at_start;
static uint64_t handled;

static void add_in_handler(int signo)
{
    (void)signo;
    smx_gauge_inc(gauge);
    __atomic_fetch_add(&handled, 1, __ATOMIC_RELAXED);
}

static void set_of_alarm(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGALRM);
}

static void *add_in_thread(void *argument)
{
    sigset_t alarm_only;
    set_of_alarm(&alarm_only);
    (void)pthread_sigmask(SIG_UNBLOCK, &alarm_only, NULL);
    worker_arrive(&at_start);
    (void)worker_reach(&at_start, WRITERS);
    for (int i = 0; i < ADDS; i++)
        smx_gauge_inc(gauge);
    return argument;
}

static int claim_together(void)
{
    struct sigaction action = {.sa_handler = add_in_handler, .sa_flags = SA_RESTART};
    struct itimerval timer = {{0, 20}, {0, 20}};
    uint64_t lost = cells_lost(segment, SMX_LOST_GAUGE);
    pthread_t thread[WRITERS];
    sigset_t alarm_only;
    CHECK(smx_worker(segment) == -1);
    /* The handler runs in the threads, or else it would claim before they are there. */
    set_of_alarm(&alarm_only);
    CHECK(pthread_sigmask(SIG_BLOCK, &alarm_only, NULL) == 0);
    CHECK(sigaction(SIGALRM, &action, NULL) == 0 && setitimer(ITIMER_REAL, &timer, NULL) == 0);
    for (int i = 0; i < WRITERS; i++)
        CHECK(pthread_create(&thread[i], NULL, add_in_thread, NULL) == 0);
    for (int i = 0; i < WRITERS; i++)
        pthread_join(thread[i], NULL);
    CHECK(setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 0}}, NULL) == 0);
    CHECK(signal(SIGALRM, SIG_IGN) != SIG_ERR);
    lost = cells_lost(segment, SMX_LOST_GAUGE) - lost;
    *dropped += lost;
    CHECK((uint64_t)smx_gauge_value(gauge) + lost == WRITERS * ADDS + handled);
    CHECK(smx_worker(segment) == 1);
    CHECK(cells_live(segment) == 2);
    return 0;
}

/* Whoever comes while another is at the claim drops its write, and that is counted: so writes and
 * losses together are exact, and no second slot is claimed. */
static void threads_and_a_handler_that_claim_together_have_one_slot(void **state)
{
    (void)state;
    size_t rounds = scaled(ROUNDS);
    size_t failed = 0;
    for (size_t i = 0; i < rounds; i++)
        failed += run(fork_without_handlers, claim_together) != 0;
    print_message("# %zu claims, %llu writes dropped meanwhile\n", rounds,
                  (unsigned long long)*dropped);
    assert_int_equal(failed, 0);
    assert_int_equal(cells_lost(segment, SMX_LOST_SLOTS), 0);
    assert_int_equal(cells_live(segment), 1);
}

/* A claim is at its open(2), which is not let through: so a handler runs in the midst of it, and
 * waits there for a thread. */
static uint32_t inside;

static void fail_the_open(ucontext_t *context)
{
#if defined(__x86_64__)
    context->uc_mcontext.gregs[REG_RAX] = -ENOENT;
#elif defined(__aarch64__)
    context->uc_mcontext.regs[0] = (uint64_t)-ENOENT;
#endif
}

static void add_within_the_claim(int signo, siginfo_t *info, void *context)
{
    (void)signo;
    (void)info;
    smx_gauge_inc(gauge);
    worker_arrive(&inside);
    (void)worker_reach(&inside, 2);
    fail_the_open(context);
}

static void *add_beside_the_claim(void *argument)
{
    (void)worker_reach(&inside, 1);
    smx_gauge_inc(gauge);
    worker_arrive(&inside);
    return argument;
}

static int trap_open(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof filter[0], .filter = filter};
    struct sigaction action = {.sa_sigaction = add_within_the_claim, .sa_flags = SA_SIGINFO};
    CHECK(sigaction(SIGSYS, &action, NULL) == 0);
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
    return 0;
}

static int claim_while_others_write(void)
{
    pthread_t thread;
    uint64_t lost = cells_lost(segment, SMX_LOST_GAUGE);
    CHECK(pthread_create(&thread, NULL, add_beside_the_claim, NULL) == 0);
    CHECK(trap_open() == 0); /* for this thread alone */
    smx_gauge_inc(gauge);
    pthread_join(thread, NULL);
    CHECK(inside == 2);
    CHECK(smx_worker(segment) == 1);
    CHECK(cells_live(segment) == 2);
    CHECK(smx_gauge_value(gauge) == 1);
    CHECK(cells_lost(segment, SMX_LOST_GAUGE) == lost + 2);
    return 0;
}

static void writes_in_the_midst_of_a_claim_are_dropped_and_counted(void **state)
{
    (void)state;
    assert_int_equal(run(fork_without_handlers, claim_while_others_write), 0);
}

static int see_one_live_process(void *argument)
{
    (void)argument;
    smx_close(segment); /* not to be counted itself */
    CHECK(cells_live(segment) == 1);
    CHECK(cells_gauge_sum(segment, gauge) == 5);
    return 0;
}

static void vfork_and_exec_leave_the_parent_its_slot(void **state)
{
    (void)state;
    smx_gauge_set(gauge, 5);
    for (int i = 0; i < 20; i++) {
        pid_t pid = vfork();
        if (pid == 0) {
            execl("/bin/true", "true", (char *)NULL);
            _exit(1);
        }
        assert_int_equal(worker_wait(pid), 0);
    }
    assert_int_equal(smx_worker(segment), 0);
    assert_int_equal(worker_run(see_one_live_process, NULL), 0);
    assert_int_equal(cells_lost(segment, SMX_LOST_SLOTS), 0);
}

int main(void)
{
    struct smx_options options = {.app = "clone", .slots = 4, .rows = 2, .directory = directory};
    dropped = worker_shared(sizeof *dropped);
    if (!dropped || scratch_make(directory) != 0 || smx_open(&options, &segment, NULL) != 0)
        return 1;
    gauge = smx_gauge_new(segment, &(struct smx_metric){.name = "g"}, NULL);
    counter = smx_counter_new(segment, &(struct smx_metric){.name = "c_total"}, NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_without_fork_handlers_claims_at_its_first_gauge_write),
        cmocka_unit_test(threads_and_a_handler_that_claim_together_have_one_slot),
        cmocka_unit_test(writes_in_the_midst_of_a_claim_are_dropped_and_counted),
        cmocka_unit_test(vfork_and_exec_leave_the_parent_its_slot),
    };
    int status = RUN_TESTS(tests);
    scratch_remove(directory);
    return status;
}
