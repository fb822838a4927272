/* SPDX-License-Identifier: MIT
 *
 * 30-rseq.c - the restartable sequences: beside code without them, aborted at every instruction,
 * switched off; and that none leaves its descriptor behind. Totals are exact in all of these.
 */
#include "support/atomic.h"
#include "support/cells.h"
#include "support/scratch.h"
#include "support/tap.h"
#include "support/worker.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 4, ADDS = 300000, STEPPED = 200 };

static char directory[SCRATCH_SIZE];
static const char *program;
static smx_segment *segment;
static smx_counter counter;
static smx_histogram histogram;

static struct {
    uint32_t arrived;
    uint64_t left_behind; /* descriptors found in rseq_cs after an update */
} * shared;

static smx_segment *open_it(const char *app)
{
    smx_segment *own;
    struct smx_options options = {.app = app, .directory = directory, .rows = 4};
    (void)smx_open(&options, &own, NULL);
    return own;
}

/* New series, so that every test counts from zero. */
static void fresh(const char *name)
{
    struct smx_metric metric = {.name = name};
    char text[64];
    counter = smx_counter_new(segment, &metric, NULL);
    snprintf(text, sizeof text, "%s_h", name);
    metric.name = text;
    histogram = smx_histogram_new(segment, &metric, NULL);
    assert_non_null(counter.base);
    assert_non_null(histogram.base);
    memset(shared, 0, sizeof *shared);
}

/* The word that an update must leave empty: else it names a descriptor that may be unloaded. */
static bool left_descriptor(void)
{
#if SMX_HAVE_RSEQ
    const char *area = (const char *)__builtin_thread_pointer() + SMX__RSEQ_OFFSET;
    uint64_t word;
    memcpy(&word, area + 8, sizeof word);
    return word != 0;
#else
    return false;
#endif
}

static uint64_t atomic_part(void)
{
    return cells_counter_atomic(counter);
}

static void *update_either_way(void *argument)
{
    bool plain = (uintptr_t)argument % 2 == 0;
    for (unsigned i = 0; i < ADDS; i++) {
        if (plain) {
            smx_counter_add(counter, 3);
            smx_histogram_record(histogram, i);
        } else {
            atomic_counter_add(counter, 3);
            atomic_histogram_record(histogram, i);
        }
    }
    return NULL;
}

static void code_with_and_without_rseq_counts_together(void **state)
{
    (void)state;
    pthread_t thread[THREADS];
    fresh("together");
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, update_either_way, (void *)i), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    assert_int_equal(smx_counter_value(counter), 3 * THREADS * ADDS);
    assert_int_equal(smx_histogram_count(histogram), THREADS * ADDS);
    assert_true(smx_histogram_sum(histogram) == (uint64_t)THREADS * ADDS * (ADDS - 1) / 2);
    assert_true(atomic_part() >= 3 * (THREADS / 2) * ADDS);
#if SMX_HAVE_RSEQ
    assert_true(atomic_part() < 3 * THREADS * ADDS); /* or else no sequence was committed */
#endif
}

static int be_stepped(void *argument)
{
    (void)argument;
    CHECK(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0);
    CHECK(raise(SIGSTOP) == 0);
    for (uint64_t i = 0; i < STEPPED; i++) {
        smx_counter_add(counter, 1);
        shared->left_behind += left_descriptor();
        smx_histogram_record(histogram, i);
        shared->left_behind += left_descriptor();
    }
    CHECK(raise(SIGSTOP) == 0);
    return 0;
}

/* Step until the second SIGSTOP, then let it go. Gives its exit status. */
static int step_through(pid_t pid)
{
    int status;
    int stops = 0;
    while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status)) {
        stops += WSTOPSIG(status) == SIGSTOP;
        if (ptrace(stops < 2 ? PTRACE_SINGLESTEP : PTRACE_CONT, pid, NULL, NULL) != 0)
            return -1;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void a_debuggers_steps_abort_every_sequence_and_lose_nothing(void **state)
{
    (void)state;
    fresh("stepped");
    pid_t pid = worker_start(be_stepped, NULL);
    assert_int_equal(step_through(pid), 0);
    assert_int_equal(smx_counter_value(counter), STEPPED);
    assert_int_equal(smx_histogram_count(histogram), STEPPED);
    assert_int_equal(smx_histogram_sum(histogram), STEPPED * (STEPPED - 1) / 2);
    assert_int_equal(atomic_part(), STEPPED); /* no step ever got through */
    assert_int_equal(shared->left_behind, 0);
}

static void count_the_signal(int signo)
{
    (void)signo;
    smx_counter_add(counter, 1);
    smx_histogram_record(histogram, 1);
    __atomic_fetch_add(&shared->arrived, 1, __ATOMIC_RELAXED);
}

static void signals_abort_sequences_and_lose_nothing(void **state)
{
    (void)state;
    fresh("signals");
    struct sigaction action = {.sa_handler = count_the_signal, .sa_flags = SA_RESTART};
    struct itimerval timer = {{0, 20}, {0, 20}};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
    uint64_t n = 0;
    uint64_t left = 0;
    uint64_t deadline = worker_now_ns() + UINT64_C(20000000000);
    while (n < 10 * ADDS || (SMX_HAVE_RSEQ && atomic_part() == 0 && worker_now_ns() < deadline)) {
        for (int i = 0; i < 64; i++) /* most of the time inside sequences */
            smx_counter_add(counter, 1);
        left += left_descriptor();
        for (int i = 0; i < 64; i++)
            smx_histogram_record(histogram, 1);
        left += left_descriptor();
        n += 64;
    }
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 0}}, NULL);
    signal(SIGALRM, SIG_IGN);
    uint64_t total = n + __atomic_load_n(&shared->arrived, __ATOMIC_RELAXED);
    assert_true(smx_counter_value(counter) == total);
    assert_true(smx_histogram_count(histogram) == total);
    assert_true(smx_histogram_sum(histogram) == total);
    assert_int_equal(left, 0);
    assert_true(atomic_part() > 0);
}

