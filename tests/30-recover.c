/* SPDX-License-Identifier: MIT
 *
 * 30-recover.c - what a host does behind libshm's back, and how a process comes out of it: it
 * closes descriptors it does not know, opens other files under their numbers, closes the segment
 * and forks, or locks its memory.
 */
#include "support/cells.h"
#include "support/scratch.h"
#include "support/tap.h"
#include "support/worker.h"

#include <smx/reader.h>

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[SCRATCH_SIZE];

static smx_segment *open_fresh(const char *instance)
{
    smx_segment *segment = NULL;
    struct smx_options options = {
        .app = "recover", .instance = instance, .directory = directory, .slots = 8, .rows = 2};
    return smx_open(&options, &segment, NULL) == 0 ? segment : NULL;
}

static uint32_t *step;

/* In a child, for it closes what it has not opened. */
static int close_everything_and_go_on(void *argument)
{
    smx_segment *segment = open_fresh(argument);
    CHECK(segment);
    smx_gauge gauge = smx_gauge_new(segment, &(struct smx_metric){.name = "g"}, NULL);
    smx_gauge_set(gauge, 7);
    CHECK(cells_live(segment) == 1);
    int worker = smx_worker(segment);
    int fd = segment->fd;
    for (int i = 3; i < 256; i++)
        close(i);
    int stranger = open("/dev/null", O_RDWR);
    CHECK(dup2(stranger, fd) == fd);
    smx_heartbeat(segment);
    CHECK(segment->fd != fd);
    CHECK(cells_live(segment) == 1);
    CHECK(smx_worker(segment) == worker);
    CHECK(smx_gauge_value(gauge) == 7);
    /* The stranger is left alone. */
    struct stat st;
    CHECK(fstat(fd, &st) == 0 && S_ISCHR(st.st_mode));
    return 0;
}

static void a_heartbeat_takes_back_the_lock_that_a_host_closed(void **state)
{
    (void)state;
    assert_int_equal(worker_run(close_everything_and_go_on, "close"), 0);
}

static int lose_the_slot_and_heartbeat(void *argument)
{
    smx_segment *segment = open_fresh(argument);
    CHECK(segment);
    smx_gauge gauge = smx_gauge_new(segment, &(struct smx_metric){.name = "g"}, NULL);
    smx_gauge_set(gauge, 7);
    CHECK(smx_worker(segment) == 1);
    close(segment->fd);
    worker_arrive(step); /* now a third process takes slot 1 */
    CHECK(worker_reach(step, 3));
    smx_set_role(segment, "loser");
    CHECK(strcmp(segment->slot_table[1].role, "") == 0);
    smx_gauge_set(gauge, 5);
    CHECK(cells_lost(segment, SMX_LOST_GAUGE) == 1);
    smx_heartbeat(segment);
    CHECK(cells_gauge_sum(segment, gauge) == 9);
    CHECK(smx_worker(segment) == 2);
    CHECK(strcmp(segment->slot_table[2].role, "loser") == 0);
    smx_gauge_set(gauge, 8);
    CHECK(cells_gauge_sum(segment, gauge) == 9 + 8);
    worker_arrive(step);
    return 0;
}

static int take_over(void *argument)
{
    CHECK(worker_reach(step, 2));
    smx_segment *segment = open_fresh(argument);
    CHECK(segment && smx_worker(segment) == 1);
    smx_gauge_set(smx_gauge_new(segment, &(struct smx_metric){.name = "g"}, NULL), 9);
    worker_arrive(step);
    CHECK(worker_reach(step, 4));
    return 0;
}

static void a_slot_that_another_has_taken_meanwhile_is_not_taken_back(void **state)
{
    (void)state;
    char instance[] = "taken";
    *step = 0;
    pid_t third = worker_start(take_over, instance);
    smx_segment *holder = open_fresh(instance); /* slot 0, so that the segment stays */
    assert_non_null(holder);
    worker_arrive(step);
    pid_t loser = worker_start(lose_the_slot_and_heartbeat, instance);
    assert_int_equal(worker_wait(loser), 0);
    assert_int_equal(worker_wait(third), 0);
}

static int lose_the_slot_to_a_dead_one(void *argument)
{
    smx_segment *segment = open_fresh(argument);
    CHECK(segment && smx_worker(segment) == 1);
    smx_gauge gauge = smx_gauge_new(segment, &(struct smx_metric){.name = "g"}, NULL);
    smx_gauge_set(gauge, 7);
    close(segment->fd);
    worker_arrive(step);
    CHECK(worker_reach(step, 3));
    smx_heartbeat(segment);
    smx_gauge_set(gauge, 8);
    CHECK(cells_gauge_sum(segment, gauge) == 8);
    return 0;
}

static int take_over_and_die(void *argument)
{
    CHECK(worker_reach(step, 2));
    smx_segment *segment = open_fresh(argument);
    CHECK(segment && smx_worker(segment) == 1);
    return 0;
}

static void nor_as_it_was_if_that_one_is_dead_again(void **state)
{
    (void)state;
    char instance[] = "again";
    *step = 0;
    pid_t third = worker_start(take_over_and_die, instance);
    smx_segment *holder = open_fresh(instance);
    assert_non_null(holder);
    worker_arrive(step);
    pid_t loser = worker_start(lose_the_slot_to_a_dead_one, instance);
    assert_int_equal(worker_wait(third), 0);
    worker_arrive(step);
    assert_int_equal(worker_wait(loser), 0);
}

static int has_a_slot(void *argument)
{
    smx_segment *segment = argument;
    CHECK(smx_worker(segment) >= 0);
    return 0;
}

