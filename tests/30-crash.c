/* SPDX-License-Identifier: MIT
 *
 * 30-crash.c - processes that die by SIGKILL at every named point of libshm/crash.h, again and
 * again, while others update and register and a reader reads. Afterwards the invariants of
 * libshm/layout.h hold, the totals are exact, what was lost in space has a bound, and new work
 * succeeds. A point that no life comes by is a failure.
 *
 * Needs a build with SMX_CRASH_POINTS (tests/run --crash); in any other there are no points, and
 * that is what it sees. $SMX_TEST_SEED repeats a run's choice of the passes at which lives end.
 */
#include "libshm/crash.h"
#include "libshm/segment/process.h"
#include "support/crowd.h"
#include "support/process.h"
#include "support/soundness.h"
#include "support/tap.h"
#include "support/worker.h"

#include <smx/reader.h>

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { POINTS_MAX = 128, ROUNDS = 6, LOOKS = 3, PRIVATE_NAMES = 4 };

/* The names of all points, one behind the other, by the linker. */
extern const char __start_smx_crash_points[] __attribute__((weak));
extern const char __stop_smx_crash_points[] __attribute__((weak));

static const char *points[POINTS_MAX];
static unsigned n_points;

/* What processes share. */
static struct {
    uint64_t passes[POINTS_MAX]; /* on the shared segment, of all processes */
    uint64_t mine[POINTS_MAX];   /* of the victim and its children */
    uint64_t kills[POINTS_MAX];
    uint64_t killed_sharing; /* those of them that had the shared segment open */
    uint32_t step;           /* points that the victim has come to in its stage */
    uint32_t may_go;         /* up to this one */
} * shared;

/* What this process does at its points. */
static struct plan {
    bool sharing;
    bool victim;
    unsigned point;
    uint64_t pass; /* at which it dies; 0 never */
    /* Or, whatever the point, at this step of a stage; there it waits for a look at each of the
     * last ones. */
    uint32_t step;
    int stage;
    bool walks;
} plan;

static struct crowd crowd;
static uint64_t seed;

static void die(unsigned point)
{
    __atomic_fetch_add(&shared->kills[point], 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&shared->killed_sharing, plan.sharing, __ATOMIC_RELAXED);
    kill(getpid(), SIGKILL);
}

/* At each of the last steps before its last one a victim waits for a look. */
static void take_a_step(unsigned point)
{
    uint32_t step = __atomic_add_fetch(&shared->step, 1, __ATOMIC_RELEASE);
    /* Within fork(), a child does not die with its parent yet: so it waits not for ever. */
    if (step + LOOKS >= plan.step && !worker_reach(&shared->may_go, step))
        _exit(1);
    if (step == plan.step)
        die(point);
}

void smx__crash_point(const char *name)
{
    int saved = errno;
    unsigned i = 0;
    while (i < n_points && strcmp(points[i], name) != 0)
        i++;
    if (plan.sharing)
        __atomic_fetch_add(&shared->passes[i], 1, __ATOMIC_RELAXED);
    if (plan.walks)
        take_a_step(i);
    if (plan.victim) {
        uint64_t pass = __atomic_add_fetch(&shared->mine[i], 1, __ATOMIC_RELAXED);
        if (i == plan.point && pass == plan.pass)
            die(i);
    }
    errno = saved;
}

static void find_points(void)
{
    for (const char *at = __start_smx_crash_points; at && at < __stop_smx_crash_points;
         at += strlen(at) + 1) {
        unsigned i = 0;
        while (i < n_points && strcmp(points[i], at) != 0)
            i++;
        if (*at && i == n_points && n_points < POINTS_MAX - 1)
            points[n_points++] = at;
    }
}

/* A life, in a group of its own with its children. */
static int live(void *argument)
{
    struct life *life = argument;
    setpgid(0, 0);
    for (int stage = 0; stage < LIFE_STAGES; stage++) {
        plan.sharing = stage >= LIFE_ATTACH;
        plan.walks = stage == plan.stage;
        if (life_run(life, (enum life_stage)stage) != 0)
            return 1;
    }
    return 0;
}

/* One that only asks for what others have made. */
static int ask(void *argument)
{
    struct life *life = argument;
    setpgid(0, 0);
    return life_run(life, LIFE_ATTACH) || life_run(life, LIFE_FAMILIES) ||
           life_run(life, LIFE_SERIES);
}

/* Wait for the end of a life and of its children, who become ours. */
static int end_of(pid_t pid)
{
    int status = worker_wait(pid);
    while (waitpid(-pid, NULL, 0) > 0 || errno == EINTR)
        ;
    return status;
}

