/* SPDX-License-Identifier: MIT
 *
 * 30-pid.c - a pid that comes again: the successor of a dead process has its number and claims its
 * slot. In a PID namespace of its own, where a test may say which number is next; needs root.
 */
#include "support/cells.h"
#include "support/process.h"
#include "support/scratch.h"
#include "support/tap.h"
#include "support/worker.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

enum { ROUNDS = 100, AGAIN = 300 };

static char directory[SCRATCH_SIZE];
static smx_segment *segment;
static smx_gauge gauge;

static int make_it_next(pid_t pid)
{
    char text[16];
    int length = snprintf(text, sizeof text, "%d", (int)pid - 1);
    int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
    CHECK(fd >= 0 && write(fd, text, (size_t)length) == length);
    close(fd);
    return 0;
}

static int set_and_die(void *argument)
{
    CHECK(getpid() == AGAIN && smx_worker(segment) == 1);
    smx_gauge_set(gauge, 1000);
    (void)argument;
    raise(SIGKILL);
    return 1;
}

static int start_from_zero(void *argument)
{
    CHECK(getpid() == AGAIN);
    CHECK(smx_worker(segment) == *(const int *)argument);
    CHECK(smx_gauge_value(gauge) == 0 && cells_gauge_sum(segment, gauge) == 0);
    smx_gauge_add(gauge, 1);
    CHECK(smx_gauge_value(gauge) == 1 && cells_gauge_sum(segment, gauge) == 1);
    CHECK(cells_live(segment) == 2);
    return 0;
}

static int has_slot(void *argument)
{
    CHECK(getpid() != AGAIN && smx_worker(segment) == *(const int *)argument);
    return 0;
}

static int open_it(void)
{
    struct smx_options options = {.app = "pid", .directory = directory, .slots = 8, .rows = 2};
    CHECK(smx_open(&options, &segment, NULL) == 0);
    gauge = smx_gauge_new(segment, &(struct smx_metric){.name = "g"}, NULL);
    return 0;
}

static int let_a_pid_come_again(void *argument)
{
    int worker = 1;
    (void)argument;
    CHECK(getpid() == 1 && open_it() == 0);
    for (size_t i = scaled(ROUNDS); i > 0; i--) {
        CHECK(make_it_next(AGAIN) == 0 && worker_run(set_and_die, NULL) == -SIGKILL);
        CHECK(make_it_next(AGAIN) == 0 && worker_run(start_from_zero, &worker) == 0);
    }
    CHECK(cells_lost(segment, SMX_LOST_SLOTS) == 0);
    return 0;
}

/* It died between its claim and its lock. To its namesake that looks like another copy of libshm in
 * the same process, which is about to lock it. */
static int let_a_claimers_pid_come_again(void *argument)
{
    int second = 2;
    int first = 1;
    (void)argument;
    CHECK(getpid() == 1 && open_it() == 0);
    struct smx__slot *slots =
        (struct smx__slot *)(void *)((char *)segment->header + segment->header->slots_at);
    slots[1].state = UINT64_C(7) << 32 | AGAIN << 8 | SMX__SLOT_CLAIMING;
    CHECK(make_it_next(AGAIN) == 0 && worker_run(start_from_zero, &second) == 0);
    CHECK(worker_run(has_slot, &first) == 0);
    CHECK(slots[1].state >> 32 == 8);
    return 0;
}

static int in_a_namespace(int (*body)(void *argument))
{
    CHECK(unshare(CLONE_NEWPID) == 0);
    return worker_run(body, NULL);
}

static int run_reuse(void *argument)
{
    (void)argument;
    return in_a_namespace(let_a_pid_come_again);
}

static int run_claimer(void *argument)
{
    (void)argument;
    return in_a_namespace(let_a_claimers_pid_come_again);
}

static bool is_root(void)
{
    if (geteuid() == 0)
        return true;
    print_message("# not root: no namespace\n");
    return false;
}

static void who_has_a_dead_ones_pid_has_nothing_else_of_it(void **state)
{
    (void)state;
    if (is_root())
        assert_int_equal(worker_run(run_reuse, NULL), 0);
}

static void who_has_the_pid_of_a_dead_claimer_takes_another_slot(void **state)
{
    (void)state;
    if (is_root())
        assert_int_equal(worker_run(run_claimer, NULL), 0);
}

int main(void)
{
    if (scratch_make(directory) != 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_has_a_dead_ones_pid_has_nothing_else_of_it),
        cmocka_unit_test(who_has_the_pid_of_a_dead_claimer_takes_another_slot),
    };
    int status = RUN_TESTS(tests);
    scratch_remove(directory);
    return status;
}
