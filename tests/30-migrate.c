/* SPDX-License-Identifier: MIT
 *
 * 30-migrate.c - a storm of forced migrations and signals, in which updates are exact, while plain
 * adds to the row of the CPU, as if there were no restartable sequences, lose counts. That the
 * control loses shows that the storm is one: without it the test could not fail.
 */
#include "support/cells.h"
#include "support/scratch.h"
#include "support/tap.h"
#include "support/worker.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

enum { THREADS = 4, BATCH = 20000, CPUS = 1024, LINE = 8 };

static char directory[SCRATCH_SIZE];
static smx_segment *segment;
static smx_counter counter;
static smx_histogram histogram;

static uint64_t control[CPUS * LINE]; /* a line for each CPU */
static uint64_t control_adds;
static uint64_t signals;
static uint32_t stop;
static pid_t tids[THREADS];
static uint64_t batches[THREADS]; /* that each has done */

/* What an add without rseq comes to when it is preempted between its instructions; of which the
 * compiler is not to make one. */
static void add_to_control(void)
{
    int cpu = sched_getcpu();
    uint64_t *cell = &control[(size_t)(cpu < 0 ? 0 : cpu % CPUS) * LINE];
    uint64_t value = __atomic_load_n(cell, __ATOMIC_RELAXED);
    __asm__ __volatile__("" : "+r"(value));
    __atomic_store_n(cell, value + 1, __ATOMIC_RELAXED);
}

static void add_in_handler(int signo)
{
    (void)signo;
    smx_counter_add(counter, 1);
    smx_histogram_record(histogram, 1);
    __atomic_fetch_add(&signals, 1, __ATOMIC_RELAXED);
}

static void *add(void *argument)
{
    const uintptr_t me = (uintptr_t)argument;
    __atomic_store_n(&tids[me], gettid(), __ATOMIC_RELEASE);
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        for (int i = 0; i < BATCH; i++) {
            smx_counter_add(counter, 1);
            smx_histogram_record(histogram, 1);
            add_to_control();
        }
        __atomic_fetch_add(&batches[me], 1, __ATOMIC_RELAXED);
    }
    return NULL;
}

static uint64_t control_sum(void)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < CPUS * LINE; i++)
        sum += __atomic_load_n(&control[i], __ATOMIC_RELAXED);
    return sum;
}

/* What is in hand counts in the sum, and not as done: so much more has to be lost to be seen. */
static bool control_has_lost(void)
{
    uint64_t done = 0;
    for (int i = 0; i < THREADS; i++)
        done += __atomic_load_n(&batches[i], __ATOMIC_RELAXED) * BATCH;
    return control_sum() < done;
}

/* Push the threads from CPU to CPU for three seconds; and on, where other programs leave them so
 * little of the CPUs that it was no storm yet. */
static void push_about(const cpu_set_t *allowed)
{
    uint64_t begin = worker_now_ns();
    for (unsigned cpu = 0;; cpu = (cpu + 1) % CPU_SETSIZE) {
        if (!CPU_ISSET(cpu, allowed))
            continue;
        uint64_t passed = worker_now_ns() - begin;
        if (passed > PATIENCE_NS || (passed > UINT64_C(3000000000) && control_has_lost()))
            break;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        for (int i = 0; i < THREADS; i++) {
            pid_t tid = __atomic_load_n(&tids[i], __ATOMIC_ACQUIRE);
            if (tid)
                (void)sched_setaffinity(tid, sizeof one, &one);
        }
        sched_yield();
    }
}

static void migrations_and_signals_lose_nothing(void **state)
{
    (void)state;
    cpu_set_t allowed;
    pthread_t thread[THREADS];
    struct sigaction action = {.sa_handler = add_in_handler, .sa_flags = SA_RESTART};
    struct itimerval timer = {{0, 100}, {0, 100}};
    assert_int_equal(sched_getaffinity(0, sizeof allowed, &allowed), 0);
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, add, (void *)i), 0);
    push_about(&allowed);
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    uint64_t total = 0;
    for (int i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
        total += batches[i] * BATCH;
    }
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 0}}, NULL);
    signal(SIGALRM, SIG_IGN);
    control_adds = total;
    total += __atomic_load_n(&signals, __ATOMIC_RELAXED);
    assert_true(smx_counter_value(counter) == total);
    assert_true(smx_histogram_count(histogram) == total);
    assert_true(smx_histogram_sum(histogram) == total);
#if SMX_HAVE_RSEQ
    uint64_t atomic = cells_counter_atomic(counter);
    assert_true(atomic < total); /* the sequences took part */
    print_message("# %llu of %llu adds were aborted\n", (unsigned long long)atomic,
                  (unsigned long long)total);
#endif
}

static void the_control_without_sequences_loses(void **state)
{
    (void)state;
    const uint64_t sum = control_sum();
    print_message("# plain adds lost %llu of %llu\n", (unsigned long long)(control_adds - sum),
                  (unsigned long long)control_adds);
    assert_true(sum < control_adds);
}

int main(void)
{
    struct smx_options options = {.app = "migrate", .directory = directory};
    if (scratch_make(directory) != 0 || smx_open(&options, &segment, NULL) != 0)
        return 1;
    counter = smx_counter_new(segment, &(struct smx_metric){.name = "c_total"}, NULL);
    histogram = smx_histogram_new(segment, &(struct smx_metric){.name = "h"}, NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(migrations_and_signals_lose_nothing),
        cmocka_unit_test(the_control_without_sequences_loses),
    };
    int status = RUN_TESTS(tests);
    scratch_remove(directory);
    return status;
}
