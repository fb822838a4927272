/* SPDX-License-Identifier: MIT
 *
 * life.c - the stages of a life. All of them run in a child of the test, see worker.h.
 */
#include "support/life.h"

#include "libshm/segment/slot.h"
#include "support/atomic.h"
#include "support/worker.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OPS = 8, SMALL = 128 << 10, FILLS = 200 };

static bool without_proc;

/* In place of the C library's: libshm asks by it whether there is a /proc. */
int access(const char *path, int mode)
{
    if (without_proc && strcmp(path, "/proc/self/fd") == 0)
        return -1;
    return faccessat(AT_FDCWD, path, mode, 0);
}

static smx_segment *open_small(const struct life *life, const char *app, unsigned flags)
{
    smx_segment *segment = NULL;
    struct smx_diag why;
    struct smx_options options = {.app = app,
                                  .directory = life->directory,
                                  .role = "life",
                                  .slots = 4,
                                  .rows = 2,
                                  .max_bytes = SMALL,
                                  .flags = flags};
    if (smx_open(&options, &segment, &why) != 0)
        fprintf(stderr, "# %s\n", why.text);
    return segment;
}

static void remove_small(const struct life *life, const char *app)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s.v1.smx", life->directory, app);
    unlink(path);
}

static int create(struct life *life)
{
    remove_small(life, "made");
    life->made = open_small(life, "made", 0);
    CHECK(life->made && smx_worker(life->made) == 0);
    return 0;
}

static int replace(struct life *life)
{
    smx_segment *segment = open_small(life, "old", 0);
    CHECK(segment && smx_worker(segment) == 0);
    /* It is a new one. */
    smx_counter count = smx_counter_new(segment, &(struct smx_metric){.name = "n_total"}, NULL);
    CHECK(smx_counter_value(count) == 0);
    smx_counter_inc(count);
    return 0;
}

static int create_bare(struct life *life)
{
    remove_small(life, "bare");
    without_proc = true;
    CHECK(open_small(life, "bare", 0));
    without_proc = false;
    return 0;
}

static int replace_bare(struct life *life)
{
    without_proc = true;
    CHECK(open_small(life, "bared", 0));
    without_proc = false;
    return 0;
}

static int go_on(struct life *life)
{
    smx_segment *segment = open_small(life, "kept", SMX_CONTINUE | SMX_RESERVE_NOW);
    CHECK(segment);
    smx_counter count = smx_counter_new(segment, &(struct smx_metric){.name = "n_total"}, NULL);
    smx_counter_inc(count);
    CHECK(smx_counter_value(count) >= 1);
    return 0;
}

/* A histogram's rows do not fit any more, but the record in front of them does. */
static int fill(struct life *life)
{
    char value[16];
    smx_segment *segment = open_small(life, "full", 0);
    CHECK(segment);
    smx_family family = smx_histogram_family(
        segment, &(struct smx_metric){.name = "h", .labels = {"n"}, .unit = ""}, NULL);
    smx_histogram first = smx_histogram_with(family, SMX_VALUES("first"));
    CHECK(first.base);
    smx_histogram next = first;
    int n = 0;
    for (; n < FILLS && segment->header->lost[SMX_LOST_SPACE] == 0; n++) {
        snprintf(value, sizeof value, "%d", n);
        next = smx_histogram_with(family, SMX_VALUES(value));
        smx_histogram_record(next, 1);
        CHECK(smx_histogram_count(next) == 1);
    }
    CHECK(n > 1 && n < FILLS && next.base);
    return 0;
}

static int attach(struct life *life)
{
    struct smx_options options = {.app = LIFE_APP,
                                  .directory = life->directory,
                                  .role = "life",
                                  .slots = 16,
                                  .rows = 2,
                                  .max_bytes = 4 << 20};
    CHECK(smx_open(&options, &life->segment, NULL) == 0);
    CHECK(smx_worker(life->segment) >= 0);
    return 0;
}

