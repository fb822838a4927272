/* SPDX-License-Identifier: MIT
 *
 * 30-shortlived.c - ten thousand workers, forked one after another, half of them killed: what other
 * libraries keep a file each for. Totals must be exact, and nothing may grow. A thousand under
 * ASan, where a fork takes six times as long.
 */
#include "support/scratch.h"
#include "support/tap.h"

#include <smx/reader.h>
#include <smx/scope.h>

#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
enum { WORKERS = 1000 };
#else
enum { WORKERS = 10000 };
#endif
enum { SERIES = 20, ADDS = 1000, READS = 50 };

/* What a segment costs: its file, its reader, its table of processes. */
struct cost {
    off_t size;
    blkcnt_t blocks;
    uint64_t allocated;
    size_t processes;
    uint64_t read_ns; /* shown, not judged: the best of READS */
};

static struct cost measure(smx_reader *reader, const char *path)
{
    struct stat file;
    assert_int_equal(stat(path, &file), 0);
    struct cost cost = {.size = file.st_size, .blocks = file.st_blocks, .read_ns = UINT64_MAX};
    for (int i = 0; i < READS; i++) {
        uint64_t start = smx_now_ns();
        assert_int_equal(smx_reader_update(reader, NULL), 0);
        uint64_t took = smx_now_ns() - start;
        cost.read_ns = took < cost.read_ns ? took : cost.read_ns;
    }
    cost.allocated = smx_reader_info(reader)->allocated_bytes;
    (void)smx_reader_processes(reader, &cost.processes);
    return cost;
}

static void work_and_die(const smx_counter counters[SERIES], smx_gauge gauge, int number)
{
    smx_gauge_set(gauge, number);
    for (int n = 0; n < ADDS; n++)
        for (int s = 0; s < SERIES; s++)
            smx_counter_add(counters[s], 1);
    if (number % 2)
        raise(SIGKILL);
    _exit(0);
}

static void run_worker(const smx_counter counters[SERIES], smx_gauge gauge, int number)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        work_and_die(counters, gauge, number);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(number % 2 ? WIFSIGNALED(status) : WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void check_totals(const smx_reader *reader)
{
    uint64_t sum = 0;
    const struct smx_family_info *family = smx_reader_family(reader, 0);
    assert_string_equal(family->name.at, "ops_total");
    size_t n = 0;
    for (size_t s = 0; s < family->n_series; s++) {
        uint64_t expected = family->series[s].overflow ? 0 : (uint64_t)WORKERS * ADDS;
        assert_int_equal(family->series[s].count, expected);
        sum += family->series[s].count;
        n += !family->series[s].overflow;
    }
    assert_int_equal(n, SERIES);
    assert_int_equal(sum, (uint64_t)SERIES * WORKERS * ADDS);
    /* The gauge's value went with the last worker that set it. */
    const struct smx_family_info *gauges = smx_reader_family(reader, 1);
    for (size_t s = 0; s < gauges->n_series; s++)
        assert_false(gauges->series[s].present);
}

static int set_up(void **state)
{
    char *directory = malloc(SCRATCH_SIZE);
    *state = directory;
    return directory ? scratch_make(directory) : -1;
}

static int tear_down(void **state)
{
    scratch_remove(*state);
    free(*state);
    return 0;
}

static void workers_by_the_thousand_leave_exact_totals_and_nothing_else(void **state)
{
    const char *directory = *state;
    smx_segment *segment;
    struct smx_diag diag = {0};
    assert_int_equal(
        smx_open(&(struct smx_options){.app = "short", .directory = directory}, &segment, &diag),
        0);
    smx_family family = smx_counter_family(
        segment, &(struct smx_metric){.name = "ops_total", .labels = {"series"}}, &diag);
    smx_gauge gauge = smx_gauge_new(segment, &(struct smx_metric){.name = "number"}, &diag);
    assert_int_equal(diag.code, 0);
    smx_counter counters[SERIES];
    for (int s = 0; s < SERIES; s++) {
        char value[16];
        snprintf(value, sizeof value, "%d", s);
        counters[s] = smx_counter_with(family, SMX_VALUES(value));
    }

    smx_reader *reader;
    assert_int_equal(smx_reader_open(smx_path(segment), &reader, &diag), 0);
    struct cost before = measure(reader, smx_path(segment));
    for (int i = 0; i < WORKERS; i++)
        run_worker(counters, gauge, i);
    struct cost after = measure(reader, smx_path(segment));

    check_totals(reader);
    assert_int_equal(after.size, before.size);
    assert_int_equal(after.blocks, before.blocks);
    assert_int_equal(after.allocated, before.allocated);
    /* Ourselves and the one slot that all workers had in turn. */
    assert_in_range(after.processes, 1, 2);
    assert_int_equal(smx_reader_info(reader)->n_live, 1);
    assert_int_equal(smx_reader_info(reader)->errors, 0);
    for (int reason = 0; reason < SMX_LOST_COUNT; reason++)
        assert_int_equal(smx_reader_info(reader)->lost[reason], 0);
    print_message("# a read took %" PRIu64 " us before, %" PRIu64 " us after\n",
                  before.read_ns / 1000, after.read_ns / 1000);

    smx_reader_close(reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(workers_by_the_thousand_leave_exact_totals_and_nothing_else,
                                        set_up, tear_down),
    };
    return RUN_TESTS(tests);
}