static pid_t begin(struct life *life)
{
    memset(shared->mine, 0, sizeof shared->mine);
    shared->step = 0;
    shared->may_go = 0;
    __atomic_fetch_add(&crowd.shared->turn, 1, __ATOMIC_RELAXED);
    plan.victim = true;
    pid_t pid = worker_start(live, life);
    plan.victim = false;
    return pid;
}

/* A new life that dies at this pass of a point; 0: nowhere. */
static int live_until(unsigned point, uint64_t pass)
{
    struct life life = crowd_life(&crowd);
    plan.point = point;
    plan.pass = pass;
    int status = end_of(begin(&life));
    plan.pass = 0;
    return status;
}

/* Of a maker that died before it gave its new file a size, nothing tells whether it still lives;
 * so such a file is left alone for a minute. */
static void a_minute_later(void)
{
    DIR *directory = opendir(crowd.directory);
    assert_non_null(directory);
    const struct timespec times[2] = {{.tv_sec = time(NULL) - 120}, {.tv_sec = time(NULL) - 120}};
    for (struct dirent *entry; (entry = readdir(directory));)
        if (entry->d_name[0] == '.' && strchr(entry->d_name, '~'))
            (void)utimensat(dirfd(directory), entry->d_name, times, 0);
    closedir(directory);
}

static int set_up(void **state)
{
    (void)state;
    memset(shared, 0, sizeof *shared);
    plan = (struct plan){.sharing = true, .stage = -1}; /* the crowd's */
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    crowd_clear(&crowd);
    return 0;
}

static uint64_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* Everything that makes a registration's bytes unused: its process was killed, or another was
 * faster with the same series, or with the extent for its cell. */
static struct crowd_loss most_lost(void)
{
    uint64_t beaten = 0;
    for (unsigned i = 0; i < n_points; i++) {
        beaten += strcmp(points[i], "series.published") == 0 ? shared->passes[i] : 0;
        beaten -= strcmp(points[i], "series.counted") == 0 ? shared->passes[i] : 0;
        beaten += strcmp(points[i], "allocate.returning") == 0 ? shared->passes[i] : 0;
    }
    return (struct crowd_loss){.operations = shared->killed_sharing,
                               .records = shared->killed_sharing + beaten};
}

static uint64_t kills(void)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < n_points; i++)
        sum += shared->kills[i];
    return sum;
}

/* At each point once, at its first pass or at a random one. */
static void die_at_each_point(bool first)
{
    uint64_t passes[POINTS_MAX];
    /* The second life finds what the first one left. */
    assert_int_equal(live_until(0, 0), 0);
    assert_int_equal(live_until(0, 0), 0);
    memcpy(passes, shared->mine, sizeof passes);
    for (unsigned i = 0; i < n_points; i++) {
        if (passes[i] == 0)
            fail_msg("no life comes by %s", points[i]);
        int status = live_until(i, first ? 1 : 1 + next_random() % passes[i]);
        /* Where lives race for something, not each has as many passes as the other. */
        if (status != -SIGKILL && (status != 0 || first))
            fail_msg("a life that was to die at %s ended with %d", points[i], status);
        crowd_check_files(&crowd, PRIVATE_NAMES);
    }
    a_minute_later();
    assert_int_equal(live_until(0, 0), 0);
    crowd_check_files(&crowd, 0);
}

static void
killed_at_any_point_while_others_work_nothing_is_lost_but_the_one_operation(void **state)
{
    (void)state;
    size_t rounds = scaled(ROUNDS);
    struct invariants_use use;
    uint64_t debris = 0, records = 0;
    for (size_t round = 0; round < rounds; round++) {
        memset(shared->passes, 0, sizeof shared->passes);
        shared->killed_sharing = 0;
        plan.sharing = true;
        crowd_start(&crowd, CROWD_WORKERS);
        die_at_each_point(round == 0);
        struct crowd_loss most = most_lost();
        crowd_stop(&crowd, &most, &use);
        crowd_clear(&crowd);
        debris += use.debris;
        records += most.records;
    }
    for (unsigned i = 0; i < n_points; i++)
        if (shared->kills[i] == 0)
            fail_msg("nobody was killed at %s", points[i]);
    print_message(
        "# %u points, %llu kills; %llu registrations in flight or beaten left %llu bytes\n",
        n_points, (unsigned long long)kills(), (unsigned long long)records,
        (unsigned long long)debris);
}

