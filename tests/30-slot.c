/* SPDX-License-Identifier: MIT
 *
 * 30-slot.c - process slots when there are just enough, too few and again enough of them; their
 * reuse; and the gauges that hang on them. Every process answers through shared memory.
 */
#include "support/cells.h"
#include "support/patient.h"
#include "support/scratch.h"
#include "support/tap.h"
#include "support/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST = 80, LARGEST = 129, ROUNDS = 20, NOBODY = 65534 };

static char directory[SCRATCH_SIZE];
static smx_segment *segment; /* of the parent, which holds slot 0 */
static smx_gauge gauge;

static struct {
    uint32_t arrived;
    uint32_t go;
    int worker[LARGEST];
    int64_t value[LARGEST];
} * shared;

static void fresh(uint32_t slots)
{
    static int round;
    char instance[16];
    snprintf(instance, sizeof instance, "%d", round++);
    struct smx_options options = {
        .app = "slot", .instance = instance, .directory = directory, .slots = slots, .rows = 2};
    assert_int_equal(smx_open(&options, &segment, NULL), 0);
    gauge = smx_gauge_new(segment, &(struct smx_metric){.name = "g"}, NULL);
    assert_non_null(gauge.base);
    memset(shared, 0, sizeof *shared);
}

static int add_and_hold(void *argument)
{
    size_t me = (size_t)(uintptr_t)argument;
    smx_gauge_add(gauge, 10);
    smx_gauge_dec(gauge);
    shared->worker[me] = smx_worker(segment);
    shared->value[me] = smx_gauge_value(gauge);
    worker_arrive(&shared->arrived);
    CHECK(worker_reach(&shared->go, 1));
    return 0;
}

/* n children at once, each of which holds 9. */
static void start_crowd(pid_t pid[], unsigned n)
{
    shared->arrived = 0;
    shared->go = 0;
    for (unsigned i = 0; i < n; i++)
        pid[i] = worker_start(add_and_hold, (void *)(uintptr_t)i);
    assert_true(worker_reach(&shared->arrived, n));
}

static void end_crowd(const pid_t pid[], unsigned n)
{
    worker_arrive(&shared->go);
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(worker_wait(pid[i]), 0);
}

/* Numbers are distinct and below the number of slots; gives how many have none. */
static unsigned check_numbers(unsigned n, uint32_t slots)
{
    bool taken[256] = {true};
    unsigned without = 0;
    for (unsigned i = 0; i < n; i++) {
        int number = shared->worker[i];
        if (number < 0) {
            without++;
            assert_int_equal(shared->value[i], 0);
            continue;
        }
        assert_true((uint32_t)number < slots);
        assert_false(taken[number]);
        taken[number] = true;
        assert_int_equal(shared->value[i], 9);
    }
    return without;
}

static void every_number_of_processes_is_served(void **state)
{
    (void)state;
    static const unsigned crowds[] = {1, 31, 32, 33, 63, 64, 65, 127, 128, 129};
    for (size_t c = 0; c < sizeof crowds / sizeof crowds[0]; c++) {
        pid_t pid[LARGEST];
        unsigned n = crowds[c];
        fresh(n + 1); /* the parent has one */
        start_crowd(pid, n);
        assert_int_equal(check_numbers(n, n + 1), 0);
        assert_int_equal(cells_lost(segment, SMX_LOST_SLOTS), 0);
        assert_int_equal(cells_live(segment), n + 1);
        assert_int_equal(cells_gauge_sum(segment, gauge), 9 * n);
        end_crowd(pid, n);
        assert_int_equal(cells_live(segment), 1);
        assert_int_equal(cells_gauge_sum(segment, gauge), 0);
    }
}

/* One process less than slots, as many, one more, and many more; the parent is one of them. */
static void past_the_last_slot_adds_are_spilled_and_sets_dropped(void **state)
{
    (void)state;
    static const struct {
        unsigned slots;
        unsigned children;
        unsigned without;
    } crowds[] = {{64, 62, 0}, {64, 63, 0}, {64, 64, 1}, {64, 65, 2}, {4, 8, 5}, {1, 3, 3}};
    for (size_t c = 0; c < sizeof crowds / sizeof crowds[0]; c++) {
        pid_t pid[LARGEST];
        unsigned n = crowds[c].children;
        fresh(crowds[c].slots);
        start_crowd(pid, n);
        assert_int_equal(check_numbers(n, crowds[c].slots), crowds[c].without);
        assert_int_equal(cells_lost(segment, SMX_LOST_SLOTS), crowds[c].without);
        assert_int_equal(cells_gauge_sum(segment, gauge), 9 * n);
        end_crowd(pid, n);
    }
}

