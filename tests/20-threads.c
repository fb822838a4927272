/* SPDX-License-Identifier: MIT
 *
 * 20-threads.c - many threads of one process: they register the same things at once and each exists
 * once; what they add is there exactly, also when their first writes race with each other and with
 * a signal handler. Passes under TSan, where every add takes an atomic row.
 */
#include "support/cells.h"
#include "support/invariants.h"
#include "support/patient.h"
#include "support/scratch.h"
#include "support/tap.h"
#include "support/worker.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

enum { THREADS = 8, SERIES = 40, ADDS = 200, ROUNDS = 60, OWN = 4000 };

static char directory[SCRATCH_SIZE];
static smx_segment *segment;
static pthread_barrier_t barrier;

/* Run one body in all threads, which start together. */
static void in_threads(void *(*body)(void *))
{
    pthread_t thread[THREADS];
    pthread_barrier_init(&barrier, NULL, THREADS);
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, body, (void *)i), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    pthread_barrier_destroy(&barrier);
}

static const struct smx_metric counters = {.name = "c_total", .labels = {"n"}};
static const struct smx_metric histograms = {
    .name = "h_seconds", .unit = "seconds", .labels = {"n"}};

static void *register_and_add(void *argument)
{
    uintptr_t me = (uintptr_t)argument;
    pthread_barrier_wait(&barrier);
    smx_family family[2] = {smx_counter_family(segment, &counters, NULL),
                            smx_histogram_family(segment, &histograms, NULL)};
    for (unsigned i = 0; i < SERIES; i++) {
        char value[16];
        snprintf(value, sizeof value, "%u", i);
        smx_counter counter = smx_counter_with(family[0], SMX_VALUES(value));
        smx_histogram histogram = smx_histogram_with(family[1], SMX_VALUES(value));
        for (unsigned n = 0; n < ADDS; n++) {
            smx_counter_add(counter, 1 + i);
            smx_histogram_record(histogram, 1000 * (me + 1) + n);
        }
    }
    return NULL;
}

static void racing_registrations_give_one_family_and_exact_totals(void **state)
{
    (void)state;
    in_threads(register_and_add);
    assert_int_equal(cells_records(segment, SMX__RECORD_FAMILY), 2);
    assert_int_equal(cells_records(segment, SMX__RECORD_SERIES), 2 * SERIES);
    smx_family family[2] = {smx_counter_family(segment, &counters, NULL),
                            smx_histogram_family(segment, &histograms, NULL)};
    uint64_t sum = 0;
    for (uint64_t me = 0; me < THREADS; me++)
        sum += ADDS * 1000 * (me + 1) + ADDS * (ADDS - 1) / 2;
    for (unsigned i = 0; i < SERIES; i++) {
        char value[16];
        snprintf(value, sizeof value, "%u", i);
        smx_counter counter = smx_counter_with(family[0], SMX_VALUES(value));
        smx_histogram histogram = smx_histogram_with(family[1], SMX_VALUES(value));
        assert_int_equal(smx_counter_value(counter), THREADS * ADDS * (1 + i));
        assert_int_equal(smx_histogram_count(histogram), THREADS * ADDS);
        assert_int_equal(smx_histogram_sum(histogram), sum);
        uint64_t least = UINT64_MAX;
        uint64_t most = 0;
        for (uint32_t row = 0; row <= histogram.hist->rows + histogram.hist->mask; row++) {
            const uint64_t *at =
                histogram.base + (uint64_t)row * histogram.hist->stride / sizeof *at;
            least = ~at[SMX_HIST_MIN_INVERTED] < least ? ~at[SMX_HIST_MIN_INVERTED] : least;
            most = at[SMX_HIST_MAX] > most ? at[SMX_HIST_MAX] : most;
        }
        assert_int_equal(least, 1000);
        assert_int_equal(most, 1000 * THREADS + ADDS - 1);
    }
}

static smx_family capped;
static uint32_t overflows;

static void *fill_up_to_the_cap(void *argument)
{
    (void)argument;
    pthread_barrier_wait(&barrier);
    const char *start = (const char *)segment->header;
    const struct smx__family *family = cells_family(capped);
    const struct smx__series *series =
        (const struct smx__series *)(const void *)(start + family->overflow);
    for (unsigned i = 0; i < SERIES; i++) {
        char value[16];
        snprintf(value, sizeof value, "%u", i);
        smx_counter counter = smx_counter_with(capped, SMX_VALUES(value));
        if ((const char *)counter.base == start + series->cell)
            __atomic_fetch_add(&overflows, 1, __ATOMIC_RELAXED);
    }
    return NULL;
}

/* Each thread asks for the same series, exactly as many as are allowed: nobody is past the cap. */
static void racing_up_to_the_cap_sends_nobody_to_the_overflow(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        char name[32];
        snprintf(name, sizeof name, "cap_%d_total", round);
        struct smx_metric metric = {.name = name, .labels = {"n"}, .max_series = SERIES};
        capped = smx_counter_family(segment, &metric, NULL);
        in_threads(fill_up_to_the_cap);
        assert_int_equal(cells_family(capped)->n_series, SERIES);
    }
    assert_int_equal(overflows, 0);
    assert_int_equal(cells_lost(segment, SMX_LOST_SERIES_CAP), 0);
}

static smx_gauge gauge;
static smx_fgauge fgauge;