/* Families that all lives know. */
static int find_families(struct life *life)
{
    static const double bounds[] = {1, 2, 5};
    smx_segment *s = life->segment;
    life->ops = smx_counter_new(s, &(struct smx_metric){.name = "ops_total"}, NULL);
    life->atomic_ops = smx_counter_new(s, &(struct smx_metric){.name = "atomic_ops_total"}, NULL);
    life->sizes = smx_histogram_new(
        s, &(struct smx_metric){.name = "sizes", .schema = SMX_SCHEMA_0, .min = 1, .max = 999},
        NULL);
    life->atomic_sizes = smx_histogram_new(
        s, &(struct smx_metric){.name = "atomic_sizes", .bounds = bounds, .n_bounds = 3}, NULL);
    life->who = smx_gauge_new(s, &(struct smx_metric){.name = "who", .mode = SMX_EACH}, NULL);
    life->last = smx_gauge_new(s, &(struct smx_metric){.name = "last", .mode = SMX_LAST}, NULL);
    static const char *const phases[] = {"young", "old", NULL};
    life->phase = smx_stateset_new(
        s, &(struct smx_metric){.name = "phase", .mode = SMX_EACH, .states = phases}, NULL);
    CHECK(life->phase.bits.base);
    CHECK(smx_info(s, &(struct smx_metric){.name = "release", .labels = {"version"}},
                   SMX_VALUES("1"), NULL)
              .record);
    life->common = smx_check_new(
        s, &(struct smx_check_options){.name = "common", .help = "All have it.", .critical = true},
        NULL);
    CHECK(life->common.base);
    life->races = smx_counter_family(
        s, &(struct smx_metric){.name = "races_total", .labels = {"turn"}}, NULL);
    CHECK(life->ops.base && life->atomic_ops.base && life->sizes.base && life->atomic_sizes.base);
    CHECK(life->who.base && life->last.base && life->races.record);
    return 0;
}

/* Families of this life alone. */
static int make_families(struct life *life)
{
    static const double bounds[] = {0.5, 1, 2.5, 10};
    char name[5][32];
    static const char *const kinds[] = {"total", "level", "levels", "shapes", "seen"};
    for (int i = 0; i < 5; i++)
        snprintf(name[i], sizeof name[i], "life%u_%s", life->number, kinds[i]);
    smx_segment *s = life->segment;
    life->own = smx_counter_new(
        s, &(struct smx_metric){.name = name[0], .help = "What one life counts."}, NULL);
    life->level = smx_gauge_new(s, &(struct smx_metric){.name = name[1]}, NULL);
    life->levels =
        smx_fgauge_family(s, &(struct smx_metric){.name = name[2], .labels = {"a", "b"}}, NULL);
    life->shapes = smx_histogram_family(
        s,
        &(struct smx_metric){
            .name = name[3], .labels = {"shape"}, .bounds = bounds, .n_bounds = 4, .digits = 1},
        NULL);
    smx_gauge seen =
        smx_gauge_new(s, &(struct smx_metric){.name = name[4], .mode = SMX_LAST}, NULL);
    CHECK(life->own.base && life->level.base && life->levels.record && life->shapes.record);
    CHECK(seen.base);
    smx_gauge_set(seen, life->number);
    snprintf(name[0], sizeof name[0], "life%u", life->number);
    life->lives =
        smx_check_new(s, &(struct smx_check_options){.name = name[0], .interval_ms = 60000}, NULL);
    CHECK(life->lives.base);
    return 0;
}

/* One operation on what is counted. */
#define COUNT(what, operation)                                                                     \
    do {                                                                                           \
        __atomic_fetch_add(&life->tally->started[what], 1, __ATOMIC_RELAXED);                      \
        operation;                                                                                 \
        __atomic_fetch_add(&life->tally->done[what], 1, __ATOMIC_RELAXED);                         \
    } while (0)

static int families(struct life *life)
{
    return find_families(life) || make_families(life);
}

static int series(struct life *life)
{
    char value[32];
    uint32_t turn = __atomic_load_n(life->turn, __ATOMIC_RELAXED);
    for (uint32_t i = turn; i < turn + 3; i++) {
        snprintf(value, sizeof value, "%u", i);
        smx_counter race = smx_counter_with(life->races, SMX_VALUES(value));
        CHECK(race.base);
        COUNT(LIFE_LABELLED, smx_counter_inc(race));
    }
    snprintf(value, sizeof value, "of %u", life->number);
    smx_counter own = smx_counter_with(life->races, SMX_VALUES(value));
    CHECK(own.base);
    COUNT(LIFE_LABELLED, smx_counter_inc(own));
    smx_fgauge level = smx_fgauge_with(life->levels, SMX_VALUES(value, "a value of some length"));
    smx_histogram shape = smx_histogram_with(life->shapes, SMX_VALUES(value));
    CHECK(level.base && shape.base);
    smx_fgauge_add(level, 0.5);
    smx_histogram_observe(shape, 0.25);
    CHECK(smx_histogram_count(shape) > 0);
    return 0;
}

static int updates(struct life *life)
{
    static const char *const example[] = {"trace_id", "4bf92f3577b34da6", NULL};
    COUNT(LIFE_ADDS, smx_counter_add_exemplar(life->ops, 1, example));
    COUNT(LIFE_OWN, smx_counter_add_exemplar(life->own, 1, example));
    COUNT(LIFE_RECORDS, smx_histogram_record_exemplar(life->sizes, 1, example));
    for (unsigned i = 0; i < OPS; i++) {
        COUNT(LIFE_ADDS, smx_counter_inc(life->ops));
        COUNT(LIFE_OWN, smx_counter_inc(life->own));
        COUNT(LIFE_ATOMIC_ADDS, atomic_counter_add(life->atomic_ops, 1));
        COUNT(LIFE_RECORDS, smx_histogram_record(life->sizes, i));
        COUNT(LIFE_ATOMIC_RECORDS, atomic_histogram_record(life->atomic_sizes, i));
    }
    return 0;
}