static int start_together(void *argument)
{
    worker_arrive(&shared->arrived);
    CHECK(worker_reach(&shared->arrived, MOST));
    struct smx_options options = {.app = "race", .directory = directory, .slots = MOST, .rows = 2};
    smx_segment *own;
    CHECK(patient_open(&options, &own, NULL) == 0);
    shared->worker[(uintptr_t)argument] = smx_worker(own);
    worker_arrive(&shared->go);
    CHECK(worker_reach(&shared->go, MOST));
    CHECK(cells_lost(own, SMX_LOST_SLOTS) == 0);
    CHECK(cells_live(own) == MOST);
    worker_arrive(&shared->go);
    CHECK(worker_reach(&shared->go, 2 * MOST));
    return 0;
}

static void as_many_starters_as_slots_all_get_one(void **state)
{
    (void)state;
    for (int round = 0; round < 10; round++) {
        pid_t pid[MOST];
        memset(shared, 0, sizeof *shared);
        for (uintptr_t i = 0; i < MOST; i++)
            pid[i] = worker_start(start_together, (void *)i);
        int failed = 0;
        for (int i = 0; i < MOST; i++)
            failed += worker_wait(pid[i]) != 0;
        assert_int_equal(failed, 0);
    }
}

/* Forks two more, which fork two more: their hooks run at the same time. */
static int breed(void *argument)
{
    uintptr_t generations = (uintptr_t)argument;
    pid_t pid[2] = {0, 0};
    for (int i = 0; generations && i < 2; i++)
        pid[i] = worker_start(breed, (void *)(generations - 1));
    smx_gauge_inc(gauge);
    worker_arrive(&shared->arrived);
    CHECK(worker_reach(&shared->go, 1));
    for (int i = 0; generations && i < 2; i++)
        CHECK(worker_wait(pid[i]) == 0);
    return 0;
}

static void as_many_forked_at_once_as_slots_all_get_one(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        fresh(64); /* the parent and 1 + 2 + 4 + ... + 32 */
        pid_t first = worker_start(breed, (void *)(uintptr_t)5);
        assert_true(worker_reach(&shared->arrived, 63));
        uint64_t lost = cells_lost(segment, SMX_LOST_SLOTS);
        unsigned live = cells_live(segment);
        int64_t sum = cells_gauge_sum(segment, gauge);
        worker_arrive(&shared->go);
        assert_int_equal(worker_wait(first), 0);
        assert_int_equal(lost, 0);
        assert_int_equal(live, 64);
        assert_int_equal(sum, 63);
    }
}

static int set_and_die(void *argument)
{
    smx_gauge_set(gauge, 1000);
    shared->worker[(uintptr_t)argument] = smx_worker(segment);
    raise(SIGKILL);
    return 1;
}

static int look_and_add(void *argument)
{
    size_t me = (size_t)(uintptr_t)argument;
    shared->worker[me] = smx_worker(segment);
    shared->value[me] = smx_gauge_value(gauge);
    smx_gauge_add(gauge, 1);
    return smx_gauge_value(gauge) == 1 && cells_gauge_sum(segment, gauge) == 1 ? 0 : 1;
}

static void a_new_process_in_a_dead_ones_slot_starts_at_zero(void **state)
{
    (void)state;
    fresh(4);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(worker_run(set_and_die, (void *)0), -SIGKILL);
        assert_int_equal(cells_gauge_sum(segment, gauge), 0);
        assert_int_equal(worker_run(look_and_add, (void *)1), 0);
        assert_int_equal(shared->worker[0], 1);
        assert_int_equal(shared->worker[1], 1);
        assert_int_equal(shared->value[1], 0);
    }
    assert_int_equal(cells_lost(segment, SMX_LOST_SLOTS), 0);
}

static int die_before_its_first_write(void *argument)
{
    shared->worker[(uintptr_t)argument] = smx_worker(segment);
    raise(SIGKILL);
    return 1;
}

/* The row still has what its last but one occupant wrote. */
static void who_dies_between_claim_and_first_write_shows_nothing(void **state)
{
    (void)state;
    fresh(4);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(worker_run(set_and_die, (void *)0), -SIGKILL);
        assert_int_equal(worker_run(die_before_its_first_write, (void *)1), -SIGKILL);
        assert_int_equal(cells_gauge_sum(segment, gauge), 0);
        assert_int_equal(worker_run(look_and_add, (void *)2), 0);
        for (int n = 0; n < 3; n++)
            assert_int_equal(shared->worker[n], 1);
        assert_int_equal(shared->value[2], 0);
    }
    assert_int_equal(cells_lost(segment, SMX_LOST_SLOTS), 0);
}