/* What a reader that has seen every step shows of what a life has asked for. */
static void everything_is_shown(smx_reader *reader, unsigned number)
{
    static const char *const kinds[] = {"total", "level", "levels", "shapes", "seen"};
    unsigned found = 0, raced = 0;
    char name[32], own[32];
    snprintf(own, sizeof own, "of %u", number);
    assert_int_equal(smx_reader_update(reader, NULL), 0);
    for (size_t i = 0; i < smx_reader_info(reader)->n_families; i++) {
        const struct smx_family_info *f = smx_reader_family(reader, i);
        for (unsigned k = 0; k < 5; k++) {
            snprintf(name, sizeof name, "life%u_%s", number, kinds[k]);
            found += strcmp(f->name.at, name) == 0 && f->n_series > (f->n_labels != 0);
        }
        for (size_t k = 0; strcmp(f->name.at, "races_total") == 0 && k < f->n_series; k++)
            raced += !f->series[k].overflow && strcmp(f->series[k].values[0].at, own) == 0 &&
                     f->series[k].count > 0;
    }
    if (found != 5 || raced != 1)
        fail_msg("of life %u %u families and %u series are shown", number, found, raced);
}

/* What reads all the time in a walk, between any two steps. */
struct watch {
    smx_reader *reader;
    struct invariants *v;
};

static void look(const struct watch *w)
{
    assert_int_equal(smx_reader_update(w->reader, NULL), 0);
    assert_int_equal(smx_reader_info(w->reader)->errors, 0);
    assert_null(soundness_fault(w->reader));
}

static void look_closely(const struct watch *w, int stage)
{
    const char *fault = stage < LIFE_ATTACH ? NULL : invariants_fault(w->v, NULL);
    if (fault)
        fail_msg("%s", fault);
    if (stage < LIFE_ATTACH)
        crowd_check_files(&crowd, PRIVATE_NAMES);
}

/* Let a life go, with a look before each of its last steps in a stage; it dies at this one. False:
 * it came to its end before. */
static bool walk(struct life *life, int stage, uint32_t step, struct watch *w)
{
    plan.stage = stage;
    plan.step = step;
    pid_t pid = begin(life);
    uint32_t seen = 0;
    siginfo_t ended = {.si_pid = 0};
    while (waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && !ended.si_pid) {
        uint32_t now = __atomic_load_n(&shared->step, __ATOMIC_ACQUIRE);
        if (now > seen && now + LOOKS >= step) {
            look(w);
            if (now == step)
                look_closely(w, stage);
            seen = now;
            __atomic_store_n(&shared->may_go, now, __ATOMIC_RELEASE);
        }
        sched_yield();
    }
    plan.stage = -1;
    int status = end_of(pid);
    assert_true(status == 0 || status == -SIGKILL);
    return status != 0;
}

/* At each step of one stage. Where nobody shares the segment, it is the same again and again: then
 * not at all of them. */
static void walk_through(int stage, unsigned stride)
{
    struct watch w;
    struct invariants_use use;
    memset(shared->passes, 0, sizeof shared->passes);
    shared->killed_sharing = 0;
    plan.sharing = true;
    crowd_start(&crowd, 1);
    __atomic_store_n(&crowd.shared->idle, 1, __ATOMIC_RELAXED);
    w.v = invariants_open(crowd.path);
    assert_non_null(w.v);
    assert_int_equal(smx_reader_open(crowd.path, &w.reader, NULL), 0);
    struct life life = crowd_life(&crowd);
    for (uint32_t step = 1; walk(&life, stage, step, &w); step += stride) {
        assert_int_equal(end_of(worker_start(ask, &life)), 0);
        everything_is_shown(w.reader, life.number);
        life = crowd_life(&crowd);
    }
    smx_reader_close(w.reader);
    invariants_close(w.v);
    struct crowd_loss most = most_lost();
    crowd_stop(&crowd, &most, &use);
    crowd_clear(&crowd);
}

/* The reader looks between any two steps, so nothing that is announced too early or not at all can
 * be made good by a later announcement, but by that of who asks for it again. */
static void
killed_at_any_step_whoever_asks_again_is_seen_by_a_reader_that_looked_at_each(void **state)
{
    (void)state;
    for (int stage = 0; stage < LIFE_STAGES; stage++)
        walk_through(stage, stage == LIFE_FULL && scaled(1) == 1 ? 11 : 1);
    print_message("# %llu steps\n", (unsigned long long)kills());
}

static uint32_t *turns; /* of the two below */

static smx_family register_steps(smx_segment *segment, const char *name)
{
    return smx_histogram_family(segment, &(struct smx_metric){.name = name, .labels = {"step"}},
                                NULL);
}

