/* SPDX-License-Identifier: MIT
 *
 * 30-steps.c - processes that are killed after a random number of machine instructions, by ptrace,
 * on their way through opening, registering, claiming a slot and writing gauges; while others work
 * and a reader reads. What 30-crash.c does at chosen points this does wherever it falls, in an
 * ordinary build.
 *
 * A step takes microseconds. So a life runs freely up to a call of one of the functions below,
 * which the linker wraps (tests/CMakeLists.txt), stops itself there, and goes on step by step.
 * $SMX_TEST_SEED repeats a run's choice of calls and numbers of steps.
 */
#include "libshm/metric/bounds.h"
#include "libshm/metric/family.h"
#include "libshm/metric/series.h"
#include "libshm/segment/file.h"
#include "libshm/segment/slot.h"
#include "libshm/segment/space.h"
#include "support/crowd.h"
#include "support/process.h"
#include "support/tap.h"
#include "support/worker.h"

#include <assert.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#ifdef __SANITIZE_ADDRESS__
enum { ROUNDS = 1 }; /* processes are slow to start, and there are more steps */
#else
enum { ROUNDS = 4 };
#endif
enum { KILLS = 200, PRIVATE_NAMES = 2 };

/* Without those that fork: a child is not traced. */
static const enum life_stage stages[] = {LIFE_CREATE,   LIFE_REPLACE, LIFE_ATTACH,
                                         LIFE_FAMILIES, LIFE_SERIES,  LIFE_UPDATES,
                                         LIFE_GAUGES,   LIFE_REMOVAL, LIFE_CLOSE};
enum { STAGES = sizeof stages / sizeof *stages };

enum entry {
    ALLOCATE,
    ALLOCATE_CELL,
    ALLOCATE_HISTOGRAM,
    FAMILY_CELLS,
    HIST_FILL,
    SERIES_MAKE,
    FILE_MAKE,
    FILE_MAP,
    FILE_PUBLISH,
    SLOT_CLAIM,
    SLOT_RELEASE,
    GAUGE_SET,
    GAUGE_ADD,
    ADD_ATOMIC,
    HISTOGRAM_RECORD,
    ENTRIES
};

/* Where a life stops itself: at this call of an entry. */
static struct {
    enum entry entry;
    uint32_t call; /* 0 nowhere */
    bool counts;
} plan;

static uint32_t *calls; /* of each entry, by one life */

static void enter(enum entry entry)
{
    if (plan.counts)
        calls[entry]++;
    if (plan.call && entry == plan.entry && --plan.call == 0)
        raise(SIGSTOP);
}