/* Read-lock what is free of the bytes from one to another. */
static int read_lock(int fd, int64_t from, int64_t end)
{
    for (int64_t at = from; at < end; at++) {
        struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};
        CHECK(fcntl(fd, F_OFD_SETLK, &lock) == 0 || errno == EAGAIN);
    }
    return 0;
}

/* Somebody else, who may read the file and no more. */
static int read_lock_everything(void *argument)
{
    const int64_t holds = SMX__LOCK_HOLD;
    int fd = open(smx_path(segment), O_RDONLY | O_CLOEXEC);
    (void)argument;
    CHECK(fd >= 0);
    if (geteuid() == 0)
        CHECK(setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
    smx_close(segment); /* it shall be no process of the segment */
    CHECK(read_lock(fd, SMX__LOCK_OPEN, SMX__LOCK_AT + segment->header->slots) == 0);
    CHECK(read_lock(fd, holds, holds + SMX__HOLDS) == 0);
    worker_arrive(&shared->arrived);
    CHECK(worker_reach(&shared->go, 1));
    return 0;
}

static int add_nine(void *argument)
{
    (void)argument;
    CHECK(smx_worker(segment) == -1);
    smx_gauge_add(gauge, 9);
    smx_gauge_set(gauge, 1000);
    CHECK(cells_gauge_sum(segment, gauge) == 9);
    CHECK(cells_live(segment) == 1);
    return 0;
}

/* In a program that starts, and never had the segment. */
static int open_beside_the_reader(void *argument)
{
    smx_segment *own;
    struct smx_options options = {.app = "slot", .instance = argument, .directory = directory};
    CHECK(smx_open(&options, &own, NULL) == 0);
    CHECK(cells_live(own) == 1);
    smx_gauge_add(smx_gauge_new(own, &(struct smx_metric){.name = "g"}, NULL), -9);
    return 0;
}

static int take_a_number(void *argument)
{
    shared->worker[(uintptr_t)argument] = smx_worker(segment);
    return 0;
}

static pid_t start_opener(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        execl("/proc/self/exe", "30-slot", directory, segment->header->instance, (char *)NULL);
        _exit(127);
    }
    return pid;
}

static void a_readers_locks_fake_no_process_stop_none_and_lose_no_count(void **state)
{
    (void)state;
    fresh(8);
    pid_t locker = worker_start(read_lock_everything, NULL);
    assert_true(worker_reach(&shared->arrived, 1));
    assert_int_equal(cells_live(segment), 1);
    assert_int_equal(worker_run(add_nine, NULL), 0);
    assert_int_equal(worker_wait(start_opener()), 0);
    assert_int_equal(cells_gauge_sum(segment, gauge), 0);
    /* Two children, of which one then became the program, and that. */
    assert_int_equal(cells_lost(segment, SMX_LOST_SLOTS), 3);
    assert_int_equal(cells_lost(segment, SMX_LOST_GAUGE), 1);
    worker_arrive(&shared->go);
    assert_int_equal(worker_wait(locker), 0);
    assert_int_equal(worker_run(take_a_number, (void *)1), 0);
    assert_int_equal(shared->worker[1], 1);
}

int main(int argc, char **argv)
{
    if (argc == 3) {
        snprintf(directory, sizeof directory, "%s", argv[1]);
        return open_beside_the_reader(argv[2]);
    }
    shared = worker_shared(sizeof *shared);
    if (!shared || scratch_make(directory) != 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_number_of_processes_is_served),
        cmocka_unit_test(past_the_last_slot_adds_are_spilled_and_sets_dropped),
        cmocka_unit_test(as_many_starters_as_slots_all_get_one),
        cmocka_unit_test(as_many_forked_at_once_as_slots_all_get_one),
        cmocka_unit_test(a_new_process_in_a_dead_ones_slot_starts_at_zero),
        cmocka_unit_test(who_dies_between_claim_and_first_write_shows_nothing),
        cmocka_unit_test(a_readers_locks_fake_no_process_stop_none_and_lose_no_count),
    };
    int status = RUN_TESTS(tests);
    scratch_remove(directory);
    return status;
}
