/* SPDX-License-Identifier: MIT
 *
 * 30-reader-live.c - the reader on segments that libshm writes: in the writing process itself,
 * whose locks must survive the reader, and beside forked workers that live and die.
 */
#include "support/tap.h"

#include "support/family.h"
#include "support/scratch.h"
#include "support/soundness.h"

#include <smx/reader.h>
#include <smx/smx.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[SCRATCH_SIZE];
static smx_segment *segment;
static struct smx_diag diag;

static int setup(void **state)
{
    (void)state;
    alarm(ALARM_S);
    if (scratch_make(directory) != 0)
        return -1;
    return smx_open(
        &(struct smx_options){.app = "shop",
                              .directory = directory,
                              .role = "master",
                              .constant_labels = (const char *const[]){"region", "eu", NULL}},
        &segment, &diag);
}

static int teardown(void **state)
{
    (void)state;
    smx_close(segment);
    scratch_remove(directory);
    return 0;
}

static smx_reader *open_reader(void)
{
    smx_reader *reader = NULL;
    assert_int_equal(smx_reader_open(smx_path(segment), &reader, &diag), 0);
    return reader;
}

static void update(smx_reader *reader)
{
    assert_int_equal(smx_reader_update(reader, &diag), 0);
    assert_null(soundness_fault(reader));
    assert_int_equal(smx_reader_info(reader)->errors, 0);
}

static const struct smx_family_info *find(const smx_reader *reader, const char *name)
{
    const struct smx_family_info *found = family_named(reader, name);
    if (!found)
        fail_msg("no family %s", name);
    return found;
}

/* How many processes a fresh reader in another process sees alive. */
static int live_seen_by_another(void)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        smx_reader *reader;
        /* The child claimed a slot of its own at fork; it is not counted. */
        smx_close(segment);
        if (smx_reader_open(smx_path(segment), &reader, NULL) != 0 ||
            smx_reader_update(reader, NULL) != 0)
            _exit(99);
        _exit((int)smx_reader_info(reader)->n_live);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_own_segment(void **state)
{
    size_t n;
    (void)state;
    smx_reader *reader = open_reader();
    update(reader);
    assert_int_equal(smx_reader_info(reader)->n_live, 1);
    const struct smx_process_info *p = smx_reader_processes(reader, &n);
    assert_int_equal(n, 1);
    assert_int_equal(p->pid, getpid());
    assert_int_equal(p->worker, smx_worker(segment));
    assert_string_equal(p->role, "master");
    smx_reader_close(reader);
    assert_int_equal(live_seen_by_another(), 1);
    /* The reader shared the writer's descriptor: it left none behind. */
    int before = dup(STDIN_FILENO);
    close(before);
    smx_reader_close(open_reader());
    int after = dup(STDIN_FILENO);
    close(after);
    assert_int_equal(before, after);
}

