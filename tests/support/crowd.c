/* SPDX-License-Identifier: MIT
 *
 * crowd.c - workers and a reader, and the sum of their tallies against the segment.
 */
#include "support/crowd.h"

#include "support/family.h"
#include "support/process.h"
#include "support/soundness.h"
#include "support/tap.h"
#include "support/worker.h"

#include <smx/reader.h>

#include <dirent.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

/* There are fewer CPUs than processes, and who is to die shall come to it. */
static void leave_room(void)
{
    pause_ms(1);
}

static int work(void *argument)
{
    struct crowd *crowd = argument;
    struct life life = crowd_life(crowd);
    CHECK(life_run(&life, LIFE_ATTACH) == 0 && life_run(&life, LIFE_FAMILIES) == 0);
    worker_arrive(&crowd->shared->working);
    while (!__atomic_load_n(&crowd->shared->stop, __ATOMIC_RELAXED)) {
        if (__atomic_load_n(&crowd->shared->idle, __ATOMIC_RELAXED)) {
            pause_ms(1);
            continue;
        }
        CHECK(life_run(&life, LIFE_SERIES) == 0 && life_run(&life, LIFE_UPDATES) == 0);
        CHECK(life_run(&life, LIFE_GAUGES) == 0 && life_run(&life, LIFE_REMOVAL) == 0);
        leave_room();
    }
    return 0;
}

/* Series whose remover was killed are hidden; asking for them shows what they have counted. */
static int revive_all(void *argument)
{
    struct crowd *crowd = argument;
    struct life life = crowd_life(crowd);
    CHECK(life_run(&life, LIFE_ATTACH) == 0 && life_run(&life, LIFE_FAMILIES) == 0);
    for (unsigned i = 0; i < crowd->lives; i++) {
        char value[32];
        snprintf(value, sizeof value, "of %u", i);
        CHECK(smx_counter_with(life.races, SMX_VALUES(value)).base);
    }
    return 0;
}

/* What a family has counted, in all. */
static uint64_t total(const smx_reader *reader, const char *name)
{
    const struct smx_family_info *f = family_named(reader, name);
    uint64_t sum = 0;
    for (size_t i = 0; f && i < f->n_series; i++)
        sum += f->type == SMX_HISTOGRAM ? f->series[i].histogram->count : f->series[i].count;
    return sum;
}

/* Each process writes its number in the gauge, and no other may appear there. */
static bool gauges_are_the_livings(const smx_reader *reader)
{
    size_t n;
    const struct smx_process_info *process = smx_reader_processes(reader, &n);
    const struct smx_family_info *who = family_named(reader, "who");
    const struct smx_each_list none = {NULL, 0};
    const struct smx_each_list each = who && who->n_series ? who->series[0].each : none;
    for (size_t i = 0; i < each.n; i++) {
        size_t k = 0;
        while (k < n && process[k].worker != each.at[i].worker)
            k++;
        if (k == n || !process[k].live || each.at[i].value.integer != process[k].pid)
            return false;
    }
    return true;
}

static int read_all_the_time(void *argument)
{
    struct crowd *crowd = argument;
    smx_reader *reader = NULL;
    struct invariants *v = invariants_open(crowd->path);
    uint64_t ops = 0;
    CHECK(v && smx_reader_open(crowd->path, &reader, NULL) == 0);
    for (unsigned n = 0; !__atomic_load_n(&crowd->shared->stop, __ATOMIC_RELAXED); n++) {
        CHECK(smx_reader_update(reader, NULL) == 0);
        const char *fault = soundness_fault(reader);
        if (!fault && n % 4 == 0)
            fault = invariants_fault(v, NULL);
        if (fault)
            fprintf(stderr, "# %s\n", fault);
        CHECK(!fault && smx_reader_info(reader)->errors == 0);
        CHECK(gauges_are_the_livings(reader));
        CHECK(total(reader, "ops_total") >= ops);
        ops = total(reader, "ops_total");
        worker_arrive(&crowd->shared->reads);
        leave_room();
    }
    smx_reader_close(reader);
    invariants_close(v);
    return 0;
}

struct life crowd_life(struct crowd *crowd)
{
    assert_true(crowd->lives < CROWD_LIVES);
    unsigned number = crowd->lives++;
    return (struct life){.directory = crowd->directory,
                         .number = number,
                         .turn = &crowd->shared->turn,
                         .tally = &crowd->shared->tally[number]};
}

void crowd_start(struct crowd *crowd, unsigned workers)
{
    *crowd = (struct crowd){.lives = 0};
    crowd->shared = worker_shared(sizeof *crowd->shared);
    assert_non_null(crowd->shared);
    assert_int_equal(scratch_make(crowd->directory), 0);
    snprintf(crowd->path, sizeof crowd->path, "%s/%s.v1.smx", crowd->directory, LIFE_APP);
    for (unsigned i = 0; i < workers && i < CROWD_WORKERS; i++) {
        crowd->workers[i] = worker_start(work, crowd);
        crowd->lives++;
        /* One by one: they do not race for the families, whose losers nobody counts. */
        assert_true(worker_reach(&crowd->shared->working, i + 1));
    }
    crowd->reader = worker_start(read_all_the_time, crowd);
    assert_true(worker_reach(&crowd->shared->reads, 1));
}

