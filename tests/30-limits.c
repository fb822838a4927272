/* SPDX-License-Identifier: MIT
 *
 * 30-limits.c - hosts under every limit that a process can have, low to any degree, set before the
 * segment is opened or after; and in a memory cgroup that is too small, where the kernel kills. No
 * signal but that one; and when the limit is lifted, all works without a restart.
 */
#include "support/cells.h"
#include "support/cgroup.h"
#include "support/host.h"
#include "support/process.h"
#include "support/scratch.h"
#include "support/soundness.h"
#include "support/tap.h"
#include "support/worker.h"

#include <smx/reader.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB (UINT64_C(1) << 20)

static char directory[SCRATCH_SIZE];
static struct host_tally *tally; /* shared */

static struct smx_options options_of(uint64_t max_bytes, unsigned flags)
{
    return (struct smx_options){.app = "limits",
                                .directory = directory,
                                .slots = 8,
                                .rows = 2,
                                .max_bytes = max_bytes,
                                .flags = flags};
}

static void forget(void)
{
    char path[64];
    snprintf(path, sizeof path, "%s/limits.v1.smx", directory);
    unlink(path);
    *tally = (struct host_tally){0};
}

static int set_limit(int resource, rlim_t value)
{
    struct rlimit limit;
    CHECK(getrlimit((__rlimit_resource_t)resource, &limit) == 0);
    limit.rlim_cur = value < limit.rlim_max ? value : limit.rlim_max;
    CHECK(setrlimit((__rlimit_resource_t)resource, &limit) == 0);
    return 0;
}

struct limited {
    int resource;
    rlim_t value;
    int code;      /* what opening may say, if not 0 */
    uint32_t open; /* 1: it had worked */
};

/* Set the limit, open and use; lift it, open and use. */
static int use_limited(void *argument)
{
    struct limited *l = argument;
    struct smx_options options = options_of(2 * MIB, 0);
    struct rlimit before;
    smx_segment *segment, *again;
    CHECK(signal(SIGXFSZ, SIG_DFL) != SIG_ERR);
    CHECK(getrlimit((__rlimit_resource_t)l->resource, &before) == 0);
    CHECK(set_limit(l->resource, l->value) == 0);
    int error = smx_open(&options, &segment, NULL);
    CHECK(error == 0 || error == l->code);
    CHECK(host_use(segment, tally) == 0);
    CHECK(host_use_in_child(segment, tally) == 0);
    l->open = error == 0;
    CHECK(set_limit(l->resource, before.rlim_cur) == 0);
    CHECK(smx_open(&options, &again, NULL) == 0 && (!segment || segment == again));
    CHECK(host_recovers(again, tally) == 0);
    return host_compare(again, tally);
}

static struct limited *limited;

static bool opens_under(int resource, rlim_t value, int code)
{
    *limited = (struct limited){.resource = resource, .value = value, .code = code};
    forget();
    int status = worker_run(use_limited, limited);
    if (status != 0)
        fail_msg("limit %d of %llu: status %d", resource, (unsigned long long)value, status);
    return limited->open;
}

static void any_file_size_limit(void **state)
{
    (void)state;
    static const rlim_t odd[] = {0, 1, 511, 4095, 4096, 4097, 65535, 65536, 65537};
    unsigned opened = 0, n = 0;
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
        assert_false(opens_under(RLIMIT_FSIZE, odd[i], -EFBIG));
    for (rlim_t value = 4096; value < 160 * 1024; value += 2048, n++)
        opened += opens_under(RLIMIT_FSIZE, value, -EFBIG);
    assert_true(opened > 0 && opened < n);
    assert_true(opens_under(RLIMIT_FSIZE, 4 * MIB + 1, 0));
    assert_true(opens_under(RLIMIT_FSIZE, RLIM_INFINITY, 0));
}

