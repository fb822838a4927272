/* SPDX-License-Identifier: MIT
 *
 * 30-daemon.c - processes that change what they are after they have opened a segment: daemons whose
 * parents end and whose descriptors are closed, servers that give up root or their root directory.
 * While any of them is there a program that starts attaches to their segment and does not replace
 * it, even if none of them holds a slot.
 */
#include "support/cells.h"
#include "support/process.h"
#include "support/scratch.h"
#include "support/tap.h"
#include "support/worker.h"

#include <smx/reader.h>

#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { NOBODY = 65534 };

static char directory[SCRATCH_SIZE];

/* Between the test, the daemon, which is no child of it, and the programs that start beside it. */
static struct {
    uint32_t ready;
    uint32_t go;
    uint32_t ended;
    uint32_t in_handler;
    uint32_t leave_handler;
    int result;  /* of the daemon */
    ino_t inode; /* the daemon's, and what a starter finds */
    ino_t found;
    uint64_t count;
    int64_t gauge;
    unsigned live;
} * shared;

static bool hold_in_handler;

/* Registered before libshm's: so no slot is claimed as long as it goes on. */
static void be_held_up(void)
{
    if (!hold_in_handler)
        return;
    worker_arrive(&shared->in_handler);
    (void)worker_reach(&shared->leave_handler, 1);
}

static smx_segment *open_app(const char *app, uint32_t slots)
{
    smx_segment *segment = NULL;
    struct smx_options options = {.app = app, .directory = directory, .slots = slots, .rows = 2};
    return smx_open(&options, &segment, NULL) == 0 ? segment : NULL;
}

static smx_counter counter_of(smx_segment *segment)
{
    return smx_counter_new(segment, &(struct smx_metric){.name = "c_total"}, NULL);
}

static smx_gauge gauge_of(smx_segment *segment)
{
    return smx_gauge_new(segment, &(struct smx_metric){.name = "g"}, NULL);
}

static bool has_another_parent(void *parent)
{
    return getppid() != *(pid_t *)parent;
}

/* In the child of a fork whose parent ends at once, when it has. Returns 0, or minus 1 if there is
 * none. */
static int fork_away(void)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid > 0)
        _exit(0);
    return pid == 0 && eventually(has_another_parent, &parent) ? 0 : -1;
}

/* Starts cold beside the daemon, and says what it finds. */
static int look(void *argument)
{
    smx_segment *segment = open_app(argument, 4);
    CHECK(segment);
    shared->found = segment->inode;
    smx_close(segment); /* not to be counted itself */
    shared->count = smx_counter_value(counter_of(segment));
    shared->gauge = cells_gauge_sum(segment, gauge_of(segment));
    smx_reader *reader;
    CHECK(smx_reader_open(smx_path(segment), &reader, NULL) == 0);
    CHECK(smx_reader_update(reader, NULL) == 0);
    shared->live = (unsigned)smx_reader_info(reader)->n_live;
    smx_reader_close(reader);
    return 0;
}

/* The daemon's last words: the test waits for them. */
static _Noreturn void end(int result)
{
    shared->result = result;
    worker_arrive(&shared->ended);
    _exit(0);
}

static void start(int (*body)(void *argument), void *argument)
{
    memset(shared, 0, sizeof *shared);
    assert_int_equal(worker_run(body, argument), 0);
    assert_true(worker_reach(&shared->ready, 1));
}

static void finish(void)
{
    worker_arrive(&shared->go);
    assert_true(worker_reach(&shared->ended, 1));
    assert_int_equal(shared->result, 0);
}

/* Be looked at, once more than the times before. */
static int wait_to_be_seen(void)
{
    worker_arrive(&shared->ready);
    CHECK(worker_reach(&shared->go, shared->ready));
    return 0;
}

/* Count one, and be looked at. */
static int serve_on(smx_segment *segment)
{
    shared->inode = segment->inode;
    smx_counter_inc(counter_of(segment));
    return wait_to_be_seen();
}

static int serve(smx_segment *segment)
{
    smx_gauge_set(gauge_of(segment), 3);
    return serve_on(segment);
}

