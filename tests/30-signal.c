/* SPDX-License-Identifier: MIT
 *
 * 30-signal.c - a signal handler that does to a metric what the code it interrupts is doing to it:
 * before each instruction of that in turn, by a tracer that steps so far and then sends the signal.
 * Sequences of rseq(2) end with the first step; 30-rseq.c interrupts those by a timer.
 */
#include "support/cells.h"
#include "support/scratch.h"
#include "support/tap.h"
#include "support/worker.h"

#include <smx/scope.h>

#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

/* Built with ASan an operation is several times as many instructions. */
#if defined(__SANITIZE_ADDRESS__)
enum { STRIDE = 5 };
#else
enum { STRIDE = 1 };
#endif
enum { ROUNDS = 500 };

static char directory[SCRATCH_SIZE];
static smx_segment *segment;
static smx_counter counter;
static smx_histogram histogram;
static smx_gauge gauge[ROUNDS]; /* a fresh one for each round: its first write */
static smx_fgauge fgauge[ROUNDS];

static struct {
    uint32_t rounds;
    uint32_t over;    /* the tracer has seen an operation to its end */
    uint32_t handled; /* rounds in which the handler ran */
} * shared;

static void count(void)
{
    smx_counter_inc(counter);
    smx_histogram_record(histogram, 10);
}

static int counted(void)
{
    uint64_t n = (uint64_t)shared->rounds + shared->handled;
    CHECK(smx_counter_value(counter) == n);
    CHECK(smx_histogram_count(histogram) == n && smx_histogram_sum(histogram) == 10 * n);
    return 0;
}

static void add(void)
{
    smx_gauge_inc(gauge[shared->rounds]);
}

static void add_real(void)
{
    smx_fgauge_add(fgauge[shared->rounds], 1);
}

/* Each round's gauge has one, or two where the handler ran. */
static int added(void)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < shared->rounds; i++)
        sum += (uint64_t)smx_gauge_value(gauge[i]) + (uint64_t)smx_fgauge_value(fgauge[i]);
    CHECK(sum == (uint64_t)shared->rounds + shared->handled);
    return 0;
}

static void add_to_one(void)
{
    smx_gauge_inc(gauge[0]);
    smx_fgauge_add(fgauge[0], 1);
}

static int added_to_one(void)
{
    int64_t n = (int64_t)shared->rounds + shared->handled;
    CHECK(smx_gauge_value(gauge[0]) == n && smx_fgauge_value(fgauge[0]) == (double)n);
    return 0;
}

static void set(void)
{
    smx_gauge_set(gauge[shared->rounds], 7);
}

static int is_set(void)
{
    for (uint32_t i = 0; i < shared->rounds; i++)
        CHECK(smx_gauge_value(gauge[i]) == 7);
    return 0;
}

static void measure(void)
{
    SMX_TIME_SCOPE(histogram);
    SMX_ACTIVE_SCOPE(gauge[0]);
    SMX_FAIL_SCOPE(outcome, counter);
}

static int measured(void)
{
    uint64_t n = (uint64_t)shared->rounds + shared->handled;
    CHECK(smx_histogram_count(histogram) == n && smx_counter_value(counter) == n);
    CHECK(smx_gauge_value(gauge[0]) == 0);
    return 0;
}

/* The host has closed the descriptor: the heartbeat opens the file and locks its slot again. */
static void recover(void)
{
    close(segment->fd);
    smx_heartbeat(segment);
}

static int recovered(void)
{
    CHECK(cells_live(segment) == 1 && smx_worker(segment) == 0);
    return 0;
}

struct operation {
    const char *name;
    void (*body)(void);
    int (*check)(void);
    unsigned stride; /* instructions from round to round */
};
static const struct operation *operation;

static void do_the_same(int signo)
{
    (void)signo;
    operation->body();
    shared->handled++;
}

