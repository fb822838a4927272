/* SPDX-License-Identifier: MIT
 *
 * 30-sandbox.c - workers in a seccomp sandbox, where a system call that is not allowed is death:
 * which entries of libshm make one, and that no update does, nor any registration after
 * SMX_RESERVE_NOW. Each entry is tried by a child of its own, by a filter that lets read, write and
 * exit through, and in the strict mode, which also forbids to read the time stamp counter.
 */
#include "support/cells.h"
#include "support/scratch.h"
#include "support/tap.h"
#include "support/worker.h"

#include <smx/scope.h>

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MANY = 3000, BUDGET = 4 << 20, VALUE = 16 };

static char directory[SCRATCH_SIZE];
static smx_segment *segment;
static smx_counter counter;
static smx_histogram histogram;
static smx_gauge gauge;
static smx_fgauge fgauge;
static smx_gauge last;
static smx_family family;

static smx_segment *open_app(const char *app, unsigned flags)
{
    smx_segment *own = NULL;
    struct smx_options options = {
        .app = app, .directory = directory, .slots = 8, .max_bytes = BUDGET, .flags = flags};
    return smx_open(&options, &own, NULL) == 0 ? own : NULL;
}

static void register_all(const char *app, unsigned flags)
{
    segment = open_app(app, flags);
    assert_non_null(segment);
    const struct smx_metric seconds = {.name = "h_seconds", .unit = "seconds"};
    const struct smx_metric shared = {.name = "last", .mode = SMX_LAST};
    const struct smx_metric labelled = {.name = "f_total", .labels = {"n"}, .max_series = MANY / 2};
    counter = smx_counter_new(segment, &(struct smx_metric){.name = "c_total"}, NULL);
    histogram = smx_histogram_new(segment, &seconds, NULL);
    gauge = smx_gauge_new(segment, &(struct smx_metric){.name = "g"}, NULL);
    fgauge = smx_fgauge_new(segment, &(struct smx_metric){.name = "d"}, NULL);
    last = smx_gauge_new(segment, &shared, NULL);
    family = smx_counter_family(segment, &labelled, NULL);
    assert_non_null(smx_counter_with(family, SMX_VALUES("old")).base);
    assert_true(counter.base && histogram.base && gauge.base && fgauge.base && last.base);
}

static int count(void)
{
    uint64_t before = smx_counter_value(counter);
    smx_counter_add(counter, 5);
    smx_counter_add_fn(counter, 5);
    smx_counter_add_signed(counter, 5);
    smx_counter_add_signed(counter, -5);
    CHECK(smx_counter_value(counter) == before + 15);
    return 0;
}

static int record(void)
{
    uint64_t before = smx_histogram_count(histogram);
    smx_histogram_record(histogram, 1000);
    smx_histogram_record(histogram, UINT64_MAX); /* searched for, and a new maximum */
    smx_histogram_observe(histogram, 0.5);
    smx_histogram_observe(histogram, -0.5);
    CHECK(smx_histogram_count(histogram) == before + 3);
    CHECK(smx_histogram_sum(histogram) != 0);
    return 0;
}

static int write_gauges(void)
{
    CHECK(smx_gauge_value(gauge) == 0); /* the first write of this process */
    smx_gauge_add(gauge, 7);
    smx_gauge_dec(gauge);
    smx_fgauge_set(fgauge, 1.5);
    smx_fgauge_add(fgauge, 1);
    smx_gauge_set(last, 9);
    CHECK(smx_gauge_value(gauge) == 6 && smx_fgauge_value(fgauge) == 2.5);
    CHECK(smx_gauge_value(last) == 9);
    return 0;
}

static int find(void)
{
    smx_counter old = smx_counter_with(family, SMX_VALUES("old"));
    uint64_t before = smx_counter_value(old);
    smx_counter_inc(old);
    CHECK(smx_counter_value(smx_counter_with(family, SMX_VALUES("old"))) == before + 1);
    return 0;
}

static int hide(void)
{
    CHECK(smx_series_remove(family, SMX_VALUES("old")) == 0);
    CHECK(smx_counter_with(family, SMX_VALUES("old")).base);
    CHECK(smx_series_remove(family, SMX_VALUES("never")) == -ENOENT);
    return 0;
}

static const char *number(unsigned i, char value[VALUE])
{
    snprintf(value, VALUE, "%u", i);
    return value;
}