/* Leave room for one more family and none for a series of it; then die with it half announced. */
static int leave_a_family_without_room(void *argument)
{
    char name[400];
    struct smx_options options = {
        .app = LIFE_APP, .directory = argument, .slots = 4, .rows = 2, .max_bytes = 256 << 10};
    smx_segment *segment = NULL;
    CHECK(smx_open(&options, &segment, NULL) == 0);
    const struct smx__header *h = segment->header;
    uint64_t empty = h->allocated;
    smx_family first = register_steps(segment, "first");
    uint64_t family = h->allocated - empty;
    CHECK(smx_histogram_with(first, SMX_VALUES("1")).base);
    uint64_t series = h->allocated - empty - family;
    for (unsigned i = 0; h->max_bytes - h->allocated >= family + series - 1024; i++) {
        snprintf(name, sizeof name, "filler%0*u", (int)sizeof name - 8, i);
        smx_counter_family(segment, &(struct smx_metric){.name = name}, NULL);
    }
    worker_arrive(turns);
    CHECK(worker_reach(turns, 3));
    while (strcmp(points[plan.point], "family.published") != 0)
        plan.point++;
    plan.victim = true;
    plan.pass = 1;
    (void)register_steps(segment, "last");
    return 1;
}

static int count_where_there_is_no_room(void *argument)
{
    struct smx_options options = {.app = LIFE_APP, .directory = argument};
    smx_segment *segment = NULL;
    CHECK(smx_open(&options, &segment, NULL) == 0);
    worker_arrive(turns);
    CHECK(worker_reach(turns, 4));
    uint64_t published = segment->header->published;
    smx_family last = register_steps(segment, "last");
    CHECK(last.record && segment->header->published == published);
    smx_histogram_record(smx_histogram_with(last, SMX_VALUES("1")), 1);
    CHECK(segment->header->lost[SMX_LOST_SPACE] == 1);
    return 0;
}

static void the_overflow_of_a_family_that_nobody_announced_is_shown(void **state)
{
    (void)state;
    smx_reader *reader = NULL;
    turns = worker_shared(sizeof *turns);
    assert_int_equal(scratch_make(crowd.directory), 0);
    snprintf(crowd.path, sizeof crowd.path, "%s/%s.v1.smx", crowd.directory, LIFE_APP);
    pid_t maker = worker_start(leave_a_family_without_room, crowd.directory);
    assert_true(worker_reach(turns, 1));
    pid_t other = worker_start(count_where_there_is_no_room, crowd.directory);
    assert_true(worker_reach(turns, 2));
    assert_int_equal(smx_reader_open(crowd.path, &reader, NULL), 0);
    assert_int_equal(smx_reader_update(reader, NULL), 0);
    size_t before = smx_reader_info(reader)->n_families;
    worker_arrive(turns);
    assert_int_equal(worker_wait(maker), -SIGKILL);
    assert_int_equal(smx_reader_update(reader, NULL), 0);
    assert_int_equal(smx_reader_info(reader)->n_families, before);
    worker_arrive(turns);
    assert_int_equal(worker_wait(other), 0);
    assert_int_equal(smx_reader_update(reader, NULL), 0);
    assert_int_equal(smx_reader_info(reader)->n_families, before + 1);
    const struct smx_family_info *last = smx_reader_family(reader, before);
    assert_string_equal(last->name.at, "last");
    assert_int_equal(last->n_series, 1);
    assert_true(last->series[0].overflow);
    assert_int_equal(last->series[0].histogram->count, 1);
    smx_reader_close(reader);
}

static void an_ordinary_build_has_no_points(void **state)
{
    (void)state;
    assert_int_equal(n_points, 0);
}

#ifdef SMX_CRASH_POINTS
enum { HAS_POINTS = 1 };
#else
enum { HAS_POINTS = 0 };
#endif

int main(void)
{
    shared = worker_shared(sizeof *shared);
    const char *given = getenv("SMX_TEST_SEED");
    seed = given ? strtoull(given, NULL, 0) : worker_now_ns();
    if (!shared || prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
        return 1;
    find_points();
    print_message("# SMX_TEST_SEED=%#llx\n", (unsigned long long)seed);
    const struct CMUnitTest ordinary[] = {
        cmocka_unit_test(an_ordinary_build_has_no_points),
    };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            killed_at_any_point_while_others_work_nothing_is_lost_but_the_one_operation, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(
            killed_at_any_step_whoever_asks_again_is_seen_by_a_reader_that_looked_at_each, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(the_overflow_of_a_family_that_nobody_announced_is_shown,
                                        set_up, tear_down),
    };
    return HAS_POINTS ? RUN_TESTS(tests) : RUN_TESTS(ordinary);
}