void crowd_check_files(const struct crowd *crowd, unsigned private_names)
{
    DIR *directory = opendir(crowd->directory);
    unsigned n = 0;
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory));) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/%s", crowd->directory, entry->d_name);
        n += entry->d_name[0] == '.' && entry->d_name[1] != '\0' && entry->d_name[1] != '.';
        if (entry->d_name[0] == '.')
            continue;
        struct invariants *v = invariants_open(path);
        assert_non_null(v);
        const char *fault = invariants_fault(v, NULL);
        if (fault)
            fail_msg("%s: %s", entry->d_name, fault);
        invariants_close(v);
    }
    closedir(directory);
    if (n > private_names)
        fail_msg("%u private names are left", n);
}

static void end(pid_t *pid)
{
    pid_t ended = *pid;
    *pid = 0;
    assert_int_equal(worker_wait(ended), 0);
}

/* What was done is there; what was begun may be; for all lives together no more than `most`. */
static void check_totals(const struct crowd *crowd, const smx_reader *reader, uint64_t most)
{
    static const char *const names[] = {"ops_total", "atomic_ops_total", "sizes", "atomic_sizes",
                                        "races_total"};
    uint64_t in_flight = 0;
    for (int what = 0; what < LIFE_OWN; what++) {
        uint64_t started = 0, done = 0;
        for (unsigned i = 0; i < crowd->lives; i++) {
            started += crowd->shared->tally[i].started[what];
            done += crowd->shared->tally[i].done[what];
        }
        uint64_t value = total(reader, names[what]);
        if (value < done || value > started || done == 0)
            fail_msg("%s is %llu, %llu were done and %llu begun", names[what],
                     (unsigned long long)value, (unsigned long long)done,
                     (unsigned long long)started);
        in_flight += started - done;
    }
    assert_in_range(in_flight, 0, most);
}

/* Each life by itself. */
static void check_own(const struct crowd *crowd, const smx_reader *reader)
{
    for (unsigned i = 0; i < crowd->lives; i++) {
        const struct life_tally *tally = &crowd->shared->tally[i];
        char name[32];
        snprintf(name, sizeof name, "life%u_total", i);
        uint64_t begun = 0, done = 0;
        for (int what = 0; what < LIFE_COUNTS; what++) {
            begun += tally->started[what];
            done += tally->done[what];
        }
        assert_in_range(begun - done, 0, 1);
        assert_in_range(total(reader, name), tally->done[LIFE_OWN], tally->started[LIFE_OWN]);
    }
}

void crowd_stop(struct crowd *crowd, const struct crowd_loss *most, struct invariants_use *use)
{
    smx_reader *reader = NULL;
    assert_int_equal(worker_run(revive_all, crowd), 0);
    crowd->lives++;
    __atomic_store_n(&crowd->shared->stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < CROWD_WORKERS; i++)
        if (crowd->workers[i])
            end(&crowd->workers[i]);
    end(&crowd->reader);
    struct invariants *v = invariants_open(crowd->path);
    assert_non_null(v);
    const char *fault = invariants_fault(v, use);
    if (fault)
        fail_msg("%s", fault);
    invariants_close(v);
    assert_int_equal(smx_reader_open(crowd->path, &reader, NULL), 0);
    assert_int_equal(smx_reader_update(reader, NULL), 0);
    assert_null(soundness_fault(reader));
    const struct smx_segment_info *info = smx_reader_info(reader);
    assert_int_equal(info->errors, 0);
    assert_int_equal(info->n_live, 0);
    for (int reason = 0; reason < SMX_LOST_COUNT; reason++)
        assert_int_equal(info->lost[reason], 0);
    check_totals(crowd, reader, most->operations);
    check_own(crowd, reader);
    smx_reader_close(reader);
    assert_in_range(use->debris, 0, most->records * LIFE_DEBRIS_MAX);
    assert_in_range(use->lost_cells, 0, most->records);
    assert_in_range(use->uncounted, 0, most->records);
    assert_int_equal(use->live, 0);
}

void crowd_clear(struct crowd *crowd)
{
    for (int i = 0; i <= CROWD_WORKERS; i++) {
        pid_t pid = i < CROWD_WORKERS ? crowd->workers[i] : crowd->reader;
        if (pid && kill(pid, SIGKILL) == 0)
            (void)worker_wait(pid);
    }
    if (crowd->directory[0])
        scratch_remove(crowd->directory);
    if (crowd->shared)
        munmap(crowd->shared, sizeof *crowd->shared);
    *crowd = (struct crowd){.lives = 0};
}