/* Past the cap, and past the budget: a histogram's series are big. */
static int make_series(void)
{
    const struct smx_metric wide = {.name = "wide", .labels = {"n"}, .max_series = MANY};
    char value[VALUE];
    for (unsigned i = 0; i < MANY; i++)
        smx_counter_inc(smx_counter_with(family, SMX_VALUES(number(i, value))));
    CHECK(cells_lost(segment, SMX_LOST_SERIES_CAP) > 0);
    smx_family histograms = smx_histogram_family(segment, &wide, NULL);
    for (unsigned i = 0; i < MANY; i++)
        smx_histogram_record(smx_histogram_with(histograms, SMX_VALUES(number(i, value))), i);
    CHECK(cells_lost(segment, SMX_LOST_SPACE) > 0);
    CHECK(!smx_gauge_with(histograms, SMX_VALUES("another type")).base);
    return 0;
}

static int register_families(void)
{
    static const double bounds[] = {1, 2, 3};
    const struct smx_metric exact = {.name = "exact", .bounds = bounds, .n_bounds = 3};
    struct smx_diag diag = {0, ""};
    smx_counter_inc(smx_counter_new(segment, &(struct smx_metric){.name = "new_total"}, &diag));
    smx_gauge_inc(smx_gauge_new(segment, &(struct smx_metric){.name = "new"}, &diag));
    smx_histogram_record(smx_histogram_new(segment, &exact, &diag), 2);
    CHECK(diag.code == 0);
    /* Refused, with a text. */
    CHECK(!smx_gauge_new(segment, &exact, &diag).base && diag.code == -EEXIST);
    return 0;
}

static int say_who(void)
{
    smx_set_role(segment, "sandboxed");
    CHECK(smx_worker(segment) == 1);
    CHECK(strcmp(smx_path(segment), "") != 0);
    CHECK(smx_strerror(-ENOSPC) && smx_lost_name(0));
    return 0;
}

static int look_at_the_clock(void)
{
    uint64_t before = smx_histogram_count(histogram);
    {
        SMX_TIME_SCOPE(histogram);
        SMX_ACTIVE_SCOPE(gauge);
    }
    smx_gauge_set_to_current_time(gauge);
    CHECK(smx_now_ns() != 0 && smx_gauge_value(gauge) > 1000000000);
    CHECK(smx_histogram_count(histogram) == before + 1);
    return 0;
}

static int beat(void)
{
    smx_heartbeat(segment);
    return 0;
}

static int give_up(void)
{
    smx_close(segment);
    return 0;
}

static int open_another(void)
{
    (void)open_app("another", 0);
    return 0;
}

static int forbid_all_but_read_and_write(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_read, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof filter[0], .filter = filter};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static int forbid_strictly(void)
{
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
}

struct attempt {
    int (*enter)(void);
    int (*body)(void);
};

/* exit(2) is the one way out that both let through. */
static int attempt(void *argument)
{
    const struct attempt *a = argument;
    CHECK(a->enter() == 0);
    syscall(SYS_exit, a->body());
    return 1;
}

static int status_of(int (*enter)(void), int (*body)(void))
{
    return worker_run(attempt, &(struct attempt){enter, body});
}

static void every_update_works_in_a_sandbox(void **state)
{
    (void)state;
    static int (*const bodies[])(void) = {
        count, record, write_gauges, find, hide, register_families, say_who, make_series};
    register_all("filtered", SMX_RESERVE_NOW);
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        assert_int_equal(status_of(forbid_all_but_read_and_write, bodies[i]), 0);
    register_all("strict", SMX_RESERVE_NOW);
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        assert_int_equal(status_of(forbid_strictly, bodies[i]), 0);
}

static void timers_work_where_the_time_stamp_counter_may_be_read(void **state)
{
    (void)state;
    assert_int_equal(status_of(forbid_all_but_read_and_write, look_at_the_clock), 0);
#if defined(__x86_64__)
    assert_int_not_equal(status_of(forbid_strictly, look_at_the_clock), 0);
#endif
}

static void what_asks_the_kernel_is_killed(void **state)
{
    (void)state;
    static int (*const bodies[])(void) = {beat, give_up, open_another};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        assert_int_equal(status_of(forbid_all_but_read_and_write, bodies[i]), -SIGSYS);
}

/* So the flag is what the tests above owe their lives to. */
static void without_the_reservation_a_new_series_is_killed(void **state)
{
    (void)state;
    register_all("unreserved", 0);
    assert_int_equal(status_of(forbid_all_but_read_and_write, make_series), -SIGSYS);
    assert_int_equal(status_of(forbid_all_but_read_and_write, write_gauges), 0);
}

int main(void)
{
    if (scratch_make(directory) != 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_update_works_in_a_sandbox),
        cmocka_unit_test(timers_work_where_the_time_stamp_counter_may_be_read),
        cmocka_unit_test(what_asks_the_kernel_is_killed),
        cmocka_unit_test(without_the_reservation_a_new_series_is_killed),
    };
    int status = RUN_TESTS(tests);
    scratch_remove(directory);
    return status;
}