static int gauges(struct life *life)
{
    int64_t before = smx_gauge_value(life->level);
    smx_gauge_set(life->who, getpid());
    smx_gauge_add(life->level, 3);
    smx_gauge_sub(life->level, 1);
    CHECK(smx_gauge_value(life->who) == getpid());
    CHECK(smx_gauge_value(life->level) == before + 2);
    smx_gauge_set(life->last, getpid());
    smx_stateset_enter(life->phase, 1);
    CHECK(smx_stateset_value(life->phase) == 2);
    smx_check_report(life->common, SMX_CHECK_FAILED, "a life is short");
    smx_check_report(life->lives, SMX_CHECK_OK, NULL);
    CHECK(smx_check_reported(life->common) == SMX_CHECK_FAILED);
    return 0;
}

static int remove_and_revive(struct life *life)
{
    char value[32];
    snprintf(value, sizeof value, "of %u", life->number);
    smx_counter own = smx_counter_with(life->races, SMX_VALUES(value));
    uint64_t before = smx_counter_value(own);
    CHECK(own.base);
    CHECK(smx_series_remove(life->races, SMX_VALUES(value)) == 0);
    COUNT(LIFE_LABELLED, smx_counter_inc(own));
    smx_counter again = smx_counter_with(life->races, SMX_VALUES(value));
    CHECK(again.base == own.base && smx_counter_value(again) == before + 1);
    return 0;
}

static int recover(struct life *life)
{
    close(life->segment->fd);
    smx_heartbeat(life->segment);
    CHECK(smx_worker(life->segment) >= 0);
    return gauges(life);
}

/* Wait for a child of this life; if it was killed, so are we. */
static int wait_for(pid_t pid)
{
    int status = worker_wait(pid);
    if (status == -SIGKILL)
        kill(getpid(), SIGKILL);
    return status;
}

static int live_as_child(void *argument)
{
    struct life *life = argument;
    CHECK(smx_gauge_value(life->level) == 0);
    return gauges(life) || updates(life);
}

static int have_a_child(struct life *life)
{
    CHECK(wait_for(worker_start(live_as_child, life)) == 0);
    return 0;
}

static int hold_a_read_lock(void *argument)
{
    const smx_segment *segment = argument;
    CHECK(smx_worker(argument) == 1);
    CHECK(smx__lock_byte(segment->fd, SMX__LOCK_AT + 2, F_RDLCK) == 0);
    raise(SIGSTOP);
    return 0;
}

static int is_refused_slot_2(void *argument)
{
    CHECK(smx_worker(argument) == 3);
    return 0;
}

static int be_refused(struct life *life)
{
    int status = 0;
    pid_t locker = worker_start(hold_a_read_lock, life->made);
    CHECK(waitpid(locker, &status, WUNTRACED) == locker);
    if (WIFSIGNALED(status))
        kill(getpid(), SIGKILL);
    CHECK(WIFSTOPPED(status));
    int refused = wait_for(worker_start(is_refused_slot_2, life->made));
    kill(locker, SIGKILL);
    (void)worker_wait(locker);
    CHECK(refused == 0);
    return 0;
}

static int close_twice(struct life *life)
{
    smx_close(life->segment);
    CHECK(smx_worker(life->segment) == -1);
    if (attach(life) != 0 || gauges(life) != 0)
        return 1;
    smx_close(life->segment);
    return 0;
}

int life_run(struct life *life, enum life_stage stage)
{
    static int (*const stages[LIFE_STAGES])(struct life *) = {
        [LIFE_CREATE] = create,           [LIFE_REPLACE] = replace,
        [LIFE_CREATE_BARE] = create_bare, [LIFE_REPLACE_BARE] = replace_bare,
        [LIFE_CONTINUE] = go_on,          [LIFE_FULL] = fill,
        [LIFE_ATTACH] = attach,           [LIFE_FAMILIES] = families,
        [LIFE_SERIES] = series,           [LIFE_UPDATES] = updates,
        [LIFE_GAUGES] = gauges,           [LIFE_REMOVAL] = remove_and_revive,
        [LIFE_RECOVER] = recover,         [LIFE_FORK] = have_a_child,
        [LIFE_REFUSED] = be_refused,      [LIFE_CLOSE] = close_twice,
    };
    return stages[stage](life);
}