/* A wrapper whose function has changed would hand on nonsense. */
#define SAME_TYPE(name)                                                                            \
    static_assert(__builtin_types_compatible_p(__typeof__(name), __typeof__(__real_##name)),       \
                  #name " has other parameters now");
#define WRAP(type, name, entry, parameters, arguments)                                             \
    type __real_##name parameters;                                                                 \
    SAME_TYPE(name)                                                                                \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters                                                                  \
    {                                                                                              \
        enter(entry);                                                                              \
        return __real_##name arguments;                                                            \
    }
#define WRAP_VOID(name, entry, parameters, arguments)                                              \
    void __real_##name parameters;                                                                 \
    SAME_TYPE(name)                                                                                \
    void __wrap_##name parameters;                                                                 \
    void __wrap_##name parameters                                                                  \
    {                                                                                              \
        enter(entry);                                                                              \
        __real_##name arguments;                                                                   \
    }

WRAP(int, smx__allocate, ALLOCATE,
     (struct smx_segment * segment, uint64_t size, uint64_t align, uint64_t *at),
     (segment, size, align, at))
WRAP(int, smx__allocate_cell, ALLOCATE_CELL,
     (struct smx_segment * segment, enum smx__cells kind, uint64_t *at), (segment, kind, at))
WRAP(int, smx__allocate_histogram, ALLOCATE_HISTOGRAM,
     (struct smx_segment * segment, const struct smx_hist *hist, uint64_t *at), (segment, hist, at))
WRAP(int, smx__family_cells, FAMILY_CELLS,
     (struct smx_segment * segment, const struct smx__family *family, const struct smx_hist *hist,
      uint64_t *at),
     (segment, family, hist, at))
WRAP_VOID(smx__hist_fill, HIST_FILL,
          (const struct smx_hist *hist, uint64_t *entries, const uint64_t *threshold),
          (hist, entries, threshold))
WRAP(void *, smx__series_make, SERIES_MAKE,
     (smx_family family, const char *const values[], enum smx_type type, bool is_double),
     (family, values, type, is_double))
WRAP(int, smx__file_make, FILE_MAKE,
     (int directory, const char *name, const struct smx__shape *shape, struct smx__file *out,
      struct smx_diag *diag),
     (directory, name, shape, out, diag))
WRAP(int, smx__file_map, FILE_MAP, (int fd, uint64_t length, struct smx__file *out),
     (fd, length, out))
WRAP(int, smx__file_publish, FILE_PUBLISH,
     (int directory, const char *name, bool replace, struct smx__file *file),
     (directory, name, replace, file))
WRAP_VOID(smx__slot_claim, SLOT_CLAIM, (struct smx_segment * segment), (segment))
WRAP_VOID(smx__slot_release, SLOT_RELEASE, (struct smx_segment * segment), (segment))
WRAP_VOID(smx__gauge_set, GAUGE_SET,
          (struct smx_cell * base, const struct smx_proc *proc, uint64_t bits), (base, proc, bits))
WRAP_VOID(smx__gauge_add, GAUGE_ADD,
          (struct smx_cell * base, const struct smx_proc *proc, int64_t n), (base, proc, n))
WRAP_VOID(smx__add_atomic, ADD_ATOMIC,
          (uint64_t * base, uint32_t rows, uint32_t mask, uint32_t stride, uint64_t n),
          (base, rows, mask, stride, n))
WRAP_VOID(smx__histogram_record, HISTOGRAM_RECORD, (smx_histogram h, uint64_t bucket, uint64_t n),
          (h, bucket, n))

static struct crowd crowd;
static uint64_t seed;
static uint64_t steps;

static uint64_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static int live(void *argument)
{
    struct life *life = argument;
    CHECK(!plan.call || ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0);
    for (int i = 0; i < STAGES; i++)
        CHECK(life_run(life, stages[i]) == 0);
    return 0;
}

/* Go on from its stop by so many steps, then die. True unless it came to its end before. */
static bool step_and_kill(pid_t pid, uint64_t n)
{
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status)) {
        assert_int_equal(WEXITSTATUS(status), 0);
        return false;
    }
    for (; n && WIFSTOPPED(status); n--, steps++) {
        assert_int_equal(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
    }
    if (WIFEXITED(status)) {
        assert_int_equal(WEXITSTATUS(status), 0);
        return false;
    }
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(worker_wait(pid), -SIGKILL);
    return true;
}

/* A whole life, untouched. */
static void live_well(void)
{
    struct life life = crowd_life(&crowd);
    assert_int_equal(worker_run(live, &life), 0);
}

static unsigned kill_many(void)
{
    unsigned killed = 0;
    /* The second life finds what the first one left. */
    live_well();
    memset(calls, 0, ENTRIES * sizeof *calls);
    plan.counts = true;
    live_well();
    plan.counts = false;
    for (unsigned i = 0; i < KILLS; i++) {
        struct life life = crowd_life(&crowd);
        plan.entry = i % ENTRIES;
        if (calls[plan.entry] == 0)
            fail_msg("no life comes to entry %d", plan.entry);
        plan.call = 1 + (uint32_t)(next_random() % calls[plan.entry]);
        pid_t pid = worker_start(live, &life);
        plan.call = 0;
        __atomic_fetch_add(&crowd.shared->turn, 1, __ATOMIC_RELAXED);
        /* Up to 32 steps as often as up to 1024. */
        killed += step_and_kill(pid, next_random() % (UINT64_C(32) << next_random() % 6));
        crowd_check_files(&crowd, PRIVATE_NAMES);
    }
    live_well();
    crowd_check_files(&crowd, 0);
    return killed;
}

static void killed_after_any_number_of_steps_nothing_is_lost_but_the_one_operation(void **state)
{
    (void)state;
    size_t rounds = scaled(ROUNDS);
    unsigned killed = 0;
    for (size_t round = 0; round < rounds; round++) {
        struct invariants_use use;
        crowd_start(&crowd, CROWD_WORKERS);
        unsigned died = kill_many();
        /* Who was beaten in a race is not counted here: in each turn there are three races, that
         * each of the crowd may lose. */
        uint64_t races = 3u * CROWD_WORKERS * crowd.lives;
        struct crowd_loss most = {.operations = died, .records = died + races};
        crowd_stop(&crowd, &most, &use);
        crowd_clear(&crowd);
        killed += died;
    }
    print_message("# %u kills after %llu steps\n", killed, (unsigned long long)steps);
    assert_true(killed > rounds * KILLS / 2);
}

static int tear_down(void **state)
{
    (void)state;
    crowd_clear(&crowd);
    return 0;
}

int main(void)
{
    const char *given = getenv("SMX_TEST_SEED");
    calls = worker_shared(ENTRIES * sizeof *calls);
    seed = given ? strtoull(given, NULL, 0) : worker_now_ns();
    if (!calls)
        return 1;
    print_message("# SMX_TEST_SEED=%#llx\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(
            killed_after_any_number_of_steps_nothing_is_lost_but_the_one_operation, tear_down),
    };
    return RUN_TESTS(tests);
}
