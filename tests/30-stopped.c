/* SPDX-License-Identifier: MIT
 *
 * 30-stopped.c - a process that is stopped (SIGSTOP) lives, and blocks nobody: not in its work, not
 * in the midst of a claim, before or behind its lock, and not in the midst of smx_open(), where
 * others give up after their second. It is stopped at the record lock that a test names, by ptrace;
 * and so are those that contend for a slot in the orders that tests/models/slot.pml has found.
 */
#include "support/cells.h"
#include "support/scratch.h"
#include "support/tap.h"
#include "support/worker.h"
#include "libshm/segment/slot.h"

#include <smx/reader.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[SCRATCH_SIZE];

static struct {
    uint32_t arrived;
    uint32_t go;
} * shared;

static int open_app(const char *app, smx_segment **segment)
{
    struct smx_options options = {.app = app, .directory = directory, .slots = 8, .rows = 2};
    return smx_open(&options, segment, NULL);
}

static smx_gauge gauge_of(smx_segment *segment)
{
    return smx_gauge_new(segment, &(struct smx_metric){.name = "g"}, NULL);
}

/* As another program sees it. */
static int count_live(const char *path)
{
    smx_reader *reader;
    if (smx_reader_open(path, &reader, NULL) != 0 || smx_reader_update(reader, NULL) != 0)
        return -1;
    int live = (int)smx_reader_info(reader)->n_live;
    smx_reader_close(reader);
    return live;
}

/* Whether a tracee, at the entry of a system call, is about to ask for this byte by this command of
 * fcntl(2): F_SETLK, to write-lock it; F_OFD_GETLK, who has. */
static bool is_asking(pid_t pid, const struct __ptrace_syscall_info *call, uint64_t command,
                      int64_t byte)
{
    struct flock lock;
    struct iovec here = {&lock, sizeof lock};
    struct iovec there = {(void *)(uintptr_t)call->entry.args[2], sizeof lock};
    return call->entry.nr == SYS_fcntl && call->entry.args[1] == command &&
           process_vm_readv(pid, &here, 1, &there, 1, 0) == (ssize_t)sizeof lock &&
           lock.l_type != F_UNLCK && lock.l_start == byte;
}

/* From one end of a system call to the next. */
static bool go_on(pid_t pid)
{
    int status;
    return ptrace(PTRACE_SYSCALL, pid, NULL, NULL) == 0 && waitpid(pid, &status, 0) == pid &&
           WIFSTOPPED(status);
}

/* Have a child that has stopped itself go on until it is about to ask for a byte, or has. */
static int stop_at(pid_t pid, uint64_t command, int64_t byte, bool behind)
{
    int status;
    struct __ptrace_syscall_info call;
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
    CHECK(ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL) == 0);
    do {
        CHECK(go_on(pid));
        CHECK(ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof call, &call) > 0);
    } while (call.op != PTRACE_SYSCALL_INFO_ENTRY || !is_asking(pid, &call, command, byte));
    if (behind)
        CHECK(go_on(pid));
    return 0;
}

static int stop_at_lock(pid_t pid, int64_t byte, bool behind)
{
    return stop_at(pid, F_SETLK, byte, behind);
}

/* Let it run to its end, which tells what number it had. */
static int number_of(pid_t pid)
{
    return ptrace(PTRACE_DETACH, pid, NULL, NULL) == 0 ? worker_wait(pid) : -1;
}

static smx_segment *segment; /* of the workers below; each opens one of its own */

static int work_for_ever(void *argument)
{
    smx_gauge_set(gauge_of(segment), 7);
    worker_arrive(argument);
    for (;;)
        smx_gauge_value(gauge_of(segment));
    return 0;
}

static int add_two(void *argument)
{
    smx_gauge_set(gauge_of(segment), 2);
    CHECK(cells_gauge_sum(segment, gauge_of(segment)) == 9);
    (void)argument;
    return 0;
}

static int stop_a_worker(void *argument)
{
    int status;
    CHECK(open_app(argument, &segment) == 0);
    pid_t pid = worker_start(work_for_ever, &shared->arrived);
    CHECK(worker_reach(&shared->arrived, 1));
    CHECK(kill(pid, SIGSTOP) == 0);
    CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
    for (int i = 0; i < 20; i++)
        CHECK(worker_run(add_two, NULL) == 0);
    CHECK(count_live(smx_path(segment)) == 2);
    CHECK(cells_gauge_sum(segment, gauge_of(segment)) == 7);
    CHECK(kill(pid, SIGKILL) == 0 && worker_wait(pid) == -SIGKILL);
    CHECK(count_live(smx_path(segment)) == 1);
    CHECK(cells_gauge_sum(segment, gauge_of(segment)) == 0);
    return 0;
}

