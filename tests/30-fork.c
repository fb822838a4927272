/* SPDX-License-Identifier: MIT
 *
 * 30-fork.c - who a process is after fork(), exec, smx_close(); also while other threads register,
 * and when something else writes a gauge before libshm's own fork handler ran. Children that run no
 * fork handler are 30-clone.c's, daemons 30-daemon.c's.
 */
#include "support/cells.h"
#include "support/patient.h"
#include "support/process.h"
#include "support/scratch.h"
#include "support/tap.h"
#include "support/worker.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

enum { FORKS = 300, THREADS = 3 };

static char directory[SCRATCH_SIZE];
static const char *program;
static smx_segment *segment;
static smx_gauge gauge;
static smx_counter counter;

static struct {
    uint32_t arrived;
    uint32_t go;
    int worker;
} * shared;

static smx_segment *open_app(const char *app)
{
    smx_segment *own;
    struct smx_options options = {.app = app, .directory = directory, .slots = 16, .rows = 2};
    (void)patient_open(&options, &own, NULL);
    return own;
}

static void register_all(smx_segment *own)
{
    gauge = smx_gauge_new(own, &(struct smx_metric){.name = "g"}, NULL);
    counter = smx_counter_new(own, &(struct smx_metric){.name = "c_total"}, NULL);
}

static int add_in_child(void *argument)
{
    (void)argument;
    CHECK(smx_worker(segment) == 1);
    CHECK(smx_gauge_value(gauge) == 0);
    smx_gauge_set(gauge, 40);
    smx_gauge_sub(gauge, 5);
    smx_counter_inc(counter);
    CHECK(smx_gauge_value(gauge) == 35);
    CHECK(cells_gauge_sum(segment, gauge) == 42);
    CHECK(cells_live(segment) == 2);
    return 0;
}

static void a_forked_child_has_a_slot_and_gauges_of_its_own(void **state)
{
    (void)state;
    smx_gauge_set(gauge, 7);
    uint64_t before = smx_counter_value(counter);
    assert_int_equal(worker_run(add_in_child, NULL), 0);
    assert_int_equal(smx_gauge_value(gauge), 7);
    assert_int_equal(smx_worker(segment), 0);
    assert_int_equal(cells_gauge_sum(segment, gauge), 7);
    assert_true(smx_counter_value(counter) == before + 1);
}

static int add_and_hold(void *argument)
{
    (void)argument;
    smx_gauge_inc(gauge);
    smx_counter_inc(counter);
    shared->worker = smx_worker(segment);
    worker_arrive(&shared->arrived);
    CHECK(worker_reach(&shared->go, 1));
    worker_arrive(&shared->arrived);
    return 0;
}

static int fork_and_leave(void *argument)
{
    pid_t pid = fork(); /* not worker_start(): this one is to outlive its parent */
    if (pid == 0)
        _exit(add_and_hold(argument));
    CHECK(pid > 0);
    CHECK(worker_reach(&shared->arrived, 1));
    return 0;
}

static void a_daemon_lives_on_without_its_parent(void **state)
{
    (void)state;
    memset(shared, 0, sizeof *shared);
    smx_gauge_set(gauge, 0);
    assert_int_equal(worker_run(fork_and_leave, NULL), 0);
    assert_int_equal(shared->worker, 2);
    assert_int_equal(cells_live(segment), 2);
    assert_int_equal(cells_gauge_sum(segment, gauge), 1);
    worker_arrive(&shared->go);
    assert_true(worker_reach(&shared->arrived, 2));
    uint64_t deadline = worker_now_ns() + PATIENCE_NS;
    while (cells_live(segment) != 1 && worker_now_ns() < deadline)
        ;
    assert_int_equal(cells_live(segment), 1);
    assert_int_equal(cells_gauge_sum(segment, gauge), 0);
}

static bool write_early;

/* Registered before libshm's fork handler, so it runs before that one; a signal could as well. */
static void write_before_the_hook(void)
{
    if (write_early)
        smx_gauge_add(gauge, 5);
}

static int look_for_five(void *argument)
{
    (void)argument;
    CHECK(smx_gauge_value(gauge) == 5);
    CHECK(cells_live(segment) == 2);
    CHECK(cells_gauge_sum(segment, gauge) == 5);
    return 0;
}