static void up_and_down(int signo)
{
    (void)signo;
    smx_gauge_inc(gauge);
    smx_fgauge_add(fgauge, 3);
    smx_gauge_dec(gauge);
    smx_fgauge_add(fgauge, -3);
}

static void *write_first(void *argument)
{
    uintptr_t me = (uintptr_t)argument;
    pthread_barrier_wait(&barrier);
    smx_gauge_add(gauge, (int64_t)me + 1);
    smx_fgauge_add(fgauge, (double)me + 1);
    for (unsigned n = 0; n < ADDS; n++) {
        smx_gauge_inc(gauge);
        smx_fgauge_add(fgauge, 0.5);
        if (n % 16 == 0)
            (void)pthread_kill(pthread_self(), SIGUSR1);
        smx_gauge_dec(gauge);
    }
    return NULL;
}

static void racing_first_writes_of_gauges_lose_nothing(void **state)
{
    (void)state;
    struct sigaction action = {.sa_handler = up_and_down, .sa_flags = SA_RESTART};
    struct itimerval timer = {{0, 50}, {0, 50}};
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGALRM, &action, NULL);
    /* Before the timer: the handler must find handles. */
    gauge = (smx_gauge){NULL, NULL};
    setitimer(ITIMER_REAL, &timer, NULL);
    int64_t wrong = 0;
    for (int round = 0; round < ROUNDS; round++) {
        char name[32];
        sigset_t all;
        sigset_t before;
        snprintf(name, sizeof name, "g_%d", round);
        struct smx_metric metric = {.name = name};
        smx_gauge integer = smx_gauge_new(segment, &metric, NULL);
        name[0] = 'd';
        struct smx_metric real = {.name = name};
        smx_fgauge fraction = smx_fgauge_new(segment, &real, NULL);
        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, &before);
        gauge = integer;
        fgauge = fraction;
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        in_threads(write_first);
        pthread_sigmask(SIG_BLOCK, &all, &before);
        wrong += smx_gauge_value(gauge) != THREADS * (THREADS + 1) / 2;
        wrong += smx_fgauge_value(fgauge) != THREADS * (THREADS + 1 + ADDS) / 2;
        wrong += cells_gauge_sum(segment, gauge) != THREADS * (THREADS + 1) / 2;
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 0}}, NULL);
    assert_int_equal(wrong, 0);
    assert_int_equal(cells_lost(segment, SMX_LOST_GAUGE), 0);
}

static smx_segment *opened[THREADS];

static void *open_together(void *argument)
{
    struct smx_options options = {.app = "together", .directory = directory, .slots = 8};
    pthread_barrier_wait(&barrier);
    (void)patient_open(&options, &opened[(uintptr_t)argument], NULL);
    return NULL;
}

static void racing_opens_give_one_segment_and_one_slot(void **state)
{
    (void)state;
    in_threads(open_together);
    for (int i = 0; i < THREADS; i++)
        assert_ptr_equal(opened[i], opened[0]);
    assert_non_null(opened[0]);
    assert_int_equal(cells_live(opened[0]), 1);
}

static smx_family owned;

static void *make_own_series(void *argument)
{
    uintptr_t me = (uintptr_t)argument;
    pthread_barrier_wait(&barrier);
    for (unsigned i = 0; i < OWN; i++) {
        char value[32];
        snprintf(value, sizeof value, "%u of %u", i, (unsigned)me);
        (void)smx_gauge_with(owned, SMX_VALUES(value));
    }
    return NULL;
}

/* In a child: this process would lose its locks by closing the file. */
static int every_cell_has_a_series(void *argument)
{
    struct invariants *v = invariants_open(smx_path(argument));
    struct invariants_use use = {0};
    const char *fault = v ? invariants_fault(v, &use) : "it cannot be opened";
    if (fault || use.lost_cells)
        fprintf(stderr, "# %s; %u cells are lost\n", fault ? fault : "sound",
                (unsigned)use.lost_cells);
    CHECK(!fault && use.series == THREADS * OWN && use.lost_cells == 0);
    return 0;
}

/* An extent has four gauges, so that threads often meet at its end. */
static void racing_for_the_next_extent_wastes_no_cell(void **state)
{
    (void)state;
    smx_segment *own = NULL;
    struct smx_options options = {.app = "cells", .directory = directory, .slots = 8};
    assert_int_equal(smx_open(&options, &own, NULL), 0);
    owned = smx_gauge_family(
        own, &(struct smx_metric){.name = "owned", .labels = {"by"}, .max_series = THREADS * OWN},
        NULL);
    in_threads(make_own_series);
    assert_int_equal(worker_run(every_cell_has_a_series, own), 0);
}

int main(void)
{
    struct smx_options options = {.app = "threads", .directory = directory};
    if (scratch_make(directory) != 0 || smx_open(&options, &segment, NULL) != 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(racing_opens_give_one_segment_and_one_slot),
        cmocka_unit_test(racing_registrations_give_one_family_and_exact_totals),
        cmocka_unit_test(racing_up_to_the_cap_sends_nobody_to_the_overflow),
        cmocka_unit_test(racing_first_writes_of_gauges_lose_nothing),
        cmocka_unit_test(racing_for_the_next_extent_wastes_no_cell),
    };
    int status = RUN_TESTS(tests);
    scratch_remove(directory);
    return status;
}