static int register_all(void)
{
    struct smx_options options = {
        .app = "signal", .instance = operation->name, .directory = directory, .slots = 2};
    CHECK(smx_open(&options, &segment, NULL) == 0);
    const struct smx_metric integers = {.name = "g", .labels = {"n"}};
    const struct smx_metric reals = {.name = "d", .labels = {"n"}};
    const struct smx_metric seconds = {.name = "h_seconds", .unit = "seconds"};
    smx_family family[] = {smx_gauge_family(segment, &integers, NULL),
                           smx_fgauge_family(segment, &reals, NULL)};
    for (unsigned i = 0; i < ROUNDS; i++) {
        char value[16];
        snprintf(value, sizeof value, "%u", i);
        gauge[i] = smx_gauge_with(family[0], SMX_VALUES(value));
        fgauge[i] = smx_fgauge_with(family[1], SMX_VALUES(value));
    }
    counter = smx_counter_new(segment, &(struct smx_metric){.name = "c_total"}, NULL);
    histogram = smx_histogram_new(segment, &seconds, NULL);
    return 0;
}

static int be_interrupted(void *argument)
{
    operation = argument;
    CHECK(register_all() == 0);
    CHECK(signal(SIGUSR1, do_the_same) != SIG_ERR);
    CHECK(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0);
    for (; !shared->over && shared->rounds < ROUNDS; shared->rounds++) {
        CHECK(raise(SIGSTOP) == 0);
        operation->body();
        CHECK(raise(SIGSTOP) == 0);
    }
    CHECK(shared->rounds < ROUNDS);
    CHECK(shared->handled + 1 == shared->rounds);
    CHECK(cells_lost(segment, SMX_LOST_GAUGE) == 0);
    return operation->check();
}

static bool stops_by(pid_t pid, int signo)
{
    int status;
    return waitpid(pid, &status, 0) == pid && WIFSTOPPED(status) && WSTOPSIG(status) == signo;
}

/* Go on for so many instructions; false if the stop behind the operation comes first. */
static bool step(pid_t pid, unsigned n)
{
    int status = 0;
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
        assert_true(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
        if (WSTOPSIG(status) == SIGSTOP)
            return false;
    }
    return true;
}

static void interrupt_at_every_instruction(const struct operation *what)
{
    memset(shared, 0, sizeof *shared);
    pid_t pid = worker_start(be_interrupted, (void *)(uintptr_t)what);
    for (unsigned n = 1; !shared->over; n += what->stride) {
        assert_true(stops_by(pid, SIGSTOP));
        if (step(pid, n)) {
            assert_int_equal(ptrace(PTRACE_CONT, pid, NULL, SIGUSR1), 0);
            assert_true(stops_by(pid, SIGSTOP));
        } else {
            shared->over = 1;
        }
        assert_int_equal(ptrace(PTRACE_CONT, pid, NULL, NULL), 0);
    }
    assert_int_equal(worker_wait(pid), 0);
    print_message("# %s: interrupted at %u places\n", what->name, shared->handled);
    assert_true(shared->handled > 10);
}

static void a_handler_at_any_instruction_of_the_same_update_loses_nothing(void **state)
{
    (void)state;
    static const struct operation updates[] = {
        {"count", count, counted, STRIDE},
        {"first-add", add, added, STRIDE},
        {"first-fadd", add_real, added, STRIDE},
        {"add", add_to_one, added_to_one, STRIDE},
        {"set", set, is_set, STRIDE},
        {"scope", measure, measured, STRIDE},
    };
    for (size_t i = 0; i < sizeof updates / sizeof *updates; i++)
        interrupt_at_every_instruction(&updates[i]);
}

static void a_heartbeat_in_a_heartbeat_takes_the_lock_back_once(void **state)
{
    (void)state;
    interrupt_at_every_instruction(
        &(struct operation){"heartbeat", recover, recovered, 13 * STRIDE});
}

int main(void)
{
    shared = worker_shared(sizeof *shared);
    if (!shared || scratch_make(directory) != 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handler_at_any_instruction_of_the_same_update_loses_nothing),
        cmocka_unit_test(a_heartbeat_in_a_heartbeat_takes_the_lock_back_once),
    };
    int status = RUN_TESTS(tests);
    scratch_remove(directory);
    return status;
}