static void a_write_before_the_fork_handler_keeps_its_slot(void **state)
{
    (void)state;
    write_early = true;
    assert_int_equal(worker_run(look_for_five, NULL), 0);
    write_early = false;
}

static uint32_t stop;

static void *register_for_ever(void *argument)
{
    uintptr_t me = (uintptr_t)argument;
    for (unsigned i = 0; !__atomic_load_n(&stop, __ATOMIC_RELAXED); i++) {
        char name[32];
        snprintf(name, sizeof name, "t%u_%u", (unsigned)me, i % 500);
        struct smx_metric metric = {.name = name, .labels = {"n"}};
        smx_family family = smx_counter_family(segment, &metric, NULL);
        smx_counter_inc(smx_counter_with(family, SMX_VALUES("x")));
        smx_gauge_inc(gauge);
        smx_gauge_dec(gauge);
        (void)open_app("other");
    }
    return NULL;
}

static int use_everything(void *argument)
{
    char name[32];
    snprintf(name, sizeof name, "child_%u", (unsigned)(uintptr_t)argument);
    struct smx_metric metric = {.name = name};
    smx_counter own = smx_counter_new(segment, &metric, NULL);
    CHECK(own.base);
    smx_counter_inc(own);
    CHECK(smx_counter_value(own) == 1);
    smx_gauge_inc(gauge);
    CHECK(smx_gauge_value(gauge) == 1);
    CHECK(smx_worker(segment) >= 1);
    CHECK(open_app("other")); /* its parent's threads may have been in smx_open() */
    return 0;
}

static void a_child_of_a_busy_parent_can_use_everything(void **state)
{
    (void)state;
    pthread_t thread[THREADS];
    uint64_t lost = cells_lost(segment, SMX_LOST_GAUGE);
    smx_gauge_set(gauge, 0);
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, register_for_ever, (void *)i), 0);
    size_t forks = scaled(FORKS);
    size_t failed = 0;
    for (uintptr_t i = 0; i < forks; i++)
        failed += worker_run(use_everything, (void *)i) != 0;
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    print_message("# %zu forks\n", forks);
    assert_int_equal(failed, 0);
    assert_int_equal(smx_gauge_value(gauge), 0);
    assert_true(cells_lost(segment, SMX_LOST_GAUGE) == lost);
    assert_int_equal(cells_lost(segment, SMX_LOST_SLOTS), 0);
}

static int close_and_go_on(void *argument)
{
    (void)argument;
    uint64_t before = smx_counter_value(counter);
    uint64_t lost = cells_lost(segment, SMX_LOST_GAUGE);
    smx_gauge_set(gauge, 50);
    CHECK(cells_gauge_sum(segment, gauge) == 50);
    smx_close(segment);
    CHECK(smx_worker(segment) == -1);
    CHECK(cells_live(segment) == 1);
    CHECK(cells_gauge_sum(segment, gauge) == 0);
    smx_gauge_set(gauge, 9);
    smx_gauge_inc(gauge);
    CHECK(smx_gauge_value(gauge) == 0);
    CHECK(cells_lost(segment, SMX_LOST_GAUGE) == lost + 2);
    smx_counter_inc(counter);
    CHECK(smx_counter_value(counter) == before + 1);
    smx_close(segment);
    CHECK(open_app("fork") == segment);
    CHECK(smx_worker(segment) == 1);
    CHECK(smx_gauge_value(gauge) == 0);
    smx_gauge_inc(gauge);
    CHECK(cells_gauge_sum(segment, gauge) == 1);
    return 0;
}

static void closing_gives_the_slot_back_and_reopening_takes_one(void **state)
{
    (void)state;
    assert_int_equal(worker_run(close_and_go_on, NULL), 0);
}

static int exec_itself(void *argument)
{
    (void)argument;
    smx_gauge_set(gauge, 5);
    execl("/proc/self/exe", program, directory, (char *)NULL);
    return 1;
}

