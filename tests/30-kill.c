/* SPDX-License-Identifier: MIT
 *
 * 30-kill.c - workers that are killed at any instruction, and the tally that each keeps by itself
 * behind every operation: of each counter at most the one operation in flight per kill is unknown.
 * 30-storm.c does the same to a whole server.
 */
#include "support/cells.h"
#include "support/scratch.h"
#include "support/tap.h"
#include "support/worker.h"

#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WORKERS = 8, COUNTERS = 4, KILLS = 800, SLOTS = 12 };

static char directory[SCRATCH_SIZE];
static smx_segment *segment;
static smx_counter counter[COUNTERS];
static smx_histogram histogram;
static smx_gauge in_flight;
static smx_family requests;

/* Written by its worker alone, behind each operation; on a line of its own. */
struct tally {
    _Alignas(64) uint64_t adds[COUNTERS];
    uint64_t records;
    uint64_t labelled;
};
static struct tally *tally;

static void count_one(uint64_t *word)
{
    __atomic_store_n(word, *word + 1, __ATOMIC_RELAXED);
}

static int work(void *argument)
{
    struct tally *own = &tally[(uintptr_t)argument];
    for (uint64_t n = 0;; n++) {
        smx_gauge_inc(in_flight);
        for (int i = 0; i < COUNTERS; i++) {
            smx_counter_inc(counter[i]);
            count_one(&own->adds[i]);
        }
        smx_histogram_record(histogram, n % 1000);
        count_one(&own->records);
        smx_counter_inc(smx_counter_with(requests, n % 2 ? SMX_VALUES("odd") : SMX_VALUES("even")));
        count_one(&own->labelled);
        smx_gauge_dec(in_flight);
        if (n % 8 == 0)
            sched_yield(); /* there are fewer CPUs than workers */
    }
    return 0;
}

static void register_all(void)
{
    for (int i = 0; i < COUNTERS; i++) {
        char name[32];
        snprintf(name, sizeof name, "c%d_total", i);
        counter[i] = smx_counter_new(segment, &(struct smx_metric){.name = name}, NULL);
    }
    histogram = smx_histogram_new(segment, &(struct smx_metric){.name = "h"}, NULL);
    in_flight = smx_gauge_new(segment, &(struct smx_metric){.name = "in_flight"}, NULL);
    requests = smx_counter_family(
        segment, &(struct smx_metric){.name = "requests_total", .labels = {"kind"}}, NULL);
    smx_counter_with(requests, SMX_VALUES("odd"));
    smx_counter_with(requests, SMX_VALUES("even"));
}

/* Kill one after another, each after it has done something, and replace it. */
static void storm(pid_t pid[WORKERS])
{
    for (int kill_number = 0; kill_number < KILLS; kill_number++) {
        int victim = kill_number * 7 % WORKERS;
        uint64_t before = __atomic_load_n(&tally[victim].labelled, __ATOMIC_RELAXED);
        uint64_t deadline = worker_now_ns() + PATIENCE_NS;
        while (__atomic_load_n(&tally[victim].labelled, __ATOMIC_RELAXED) < before + 3 &&
               worker_now_ns() < deadline)
            sched_yield();
        assert_int_equal(kill(pid[victim], SIGKILL), 0);
        assert_int_equal(worker_wait(pid[victim]), -SIGKILL);
        pid[victim] = worker_start(work, (void *)(uintptr_t)victim);
    }
}

static void check(uint64_t value, uint64_t known, const char *what)
{
    if (value < known || value > known + KILLS + WORKERS)
        fail_msg("%s: the segment says %llu, the tally %llu", what, (unsigned long long)value,
                 (unsigned long long)known);
}