/* The reader comes first and has a descriptor of its own when the process opens the segment. */
static void test_reader_before_writer(void **state)
{
    (void)state;
    int status;
    pid_t child = fork();
    if (child == 0) {
        char other[SCRATCH_SIZE];
        smx_segment *mine = NULL;
        smx_reader *reader = NULL;
        int ready[2];
        char byte = 0;
        if (scratch_make(other) != 0 || pipe(ready) != 0)
            _exit(1);
        struct smx_options options = {.app = "late", .directory = other};
        pid_t maker = fork();
        if (maker == 0) {
            byte = smx_open(&options, &mine, NULL) == 0;
            (void)!write(ready[1], &byte, 1);
            for (;;)
                pause();
        }
        char path[128];
        bool good = read(ready[0], &byte, 1) == 1 && byte &&
                    smx_find("late", NULL, other, path, sizeof path, NULL) == 0 &&
                    smx_reader_open(path, &reader, NULL) == 0 &&
                    smx_open(&options, &mine, NULL) == 0;
        if (good)
            smx_reader_close(reader);
        smx_close(segment);
        segment = mine;
        good = good && live_seen_by_another() == 2;
        kill(maker, SIGKILL);
        waitpid(maker, NULL, 0);
        scratch_remove(other);
        _exit(good ? 0 : 2);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void test_everything(void **state)
{
    (void)state;
    smx_family requests = smx_counter_family(
        segment, &(struct smx_metric){.name = "requests_total", .labels = {"code"}}, &diag);
    smx_counter_add(smx_counter_with(requests, SMX_VALUES("200")), 5);
    smx_histogram wait = smx_histogram_new(
        segment, &(struct smx_metric){.name = "wait_seconds", .unit = "seconds"}, &diag);
    smx_histogram_observe(wait, 0.25);
    smx_histogram_observe(wait, 0.75);
    smx_gauge busy = smx_gauge_new(segment, &(struct smx_metric){.name = "busy"}, &diag);
    smx_gauge_set(busy, -3);
    smx_fgauge load =
        smx_fgauge_new(segment, &(struct smx_metric){.name = "load", .mode = SMX_LAST}, &diag);
    smx_fgauge_set(load, 0.5);
    smx_reader *reader = open_reader();
    update(reader);
    assert_string_equal(smx_reader_info(reader)->labels[0].value.at, "eu");
    const struct smx_family_info *f = find(reader, "requests_total");
    bool seen = false;
    for (size_t i = 0; i < f->n_series; i++) {
        if (f->series[i].overflow)
            assert_false(f->series[i].present);
        else
            seen = f->series[i].count == 5 && strcmp(f->series[i].values[0].at, "200") == 0;
    }
    assert_true(seen);
    const struct smx_histogram_info *h = find(reader, "wait_seconds")->series->histogram;
    assert_int_equal(h->count, 2);
    assert_int_equal(h->sum, 1000000000);
    assert_int_equal(h->min, 250000000);
    assert_int_equal(h->max, 750000000);
    double lower = smx_histogram_quantile(h, 0.4);
    assert_true(lower > 0.22 && lower <= 0.25);
    assert_true(smx_histogram_average(h) == 0.5);
    assert_int_equal(find(reader, "busy")->series->integer, -3);
    assert_true(find(reader, "load")->series->real == 0.5);
    smx_reader_close(reader);
}

/* Every value goes to the bucket whose bounds, as the reader tells them, hold it. */
static void test_bounds_agree(void **state)
{
    static const double bounds[] = {0.005, 0.01, 0.025, 0.3, 1, 2.5};
    (void)state;
    smx_histogram linear = smx_histogram_new(
        segment,
        &(struct smx_metric){
            .name = "explicit_seconds", .unit = "seconds", .bounds = bounds, .n_bounds = 6},
        &diag);
    smx_histogram powers = smx_histogram_new(
        segment,
        &(struct smx_metric){.name = "exponential_seconds", .unit = "seconds", .schema = 5}, &diag);
    smx_reader *reader = open_reader();
    update(reader);
    const struct smx_family_info *families[2] = {find(reader, "explicit_seconds"),
                                                 find(reader, "exponential_seconds")};
    uint64_t ticks = 1;
    for (int i = 0; i < 400; i++, ticks += ticks / 13 + 1) {
        double value = (double)ticks / 1e9;
        uint64_t counts[2];
        size_t bucket[2];
        for (int k = 0; k < 2; k++) {
            bucket[k] = 0;
            while (value > families[k]->upper_bounds[bucket[k]])
                bucket[k]++;
            counts[k] = families[k]->series->histogram->buckets[bucket[k]];
        }
        smx_histogram_record(linear, ticks);
        smx_histogram_record(powers, ticks);
        update(reader);
        for (int k = 0; k < 2; k++)
            assert_int_equal(families[k]->series->histogram->buckets[bucket[k]], counts[k] + 1);
    }
    smx_reader_close(reader);
}

static void test_workers_come_and_go(void **state)
{
    enum { WORKERS = 20, ADDS = 1000 };
    (void)state;
    smx_counter work = smx_counter_new(segment, &(struct smx_metric){.name = "work_total"}, &diag);
    smx_gauge busy = smx_gauge_new(segment, &(struct smx_metric){.name = "busy"}, &diag);
    smx_reader *reader = open_reader();
    for (int i = 0; i < WORKERS; i++) {
        int ready[2];
        char byte;
        assert_int_equal(pipe(ready), 0);
        pid_t pid = fork();
        if (pid == 0) {
            smx_gauge_set(busy, 7);
            for (int k = 0; k < ADDS; k++)
                smx_counter_inc(work);
            (void)!write(ready[1], "", 1);
            for (;;)
                pause();
        }
        assert_int_equal(read(ready[0], &byte, 1), 1);
        close(ready[0]);
        close(ready[1]);
        update(reader);
        assert_int_equal(smx_reader_info(reader)->n_live, 2);
        assert_int_equal(find(reader, "busy")->series->integer, 7);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        update(reader);
        assert_int_equal(smx_reader_info(reader)->n_live, 1);
        assert_false(find(reader, "busy")->series->present);
    }
    assert_int_equal(find(reader, "work_total")->series->count, WORKERS * ADDS);
    smx_reader_close(reader);
}

#define TEST(function, name)                                                                       \
    {                                                                                              \
        name, function, setup, teardown, NULL                                                      \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_own_segment, "reading one's own segment keeps one's locks"),
        TEST(test_reader_before_writer, "so does a reader that was there before the writer"),
        TEST(test_everything, "what libshm writes is what a reader says"),
        TEST(test_bounds_agree, "values land in the bucket whose bounds hold them"),
        TEST(test_workers_come_and_go, "workers' counts stay and their gauges go"),
    };
    return RUN_TESTS(tests);
}