static void a_stopped_process_lives_and_its_gauges_stay(void **state)
{
    (void)state;
    shared->arrived = 0;
    assert_int_equal(worker_run(stop_a_worker, "working"), 0);
}

/* A child that claims at its gauge write, without a fork handler, and is stopped before that. */
static pid_t start_claimer(void)
{
    pid_t pid = _Fork();
    if (pid == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0)
            (void)raise(SIGSTOP);
        smx_gauge_set(gauge_of(segment), 3);
        _exit(smx_worker(segment));
    }
    return pid;
}

/* Claims by its fork handler. */
static int hold_a_number(void *argument)
{
    worker_arrive(&shared->arrived);
    CHECK(worker_reach(&shared->go, 1));
    CHECK(smx_worker(segment) == *(const int *)argument);
    return 0;
}

/* While a claim of slot 1 is stopped another process claims; these are the numbers they get. */
static int claim_beside_a_stopped_claim(bool behind, int others, int its)
{
    pid_t stopped = start_claimer();
    CHECK(stop_at_lock(stopped, SMX__LOCK_AT + 1, behind) == 0);
    pid_t other = worker_start(hold_a_number, &others);
    CHECK(worker_reach(&shared->arrived, 1));
    CHECK(count_live(smx_path(segment)) == 2);
    CHECK(number_of(stopped) == its);
    worker_arrive(&shared->go);
    CHECK(worker_wait(other) == 0);
    CHECK(cells_lost(segment, SMX_LOST_SLOTS) == 0);
    CHECK(count_live(smx_path(segment)) == 1);
    return 0;
}

static int stop_before_the_lock(void *argument)
{
    CHECK(open_app(argument, &segment) == 0);
    return claim_beside_a_stopped_claim(false, 1, 2);
}

static int stop_behind_the_lock(void *argument)
{
    CHECK(open_app(argument, &segment) == 0);
    return claim_beside_a_stopped_claim(true, 2, 1);
}

static void a_claim_that_is_stopped_keeps_nobody_from_claiming(void **state)
{
    (void)state;
    memset(shared, 0, sizeof *shared);
    assert_int_equal(worker_run(stop_before_the_lock, "before"), 0);
    memset(shared, 0, sizeof *shared);
    assert_int_equal(worker_run(stop_behind_the_lock, "behind"), 0);
}

/* Of two that have claimed slot 1 and are stopped, the one that comes to lock it gets it. */
static int contend_for_a_slot(void *argument)
{
    CHECK(open_app(argument, &segment) == 0);
    pid_t first = start_claimer();
    CHECK(stop_at_lock(first, SMX__LOCK_AT + 1, false) == 0);
    pid_t second = start_claimer();
    CHECK(stop_at_lock(second, SMX__LOCK_AT + 1, false) == 0);
    CHECK(go_on(first)); /* has locked it, with the other's claim in the slot */
    CHECK(number_of(second) == 2);
    CHECK(number_of(first) == 1);
    return 0;
}

static void of_two_that_contend_for_a_slot_one_gets_it(void **state)
{
    (void)state;
    assert_int_equal(worker_run(contend_for_a_slot, "contend"), 0);
}

/* The host has closed our descriptor; a claim has found our slot without a lock, and goes on when a
 * heartbeat has locked it again. */
static int lock_again_behind_a_claim(void *argument)
{
    CHECK(open_app(argument, &segment) == 0);
    smx_gauge_set(gauge_of(segment), 7);
    int fd = segment->fd;
    pid_t claimer = start_claimer();
    close(fd);
    CHECK(stop_at(claimer, F_OFD_GETLK, SMX__LOCK_AT, true) == 0);
    smx_heartbeat(segment);
    CHECK(smx_worker(segment) == 0);
    CHECK(number_of(claimer) == 1);
    CHECK(cells_live(segment) == 0); /* it has freed our slot as it left */
    smx_heartbeat(segment);
    CHECK(cells_live(segment) == 1);
    smx_gauge_set(gauge_of(segment), 8);
    CHECK(cells_gauge_sum(segment, gauge_of(segment)) == 8);
    return 0;
}

static void a_claim_that_was_too_late_costs_the_slot_until_the_next_heartbeat(void **state)
{
    (void)state;
    assert_int_equal(worker_run(lock_again_behind_a_claim, "again"), 0);
}