static int exec_without_rseq(void *argument)
{
    (void)argument;
    CHECK(setenv("GLIBC_TUNABLES", "glibc.pthread.rseq=0", 1) == 0);
    execl("/proc/self/exe", program, directory, (char *)NULL);
    return 1;
}

static unsigned atomic_rows_in_use(void)
{
    const struct smx_hist *d = histogram.hist;
    unsigned used = 0;
    for (uint32_t row = d->rows; row <= d->rows + d->mask; row++)
        used += histogram.base[(uint64_t)row * d->stride / 8 + SMX_HIST_SUM] > 0;
    return used;
}

static int record_on_a_cpu(void *argument)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(*(const unsigned *)argument % 2, &set);
    (void)sched_setaffinity(0, sizeof set, &set);
    smx_histogram_record(histogram, 1);
    return 0;
}

/* The row is chosen by the CPU or, where nobody knows that for nothing, by the process' number. */
static int processes_take_rows_of_their_own(void)
{
    unsigned n = 0;
    CHECK((segment = open_it("nobody")));
    histogram = smx_histogram_new(segment, &(struct smx_metric){.name = "spread"}, NULL);
    CHECK(histogram.base && histogram.hist->mask == segment->header->counter_stripes - 1u);
    while (n < 200 && atomic_rows_in_use() < 2)
        CHECK(++n && worker_run(record_on_a_cpu, &n) == 0);
    CHECK(smx_histogram_count(histogram) == n);
    CHECK(atomic_rows_in_use() == 2 || sysconf(_SC_NPROCESSORS_ONLN) < 2);
    return 0;
}

/* In the program that exec_without_rseq() starts. */
static int update_without_rseq(void)
{
    CHECK((segment = open_it("rseq")));
    counter = smx_counter_new(segment, &(struct smx_metric){.name = "tunable"}, NULL);
    for (int i = 0; i < 1000; i++)
        smx_counter_inc(counter);
    CHECK(smx_counter_value(counter) == 1000);
    CHECK(SMX__REGISTERS ? atomic_part() < 100 : atomic_part() == 1000);
    return SMX__REGISTERS ? 0 : processes_take_rows_of_their_own();
}

static void threads_without_rseq_take_the_atomic_row(void **state)
{
    (void)state;
    assert_int_equal(worker_run(exec_without_rseq, NULL), 0);
}

static int add_on_the_first_cpu(void *argument)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(0, &set);
    CHECK(sched_setaffinity(0, sizeof set, &set) == 0);
    worker_arrive(&shared->arrived);
    (void)argument;
    for (uint64_t n = 0; n < 20 * ADDS; n++)
        smx_counter_add(counter, 1);
    return 0;
}

/* Why no entry may be used between vfork() and exec: an observation, not a promise to lose. */
static void what_a_vfork_child_loses_is_shown(void **state)
{
    (void)state;
    cpu_set_t set;
    cpu_set_t before;
    fresh("vfork");
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    CPU_ZERO(&set);
    CPU_SET(0, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0)
        return;
    CPU_ZERO(&set);
    CPU_SET(1, &set);
    pid_t other = worker_start(add_on_the_first_cpu, NULL);
    assert_true(worker_reach(&shared->arrived, 1));
    pid_t pid = vfork();
    if (pid == 0) {
        (void)sched_setaffinity(0, sizeof set, &set);
        for (uint64_t n = 0; n < 20 * ADDS; n++)
            smx_counter_add(counter, 1);
        _exit(0);
    }
    assert_int_equal(worker_wait(pid), 0);
    assert_int_equal(worker_wait(other), 0);
    sched_setaffinity(0, sizeof before, &before);
    uint64_t value = smx_counter_value(counter);
    print_message("# a vfork() child beside a process: %llu of %llu adds are lost\n",
                  (unsigned long long)(UINT64_C(40) * ADDS - value),
                  (unsigned long long)(UINT64_C(40) * ADDS));
    assert_true(value >= UINT64_C(20) * ADDS / 2 && value <= UINT64_C(40) * ADDS);
}

int main(int argc, char **argv)
{
    program = argv[0];
    if (argc > 1) {
        snprintf(directory, sizeof directory, "%s", argv[1]);
        return update_without_rseq();
    }
    shared = worker_shared(sizeof *shared);
    if (!shared || scratch_make(directory) != 0 || !(segment = open_it("rseq")))
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(code_with_and_without_rseq_counts_together),
        cmocka_unit_test(a_debuggers_steps_abort_every_sequence_and_lose_nothing),
        cmocka_unit_test(signals_abort_sequences_and_lose_nothing),
        cmocka_unit_test(threads_without_rseq_take_the_atomic_row),
        cmocka_unit_test(what_a_vfork_child_loses_is_shown),
    };
    int status = RUN_TESTS(tests);
    scratch_remove(directory);
    return status;
}