static void any_limit_of_descriptors(void **state)
{
    (void)state;
    unsigned opened = 0;
    for (rlim_t value = 0; value < 16; value++)
        opened += opens_under(RLIMIT_NOFILE, value, -EMFILE);
    assert_in_range(opened, 1, 15);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
static rlim_t address_space(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu", &pages), 1);
    fclose(file);
    return (rlim_t)pages * 4096;
}

static void any_limit_of_address_space(void **state)
{
    (void)state;
    unsigned opened = 0, n = 0;
    rlim_t now = address_space();
    for (rlim_t more = 0; more < 16 * MIB; more += 128 * 1024, n++)
        opened += opens_under(RLIMIT_AS, now + more, -ENOMEM);
    assert_true(opened > 0 && opened < n);
}
#endif

/* What is lowered after open matters to nobody who has it open. */
static int lower_after_open(void *argument)
{
    struct smx_options options = options_of(2 * MIB, 0);
    smx_segment *segment;
    (void)argument;
    CHECK(smx_open(&options, &segment, NULL) == 0);
    CHECK(signal(SIGXFSZ, SIG_DFL) != SIG_ERR);
    CHECK(set_limit(RLIMIT_FSIZE, 0) == 0 && set_limit(RLIMIT_NOFILE, 0) == 0);
    CHECK(host_use(segment, tally) == 0 && host_use_in_child(segment, tally) == 0);
    CHECK(tally->refused == 0 && tally->dropped == 0);
    CHECK(set_limit(RLIMIT_NOFILE, 64) == 0);
    return host_compare(segment, tally);
}

static void limits_that_are_lowered_after_open(void **state)
{
    (void)state;
    forget();
    assert_int_equal(worker_run(lower_after_open, NULL), 0);
}

/* Series until the segment has no room; *done is how many are counted. */
static int fill_segment(smx_segment *segment, uint32_t *done)
{
    struct smx_metric metric = {
        .name = "many_total", .labels = {"of"}, .max_series = UINT32_MAX / 2};
    smx_family family = smx_counter_family(segment, &metric, NULL);
    CHECK(family.record);
    while (cells_lost(segment, SMX_LOST_SPACE) == 0) {
        char value[16];
        snprintf(value, sizeof value, "%u", *done);
        smx_counter_inc(smx_counter_with(family, SMX_VALUES(value)));
        worker_arrive(done);
    }
    return 0;
}

/* What a host in a cgroup shares with the test. */
static struct {
    uint32_t done;
    uint64_t used_at_open, used_at_end;
} * shared;

enum { BUDGET = 32 };

static int fill_in_cgroup(void *flags)
{
    struct smx_options options = options_of(BUDGET * MIB, *(unsigned *)flags);
    smx_segment *segment;
    CHECK(cgroup_enter() == 0);
    CHECK(smx_open(&options, &segment, NULL) == 0);
    shared->used_at_open = cgroup_used();
    /* From here on there is room for a little more than what is in use, not for the budget. */
    CHECK(cgroup_limit(shared->used_at_open + BUDGET / 4 * MIB) == 0);
    CHECK(fill_segment(segment, &shared->done) == 0);
    shared->used_at_end = cgroup_used();
    return 0;
}

/* Fill the budget of a segment in a cgroup that has no room for it. */
static int outcome_in_cgroup(unsigned flags)
{
    forget();
    shared->done = 0;
    assert_true(cgroup_make());
    int status = worker_run(fill_in_cgroup, &flags);
    cgroup_remove();
    return status;
}

/* All that was counted before is there. */
static void check_what_is_left(void)
{
    char path[64];
    smx_reader *reader;
    uint64_t sum = 0;
    snprintf(path, sizeof path, "%s/limits.v1.smx", directory);
    assert_int_equal(smx_reader_open(path, &reader, NULL), 0);
    assert_int_equal(smx_reader_update(reader, NULL), 0);
    assert_null(soundness_fault(reader));
    assert_int_equal(smx_reader_info(reader)->errors, 0);
    const struct smx_family_info *f = smx_reader_family(reader, 0);
    for (size_t i = 0; i < f->n_series; i++)
        sum += f->series[i].count;
    /* The last one may have been counted, and not noted any more. */
    assert_in_range(sum, shared->done, shared->done + 1);
    smx_reader_close(reader);
}

static void a_full_cgroup_kills_but_takes_nothing_that_was_counted(void **state)
{
    (void)state;
    if (!cgroup_make()) {
        print_message("# no right to make a memory cgroup\n");
        return;
    }
    cgroup_remove();
    assert_int_equal(outcome_in_cgroup(0), -SIGKILL);
    assert_in_range(shared->done, 1000, 1u << 20);
    print_message("# killed at series %u\n", shared->done);
    check_what_is_left();
}

static void a_full_cgroup_does_not_kill_for_what_was_reserved_at_open(void **state)
{
    (void)state;
    if (!cgroup_make()) {
        print_message("# no right to make a memory cgroup\n");
        return;
    }
    cgroup_remove();
    assert_int_equal(outcome_in_cgroup(SMX_RESERVE_NOW), 0);
    print_message("# %u series took %lld KiB more than at open\n", shared->done,
                  (long long)(shared->used_at_end - shared->used_at_open) / 1024);
    assert_true(shared->used_at_open > BUDGET * MIB);
    assert_true(shared->used_at_end < shared->used_at_open + MIB);
    check_what_is_left();
}

int main(void)
{
    tally = worker_shared(sizeof *tally);
    limited = worker_shared(sizeof *limited);
    shared = worker_shared(sizeof *shared);
    if (!tally || !limited || !shared || scratch_make(directory) != 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_file_size_limit),
        cmocka_unit_test(any_limit_of_descriptors),
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
        cmocka_unit_test(any_limit_of_address_space),
#endif
        cmocka_unit_test(limits_that_are_lowered_after_open),
        cmocka_unit_test(a_full_cgroup_kills_but_takes_nothing_that_was_counted),
        cmocka_unit_test(a_full_cgroup_does_not_kill_for_what_was_reserved_at_open),
    };
    int status = RUN_TESTS(tests);
    scratch_remove(directory);
    return status;
}