static int close_and_count_live(void *argument)
{
    (void)argument;
    smx_close(segment);
    CHECK(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 && raise(SIGSTOP) == 0);
    return count_live(smx_path(segment));
}

/* A slot passes on between a reader's look at its state and at its lock. What the reader has read
 * tells no PID namespace, so it cannot compare pids. */
static int pass_a_slot_on_under_a_reader(void *argument)
{
    CHECK(open_app(argument, &segment) == 0);
    pid_t dying = worker_start(work_for_ever, &shared->arrived);
    CHECK(worker_reach(&shared->arrived, 1));
    char *table = (char *)segment->header + segment->header->slots_at;
    ((struct smx__slot *)(void *)table)[1].pid_ns = 0;
    pid_t reading = worker_start(close_and_count_live, NULL);
    CHECK(stop_at(reading, F_OFD_GETLK, SMX__LOCK_AT + 1, false) == 0);
    CHECK(kill(dying, SIGKILL) == 0 && worker_wait(dying) == -SIGKILL);
    pid_t next = worker_start(work_for_ever, &shared->arrived);
    CHECK(worker_reach(&shared->arrived, 2));
    CHECK(smx__lock_is_held(segment->fd, SMX__LOCK_AT + 1));
    CHECK(number_of(reading) == 1); /* this process */
    CHECK(kill(next, SIGKILL) == 0 && worker_wait(next) == -SIGKILL);
    return 0;
}

static void a_reader_takes_nobody_for_his_predecessor_in_a_slot(void **state)
{
    (void)state;
    shared->arrived = 0;
    assert_int_equal(worker_run(pass_a_slot_on_under_a_reader, "pass"), 0);
}

static int hold_and_fork(void *argument)
{
    CHECK(open_app(argument, &segment) == 0);
    smx_gauge_set(gauge_of(segment), 7);
    worker_arrive(&shared->arrived);
    CHECK(worker_reach(&shared->go, 1));
    /* An opener is stopped now; that is nothing to those who have opened. */
    CHECK(worker_run(add_two, NULL) == 0);
    smx_counter_new(segment, &(struct smx_metric){.name = "new_total"}, NULL);
    CHECK(open_app(argument, &segment) == 0);
    worker_arrive(&shared->arrived);
    CHECK(worker_reach(&shared->go, 2));
    return 0;
}

static int open_it(void *argument)
{
    return -open_app(argument, &segment);
}

static int be_stopped_opening(void *argument)
{
    CHECK(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0);
    CHECK(raise(SIGSTOP) == 0);
    CHECK(open_app(argument, &segment) == 0);
    return smx_worker(segment);
}

static void an_opener_that_is_stopped_makes_others_give_up_and_no_more(void **state)
{
    (void)state;
    /* The openers' lock, and the claim under it. */
    static const int64_t bytes[] = {SMX__LOCK_OPEN, SMX__LOCK_AT + 1};
    for (size_t i = 0; i < 2; i++) {
        char app[] = "opening0";
        app[7] = (char)('0' + i);
        memset(shared, 0, sizeof *shared);
        pid_t holder = worker_start(hold_and_fork, app);
        assert_true(worker_reach(&shared->arrived, 1));
        pid_t stopped = worker_start(be_stopped_opening, app);
        assert_int_equal(stop_at_lock(stopped, bytes[i], true), 0);
        worker_arrive(&shared->go);
        assert_true(worker_reach(&shared->arrived, 2));
        assert_int_equal(worker_run(open_it, app), EBUSY);
        assert_int_equal(number_of(stopped), 1);
        assert_int_equal(worker_run(open_it, app), 0);
        worker_arrive(&shared->go);
        assert_int_equal(worker_wait(holder), 0);
    }
}

int main(void)
{
    shared = worker_shared(sizeof *shared);
    if (!shared || scratch_make(directory) != 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stopped_process_lives_and_its_gauges_stay),
        cmocka_unit_test(a_claim_that_is_stopped_keeps_nobody_from_claiming),
        cmocka_unit_test(of_two_that_contend_for_a_slot_one_gets_it),
        cmocka_unit_test(a_claim_that_was_too_late_costs_the_slot_until_the_next_heartbeat),
        cmocka_unit_test(a_reader_takes_nobody_for_his_predecessor_in_a_slot),
        cmocka_unit_test(an_opener_that_is_stopped_makes_others_give_up_and_no_more),
    };
    int status = RUN_TESTS(tests);
    scratch_remove(directory);
    return status;
}