static void the_child_of_a_process_that_closed_has_a_slot(void **state)
{
    (void)state;
    smx_segment *segment = open_fresh("closed");
    assert_non_null(segment);
    smx_close(segment);
    assert_int_equal(smx_worker(segment), -1);
    assert_int_equal(worker_run(has_a_slot, segment), 0);
    assert_int_equal(cells_live(segment), 0);
}

static int lock_the_opener(void *argument)
{
    int fd = open(argument, O_RDONLY);
    struct flock lock = {
        .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = SMX__LOCK_OPEN, .l_len = 1};
    CHECK(fcntl(fd, F_SETLK, &lock) == 0);
    worker_arrive(step);
    CHECK(worker_reach(step, 2));
    return 0;
}

static int attach(void *argument)
{
    CHECK(open_fresh(argument));
    return 0;
}

static void a_readers_lock_keeps_nobody_from_opening(void **state)
{
    (void)state;
    char instance[] = "readlock";
    *step = 0;
    pid_t opener = worker_start(attach, "unrelated");
    assert_int_equal(worker_wait(opener), 0);
    smx_segment *segment = open_fresh(instance);
    assert_non_null(segment);
    pid_t locker = worker_start(lock_the_opener, (void *)(uintptr_t)smx_path(segment));
    assert_true(worker_reach(step, 1));
    assert_int_equal(worker_run(attach, instance), 0);
    worker_arrive(step);
    assert_int_equal(worker_wait(locker), 0);
}

static int lock_the_last_slot(void *argument)
{
    int fd = open(argument, O_RDONLY);
    struct flock lock = {
        .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = SMX__LOCK_AT + 7, .l_len = 1};
    CHECK(fcntl(fd, F_SETLK, &lock) == 0);
    worker_arrive(step);
    CHECK(worker_reach(step, 5));
    return 0;
}

static int make_and_leave(void *argument)
{
    CHECK(open_fresh(argument));
    worker_arrive(step);
    CHECK(worker_reach(step, 3));
    return 0;
}

static int attach_and_stay(void *argument)
{
    CHECK(worker_reach(step, 2));
    CHECK(open_fresh(argument));
    worker_arrive(step);
    CHECK(worker_reach(step, 5));
    return 0;
}

static int find_it_again(void *argument)
{
    smx_segment *segment = open_fresh("behind");
    struct stat st;
    CHECK(segment && stat(smx_path(segment), &st) == 0);
    CHECK(st.st_ino == *(const ino_t *)argument);
    return 0;
}

/* The kernel names the oldest of the locks in the way. */
static void a_readers_older_lock_does_not_hide_who_lives(void **state)
{
    (void)state;
    char instance[] = "behind", path[SCRATCH_SIZE + 64];
    struct stat st;
    *step = 0;
    pid_t maker = worker_start(make_and_leave, instance);
    assert_true(worker_reach(step, 1));
    snprintf(path, sizeof path, "%s/recover@%s.v1.smx", directory, instance);
    pid_t locker = worker_start(lock_the_last_slot, path);
    pid_t other = worker_start(attach_and_stay, instance);
    assert_true(worker_reach(step, 3));
    assert_int_equal(worker_wait(maker), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(worker_run(find_it_again, &st.st_ino), 0);
    *step = 5;
    assert_int_equal(worker_wait(other), 0);
    assert_int_equal(worker_wait(locker), 0);
}

static int open_with_locked_memory(void *argument)
{
    struct stat st;
    CHECK(mlockall(MCL_CURRENT | MCL_FUTURE) == 0);
    smx_segment *segment = open_fresh(argument);
    CHECK(segment && stat(smx_path(segment), &st) == 0);
    CHECK(st.st_size >= 1 << 30);
    /* Blocks of 512 bytes: the kernel has not filled the gigabyte. */
    CHECK(st.st_blocks < 4 * 2048);
    return 0;
}

static void a_host_that_locks_its_memory_does_not_fill_the_tmpfs(void **state)
{
    (void)state;
    assert_int_equal(worker_run(open_with_locked_memory, "mlock"), 0);
}

static void a_reader_in_the_writers_process_survives_a_closed_descriptor(void **state)
{
    (void)state;
    smx_segment *segment = open_fresh("reader");
    assert_non_null(segment);
    smx_reader *reader = NULL;
    close(segment->fd);
    assert_int_equal(smx_reader_open(smx_path(segment), &reader, NULL), 0);
    assert_int_equal(smx_reader_update(reader, NULL), 0);
    assert_int_equal(smx_reader_info(reader)->n_live, 1);
    smx_reader_close(reader);
    assert_int_equal(cells_live(segment), 1);
}

int main(void)
{
    step = worker_shared(sizeof *step);
    if (!step || scratch_make(directory) != 0)
        return 1;
    const struct CMUnitTest tests[] = {
        /* First: it would fill every segment that this process had mapped before. */
        cmocka_unit_test(a_host_that_locks_its_memory_does_not_fill_the_tmpfs),
        cmocka_unit_test(a_heartbeat_takes_back_the_lock_that_a_host_closed),
        cmocka_unit_test(a_slot_that_another_has_taken_meanwhile_is_not_taken_back),
        cmocka_unit_test(nor_as_it_was_if_that_one_is_dead_again),
        cmocka_unit_test(the_child_of_a_process_that_closed_has_a_slot),
        cmocka_unit_test(a_readers_lock_keeps_nobody_from_opening),
        cmocka_unit_test(a_readers_older_lock_does_not_hide_who_lives),
        cmocka_unit_test(a_reader_in_the_writers_process_survives_a_closed_descriptor),
    };
    int status = RUN_TESTS(tests);
    scratch_remove(directory);
    return status;
}