static int be_daemon(void *argument)
{
    smx_segment *segment = open_app(argument, 4);
    CHECK(segment);
    smx_gauge_set(gauge_of(segment), 100);
    CHECK(daemon(1, 1) == 0);
    end(serve(segment));
}

static int be_daemon_by_hand(void *argument)
{
    smx_segment *segment = open_app(argument, 4);
    CHECK(segment);
    smx_gauge_set(gauge_of(segment), 100);
    CHECK(fork_away() == 0);
    (void)setsid();
    CHECK(fork_away() == 0);
    end(serve(segment));
}

static void expect(const char *app, uint64_t count, int64_t gauge, unsigned live)
{
    assert_int_equal(worker_run(look, (void *)(uintptr_t)app), 0);
    assert_int_equal(shared->found, shared->inode);
    assert_int_equal(shared->count, count);
    assert_int_equal(shared->gauge, gauge);
    assert_int_equal(shared->live, live);
}

static void daemon_of_the_libc_goes_on_in_its_parents_segment(void **state)
{
    (void)state;
    start(be_daemon, "daemon3");
    expect("daemon3", 1, 3, 1);
    finish();
}

static void a_double_fork_goes_on_in_its_grandparents_segment(void **state)
{
    (void)state;
    start(be_daemon_by_hand, "double");
    expect("double", 1, 3, 1);
    finish();
}

static int leave_a_child_without_a_slot(void *argument)
{
    smx_segment *segment = open_app(argument, 4);
    CHECK(segment);
    shared->inode = segment->inode;
    hold_in_handler = true;
    CHECK(fork_away() == 0);
    end(serve(segment));
}

/* The parent is gone and the child's fork handler has not claimed yet: no slot is locked. */
static void a_start_between_a_parents_end_and_its_childs_claim_replaces_nothing(void **state)
{
    (void)state;
    memset(shared, 0, sizeof *shared);
    char app[] = "window";
    assert_int_equal(worker_run(leave_a_child_without_a_slot, app), 0);
    assert_true(worker_reach(&shared->in_handler, 1));
    expect(app, 0, 0, 0);
    worker_arrive(&shared->leave_handler);
    assert_true(worker_reach(&shared->ready, 1));
    expect(app, 1, 3, 1);
    finish();
}

static int spill(void *argument)
{
    smx_segment *segment = open_app(argument, 1);
    CHECK(segment);
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid != 0) {
        CHECK(pid > 0 && worker_reach(&shared->in_handler, 1));
        return 0;
    }
    if (smx_worker(segment) != -1 || getppid() != parent)
        end(1);
    worker_arrive(&shared->in_handler); /* only now may the slot be free */
    smx_gauge_add(gauge_of(segment), 3);
    end(serve_on(segment));
}

static void a_process_past_the_last_slot_keeps_the_segment(void **state)
{
    (void)state;
    start(spill, "spill");
    expect("spill", 1, 3, 0);
    finish();
}

/* No fork handler runs in it, and it never writes a gauge. */
static int leave_a_counting_clone(void *argument)
{
    smx_segment *segment = open_app(argument, 4);
    CHECK(segment);
    long pid = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid == 0)
        end(serve_on(segment));
    CHECK(pid > 0);
    return 0;
}

static void a_clone_that_only_counts_keeps_the_segment(void **state)
{
    (void)state;
    char app[] = "counting";
    start(leave_a_counting_clone, app);
    expect(app, 1, 0, 0);
    finish();
}

/* What textbooks make of a daemon: all descriptors from 3 up go, before and after the last fork. */
static int close_what_it_has_not_opened(void *argument)
{
    smx_segment *segment = open_app(argument, 4);
    CHECK(segment);
    /* All that is registered later would find out that the descriptor is gone. */
    smx_gauge_set(gauge_of(segment), 100);
    CHECK(counter_of(segment).base);
    CHECK(fork_away() == 0);
    (void)setsid();
    closefrom(3);
    CHECK(fork_away() == 0);
    bool claimed = smx_worker(segment) >= 0;
    closefrom(3);
    int stranger = open("/dev/null", O_RDWR); /* under the number of the segment's */
    int result = serve(segment);
    smx_heartbeat(segment);
    smx_gauge_set(gauge_of(segment), 3);
    result += wait_to_be_seen();
    end(claimed && stranger == 3 ? result : 1);
}