static void what_killed_workers_counted_stays(void **state)
{
    (void)state;
    pid_t pid[WORKERS];
    struct stat before;
    struct stat after;
    assert_int_equal(stat(smx_path(segment), &before), 0);
    uint64_t allocated = segment->header->allocated;
    for (uintptr_t i = 0; i < WORKERS; i++)
        pid[i] = worker_start(work, (void *)i);
    storm(pid);
    /* The last ones may still be on their way out of fork(). */
    uint64_t deadline = worker_now_ns() + PATIENCE_NS;
    while (cells_live(segment) < WORKERS + 1 && worker_now_ns() < deadline)
        sched_yield();
    assert_int_equal(cells_live(segment), WORKERS + 1);
    assert_in_range(cells_gauge_sum(segment, in_flight), 0, WORKERS);
    for (int i = 0; i < WORKERS; i++) {
        kill(pid[i], SIGKILL);
        assert_int_equal(worker_wait(pid[i]), -SIGKILL);
    }
    struct tally sum;
    memset(&sum, 0, sizeof sum);
    for (int w = 0; w < WORKERS; w++) {
        for (int i = 0; i < COUNTERS; i++)
            sum.adds[i] += tally[w].adds[i];
        sum.records += tally[w].records;
        sum.labelled += tally[w].labelled;
    }
    for (int i = 0; i < COUNTERS; i++)
        check(smx_counter_value(counter[i]), sum.adds[i], "a counter");
    check(smx_histogram_count(histogram), sum.records, "the histogram");
    check(smx_counter_value(smx_counter_with(requests, SMX_VALUES("odd"))) +
              smx_counter_value(smx_counter_with(requests, SMX_VALUES("even"))),
          sum.labelled, "the labelled counters");
    assert_int_equal(cells_gauge_sum(segment, in_flight), 0);
    assert_int_equal(cells_live(segment), 1);
    assert_int_equal(cells_lost(segment, SMX_LOST_SLOTS), 0);
    assert_int_equal(segment->header->allocated, allocated);
    assert_int_equal(stat(smx_path(segment), &after), 0);
    assert_int_equal(after.st_blocks, before.st_blocks);
}

static int register_until_killed(void *argument)
{
    (void)argument;
    for (unsigned i = 0;; i++) {
        char value[32];
        snprintf(value, sizeof value, "%d_%u", (int)getpid(), i);
        smx_counter_inc(smx_counter_with(requests, SMX_VALUES(value)));
        count_one(&tally[0].labelled);
        if (i % 4 == 0)
            sched_yield();
    }
    return 0;
}

/* The chains stay whole, the cap stays the cap, and nothing is counted nowhere. */
static void a_registry_whose_writers_are_killed_stays_whole(void **state)
{
    (void)state;
    uint64_t killed = 0;
    const struct smx__family *family = cells_family(requests);
    memset(tally, 0, WORKERS * sizeof *tally);
    unsigned records = cells_records(segment, SMX__RECORD_SERIES) - family->n_series;
    for (; killed < 100 && family->n_series < family->max_series; killed++) {
        pid_t pid = worker_start(register_until_killed, NULL);
        uint64_t until = __atomic_load_n(&tally[0].labelled, __ATOMIC_RELAXED) + 10;
        uint64_t deadline = worker_now_ns() + PATIENCE_NS;
        while (__atomic_load_n(&tally[0].labelled, __ATOMIC_RELAXED) < until &&
               worker_now_ns() < deadline)
            sched_yield();
        kill(pid, SIGKILL);
        assert_int_equal(worker_wait(pid), -SIGKILL);
    }
    unsigned published = cells_records(segment, SMX__RECORD_SERIES) - records;
    assert_in_range(published, family->n_series, family->n_series + killed);
    assert_in_range(published, 10, family->max_series + killed);
}

int main(void)
{
    struct smx_options options = {
        .app = "kill", .directory = directory, .slots = SLOTS, .max_bytes = 16 << 20};
    tally = worker_shared(WORKERS * sizeof *tally);
    if (!tally || scratch_make(directory) != 0 || smx_open(&options, &segment, NULL) != 0)
        return 1;
    register_all();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_killed_workers_counted_stays),
        cmocka_unit_test(a_registry_whose_writers_are_killed_stays_whole),
    };
    int status = RUN_TESTS(tests);
    scratch_remove(directory);
    return status;
}
