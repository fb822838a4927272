/* SPDX-License-Identifier: MIT
 *
 * 10-clock.c - timers by the time stamp counter tell the time that the system clock tells. Each is
 * taken between readings of the clock, so that a test that is held up cannot fail.
 */
#include "support/process.h"
#include "support/scratch.h"
#include "support/tap.h"
#include "support/worker.h"

#include <smx/scope.h>
#include <smx/smx.h>

#include <sys/wait.h>

static char directory[SCRATCH_SIZE];
static smx_histogram histogram;

static void pass_ns(uint64_t ns)
{
    for (uint64_t start = worker_now_ns(); worker_now_ns() - start < ns;)
        ;
}

/* Time `ns` by a timer; 0.1 % and two microseconds is what it may be off. */
static void time_it(uint64_t ns)
{
    uint64_t before = worker_now_ns();
    smx_timer timer = smx_timer_start(histogram);
    uint64_t begun = worker_now_ns();
    pass_ns(ns);
    uint64_t ending = worker_now_ns();
    uint64_t told = smx_timer_stop(&timer);
    uint64_t after = worker_now_ns();
    uint64_t least = ending - begun;
    uint64_t most = after - before;
    if (told + least / 1000 + 2000 < least || told > most + most / 1000 + 2000)
        fail_msg("%llu ns, the clock says %llu to %llu", (unsigned long long)told,
                 (unsigned long long)least, (unsigned long long)most);
}

static void timers_work_before_the_counter_is_measured(void **state)
{
    (void)state;
    time_it(100000);
    assert_int_equal(smx_histogram_count(histogram), 1);
}

static void timers_agree_with_the_clock_once_it_is(void **state)
{
    (void)state;
    for (int i = 0; i < 1000 && !smx_tsc_scale; i++) {
        pass_ns(1000000);
        (void)smx_now_ns();
    }
    printf("# %s\n", smx_tsc_scale ? "the counter is used" : "the counter is not steady here");
    for (uint64_t ns = 1000; ns < 1000000000; ns *= 10)
        time_it(ns);
    /* A minute with SMX_TEST_SCALE=60. */
    time_it(scaled(1000000000));
    assert_int_equal(smx_histogram_count(histogram), 8);
}

static int time_in_child(void *argument)
{
    (void)argument;
    uint64_t before = worker_now_ns();
    smx_timer timer = smx_timer_start(histogram);
    pass_ns(1000000);
    uint64_t told = smx_timer_stop(&timer);
    uint64_t after = worker_now_ns();
    CHECK(told <= (after - before) + (after - before) / 1000 + 2000 && told > 990000);
    return 0;
}

static void a_forked_child_goes_by_its_parents_measure(void **state)
{
    (void)state;
    assert_int_equal(worker_run(time_in_child, NULL), 0);
}

static void a_timer_that_seems_to_run_backwards_tells_nothing(void **state)
{
    (void)state;
    smx_timer timer = smx_timer_start(histogram);
    timer.start += UINT64_C(1) << 40;
    assert_int_equal(smx_timer_elapsed_ns(&timer), 0);
}

int main(void)
{
    smx_segment *segment;
    if (scratch_make(directory) != 0)
        return 1;
    struct smx_options options = {.app = "clock", .directory = directory};
    struct smx_metric metric = {.name = "t_seconds", .unit = "seconds"};
    if (smx_open(&options, &segment, NULL) != 0)
        return 1;
    histogram = smx_histogram_new(segment, &metric, NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_work_before_the_counter_is_measured),
        cmocka_unit_test(timers_agree_with_the_clock_once_it_is),
        cmocka_unit_test(a_forked_child_goes_by_its_parents_measure),
        cmocka_unit_test(a_timer_that_seems_to_run_backwards_tells_nothing),
    };
    int status = RUN_TESTS(tests);
    scratch_remove(directory);
    return status;
}