/* Nothing tells it so until its heartbeat. Its mapping holds the segment all the same. */
static void a_daemon_that_closed_everything_counts_on_and_lives_again_by_a_heartbeat(void **state)
{
    (void)state;
    char app[] = "closed";
    start(close_what_it_has_not_opened, app);
    expect(app, 1, 0, 0);
    worker_arrive(&shared->go);
    assert_true(worker_reach(&shared->ready, 2));
    expect(app, 1, 3, 1);
    finish();
}

/* A child that is forked now, and what it does with a segment that it cannot open again. */
static int be_a_child_of_it(void *argument)
{
    smx_segment *segment = argument;
    CHECK(smx_worker(segment) == 1);
    smx_gauge_set(gauge_of(segment), 4);
    CHECK(cells_gauge_sum(segment, gauge_of(segment)) == 7);
    CHECK(cells_live(segment) == 2);
    return 0;
}

/* Go on after something that took the file out of reach, and then lose the descriptor, too. */
static int go_on_without_the_file(smx_segment *segment)
{
    CHECK(access(smx_path(segment), R_OK) != 0);
    smx_gauge_set(gauge_of(segment), 3);
    smx_heartbeat(segment);
    CHECK(smx_worker(segment) == 0 && cells_live(segment) == 1);
    CHECK(worker_run(be_a_child_of_it, segment) == 0);
    int result = serve(segment);
    close(segment->fd);
    smx_heartbeat(segment);
    smx_counter_inc(counter_of(segment));
    return result + wait_to_be_seen();
}

static int give_up_root(void *argument)
{
    smx_segment *segment = open_app(argument, 4);
    CHECK(segment);
    CHECK(setgroups(0, NULL) == 0 && setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
    end(go_on_without_the_file(segment));
}

static int give_up_the_root_directory(void *argument)
{
    smx_segment *segment = open_app(argument, 4);
    CHECK(segment);
    CHECK(chroot(directory) == 0 && chdir("/") == 0);
    end(go_on_without_the_file(segment));
}

static void run_without_the_file(int (*body)(void *argument), char *app)
{
    if (geteuid() != 0) {
        print_message("# not root: it can give up nothing\n");
        return;
    }
    memset(shared, 0, sizeof *shared);
    pid_t pid = worker_start(body, app);
    assert_true(worker_reach(&shared->ready, 1));
    expect(app, 1, 3, 1);
    worker_arrive(&shared->go);
    /* The descriptor is closed and the file is out of reach: its life cannot be shown any more. */
    assert_true(worker_reach(&shared->ready, 2));
    expect(app, 2, 0, 0);
    finish();
    assert_int_equal(worker_wait(pid), 0);
}

static void a_server_that_gave_up_root_forks_and_lives_on(void **state)
{
    (void)state;
    char app[] = "setuid";
    run_without_the_file(give_up_root, app);
}

static void a_server_that_changed_its_root_directory_forks_and_lives_on(void **state)
{
    (void)state;
    char app[] = "chroot";
    run_without_the_file(give_up_the_root_directory, app);
}

int main(void)
{
    shared = worker_shared(sizeof *shared);
    if (!shared || scratch_make(directory) != 0 || pthread_atfork(NULL, NULL, be_held_up) != 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(daemon_of_the_libc_goes_on_in_its_parents_segment),
        cmocka_unit_test(a_double_fork_goes_on_in_its_grandparents_segment),
        cmocka_unit_test(a_start_between_a_parents_end_and_its_childs_claim_replaces_nothing),
        cmocka_unit_test(a_process_past_the_last_slot_keeps_the_segment),
        cmocka_unit_test(a_clone_that_only_counts_keeps_the_segment),
        cmocka_unit_test(a_daemon_that_closed_everything_counts_on_and_lives_again_by_a_heartbeat),
        cmocka_unit_test(a_server_that_gave_up_root_forks_and_lives_on),
        cmocka_unit_test(a_server_that_changed_its_root_directory_forks_and_lives_on),
    };
    int status = RUN_TESTS(tests);
    scratch_remove(directory);
    return status;
}