/* In the program that exec_itself() starts: its former self's slot is free, its gauges are gone. */
static int look_after_exec(void)
{
    CHECK((segment = open_app("fork")));
    register_all(segment);
    CHECK(smx_worker(segment) == 1);
    CHECK(cells_live(segment) == 2);
    CHECK(smx_gauge_value(gauge) == 0);
    CHECK(cells_gauge_sum(segment, gauge) == 0);
    smx_counter_inc(counter);
    return 0;
}

static void exec_ends_a_process_for_its_segment(void **state)
{
    (void)state;
    uint64_t before = smx_counter_value(counter);
    assert_int_equal(worker_run(exec_itself, NULL), 0);
    assert_true(smx_counter_value(counter) == before + 1);
    assert_int_equal(cells_live(segment), 1);
}

static int write_through_a_borrowed_number(void *argument)
{
    (void)argument;
    int fd = segment->fd;
    CHECK(dup2(STDERR_FILENO, fd) == fd); /* what a daemon's closefrom() and open() come to */
    for (unsigned i = 0; i < 200; i++) {
        char name[32];
        snprintf(name, sizeof name, "borrowed_%u", i);
        struct smx_metric metric = {.name = name, .labels = {"n"}};
        smx_family family = smx_gauge_family(segment, &metric, NULL);
        CHECK(smx_gauge_with(family, SMX_VALUES("x")).base);
    }
    CHECK(segment->fd != fd);
    return 0;
}

static void a_host_that_closes_our_descriptor_is_survived(void **state)
{
    (void)state;
    assert_int_equal(worker_run(write_through_a_borrowed_number, NULL), 0);
}

static int lose_the_slot(void *argument)
{
    (void)argument;
    smx_gauge_set(gauge, 100);
    shared->worker = smx_worker(segment);
    close(segment->fd); /* and with it, our lock */
    worker_arrive(&shared->arrived);
    CHECK(worker_reach(&shared->go, 1));
    smx_gauge_inc(gauge);
    smx_gauge_set(gauge, 200);
    worker_arrive(&shared->arrived);
    return 0;
}

static int take_the_slot(void *argument)
{
    (void)argument;
    CHECK(smx_worker(segment) == shared->worker);
    smx_gauge_set(gauge, 7);
    worker_arrive(&shared->go);
    CHECK(worker_reach(&shared->arrived, 2));
    CHECK(smx_gauge_value(gauge) == 7);
    CHECK(cells_gauge_sum(segment, gauge) == 7);
    return 0;
}

static void who_lost_its_slot_leaves_its_successors_gauges_alone(void **state)
{
    (void)state;
    memset(shared, 0, sizeof *shared);
    uint64_t lost = cells_lost(segment, SMX_LOST_GAUGE);
    smx_gauge_set(gauge, 0);
    pid_t loser = worker_start(lose_the_slot, NULL);
    assert_true(worker_reach(&shared->arrived, 1));
    assert_int_equal(worker_run(take_the_slot, NULL), 0);
    assert_int_equal(worker_wait(loser), 0);
    assert_true(cells_lost(segment, SMX_LOST_GAUGE) == lost + 2);
}

int main(int argc, char **argv)
{
    program = argv[0];
    if (argc > 1) {
        snprintf(directory, sizeof directory, "%s", argv[1]);
        return look_after_exec();
    }
    shared = worker_shared(sizeof *shared);
    if (!shared || scratch_make(directory) != 0 ||
        pthread_atfork(NULL, NULL, write_before_the_hook) != 0 || !(segment = open_app("fork")))
        return 1;
    register_all(segment);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_forked_child_has_a_slot_and_gauges_of_its_own),
        cmocka_unit_test(a_daemon_lives_on_without_its_parent),
        cmocka_unit_test(a_write_before_the_fork_handler_keeps_its_slot),
        cmocka_unit_test(closing_gives_the_slot_back_and_reopening_takes_one),
        cmocka_unit_test(exec_ends_a_process_for_its_segment),
        cmocka_unit_test(a_host_that_closes_our_descriptor_is_survived),
        cmocka_unit_test(who_lost_its_slot_leaves_its_successors_gauges_alone),
        cmocka_unit_test(a_child_of_a_busy_parent_can_use_everything),
    };
    int status = RUN_TESTS(tests);
    scratch_remove(directory);
    return status;
}
