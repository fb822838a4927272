/* SPDX-License-Identifier: MIT
 *
 * load.c - the processes of one case: forked, pinned to a CPU each as long as there are CPUs, set
 * off together by a barrier in shared memory, again for every repetition.
 *
 * Every repetition begins with one of the limit, by each worker on a word of its own; then all run
 * the subject's loop. A baseline takes turns with it hundreds of times a repetition, as long as
 * there is a CPU for each: what is left when one is subtracted from the other is less than what the
 * machine's other users change from one millisecond to the next.
 *
 * The first worker leads: between two rounds, while the others wait, it takes the times, settles
 * how many operations a repetition needs, and says when it is enough. Every operation of every
 * round counts for the exact total.
 *
 * The time of an operation is the CPU time of all workers by the number of all their operations: of
 * processes that never wait it is the time that one call takes, and others who use the machine do
 * not count. A subject that waits in the kernel is measured by the clock: (last end - first start)
 * * min(processes, CPUs) / operations.
 */
#include "run/load.h"
#include "run/cpus.h"
#include "run/limit.h"
#include "run/sample.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORKERS_MAX = 64, SPINS = 2000 };

/* Operations of a turn beside a baseline. */
enum { TURN = 8 * LOAD_BATCH };

/* Times of one loop of one worker. */
struct lap {
    uint64_t start_ns, end_ns; /* by the clock */
    uint64_t cpu_ns;
};

struct worker {
    struct lap loop, baseline;
    double limit_ns;
    uint64_t done, counted;
};

/* What the processes of one case share. */
struct floor {
    uint32_t arrived;
    uint32_t turn;
    bool over;
    bool warm;    /* all that the series need has been touched */
    bool settled; /* on n */
    uint64_t n;
    struct sample sample;
    struct worker workers[WORKERS_MAX];
};

struct crew {
    const struct subject *subject;
    struct load *load;
    struct floor *floor;
    unsigned procs, cpus;
    uint64_t lap_ns;
    unsigned laps;
};

void *load_share(size_t bytes)
{
    void *at =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

uint64_t load_count_nothing(struct load *l, uint64_t expected)
{
    (void)l;
    return expected;
}

/* Wait until all have come. Spinning first, for a short way to the loop. */
static void meet(const struct crew *crew)
{
    struct floor *f = crew->floor;
    uint32_t turn = __atomic_load_n(&f->turn, __ATOMIC_RELAXED);
    /* acq_rel: what each wrote before is seen by all behind; likewise the turn's pair. */
    if (__atomic_add_fetch(&f->arrived, 1, __ATOMIC_ACQ_REL) == crew->procs) {
        __atomic_store_n(&f->arrived, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&f->turn, turn + 1, __ATOMIC_RELEASE);
        return;
    }
    for (unsigned spins = 0; __atomic_load_n(&f->turn, __ATOMIC_ACQUIRE) == turn; spins++)
        if (spins > SPINS || crew->procs > crew->cpus)
            sched_yield();
}

static const struct lap *lap_of(const struct crew *crew, unsigned worker, bool baseline)
{
    const struct worker *w = &crew->floor->workers[worker];
    return baseline ? &w->baseline : &w->loop;
}

/* What one loop of all workers took, as the sum over those that ran at a time. */
static double spent_ns(const struct crew *crew, bool baseline)
{
    uint64_t cpu = 0;
    uint64_t start = UINT64_MAX;
    uint64_t end = 0;
    for (unsigned i = 0; i < crew->procs; i++) {
        const struct lap *lap = lap_of(crew, i, baseline);
        cpu += lap->cpu_ns;
        start = lap->start_ns < start ? lap->start_ns : start;
        end = lap->end_ns > end ? lap->end_ns : end;
    }
    unsigned at_a_time = crew->procs < crew->cpus ? crew->procs : crew->cpus;
    return crew->subject->waits ? (double)(end - start) * at_a_time : (double)cpu;
}

static double limit_ns(const struct crew *crew)
{
    double sum = 0;
    for (unsigned i = 0; i < crew->procs; i++)
        sum += crew->floor->workers[i].limit_ns;
    return sum / crew->procs;
}

/* Look for an n that fills the time of a repetition. */
static void settle(struct floor *f, uint64_t took_ns, uint64_t wanted_ns)
{
    if (took_ns >= wanted_ns) {
        f->settled = true;
        return;
    }
    uint64_t factor = wanted_ns / (took_ns + 1) + 1;
    f->n *= factor < 2 ? 2 : factor > 64 ? 64 : factor;
}

/* The leader, after a round, while the others wait. */
static void judge(const struct crew *crew)
{
    struct floor *f = crew->floor;
    double spent = spent_ns(crew, false);
    if (!f->warm) {
        f->warm = true;
        f->n = LOAD_BATCH;
        return;
    }
    if (!f->settled) {
        unsigned at_a_time = crew->procs < crew->cpus ? crew->procs : crew->cpus;
        settle(f, (uint64_t)spent / at_a_time, crew->lap_ns);
        return;
    }
    if (crew->subject->baseline)
        spent -= spent_ns(crew, true);
    sample_put(&f->sample, spent / ((double)f->n * crew->procs), limit_ns(crew));
    f->over = f->sample.n >= crew->laps;
}

/* More of one loop. */
static void take_lap(struct lap *lap, void (*loop)(struct load *, uint64_t), struct load *load,
                     uint64_t n)
{
    uint64_t start = sample_now_ns();
    uint64_t before = sample_cpu_ns();
    loop(load, n);
    lap->cpu_ns += sample_cpu_ns() - before;
    lap->end_ns = sample_now_ns();
    lap->start_ns = lap->start_ns ? lap->start_ns : start;
}

static void round_of(const struct crew *crew, struct worker *me, uint64_t n)
{
    const struct subject *subject = crew->subject;
    bool in_turns = subject->baseline && crew->procs <= crew->cpus;
    me->limit_ns = limit_add(crew->lap_ns / 2);
    me->loop = me->baseline = (struct lap){0};
    for (uint64_t left = n, now = n; left > 0; left -= now) {
        now = in_turns && left > TURN ? TURN : left;
        meet(crew);
        take_lap(&me->loop, subject->loop, crew->load, now);
        if (subject->baseline) {
            meet(crew);
            take_lap(&me->baseline, subject->baseline, crew->load, now);
        }
        crew->load->done += now;
    }
}

/* The whole life of a worker process. */
static void work(const struct crew *crew, unsigned index)
{
    struct floor *f = crew->floor;
    struct load *load = crew->load;
    if (crew->procs <= crew->cpus)
        cpus_pin(index);
    load->worker = index;
    for (;;) {
        meet(crew);
        if (f->over)
            break;
        round_of(crew, &f->workers[index], f->n);
        meet(crew);
        if (index == 0)
            judge(crew);
    }
    f->workers[index].done = load->done;
    if (crew->subject->counted_here)
        f->workers[index].counted = crew->subject->counted_here(load, load->done);
}

/* Fork the workers. Returns: how many there are. */
static unsigned start_workers(const struct crew *crew, pid_t pids[])
{
    fflush(NULL);
    for (unsigned i = 0; i < crew->procs; i++) {
        pids[i] = fork();
        if (pids[i] < 0)
            return i;
        if (pids[i] == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            work(crew, i);
            _exit(0);
        }
    }
    return crew->procs;
}

/* When one of them fails the others would wait for it at the barrier: they are killed. */
static int reap_workers(const pid_t pids[], unsigned n, bool failed)
{
    for (unsigned i = 0; i < n && failed; i++)
        kill(pids[i], SIGKILL);
    for (unsigned left = n; left > 0;) {
        int status;
        if (waitpid(-1, &status, 0) < 0)
            return -errno;
        left--;
        if (status != 0 && !failed) {
            failed = true;
            for (unsigned i = 0; i < n; i++)
                kill(pids[i], SIGKILL);
        }
    }
    return failed ? -ECHILD : 0;
}

static void compare_counts(const struct crew *crew, struct bench_result *result)
{
    uint64_t expected = 0;
    uint64_t counted = 0;
    for (unsigned i = 0; i < crew->procs; i++) {
        expected += crew->floor->workers[i].done;
        counted += crew->floor->workers[i].counted;
    }
    if (crew->subject->counted)
        counted = crew->subject->counted(crew->load, expected);
    result->counts = true;
    result->lost = (int64_t)(expected - counted);
}

static int run_crew(const struct crew *crew, struct bench_result *result)
{
    pid_t pids[WORKERS_MAX];
    unsigned n = start_workers(crew, pids);
    int code = reap_workers(pids, n, n < crew->procs);
    if (code < 0)
        return bench_fail(result, code, n < crew->procs ? "cannot fork" : "a worker failed");
    sample_conclude(&crew->floor->sample, result);
    compare_counts(crew, result);
    result->rows = crew->load->rows;
    return 0;
}

/* Values that histograms record in turn, in ticks: logarithmically even from about 1 ms to 16 s. */
static void make_ticks(struct load *load)
{
    uint64_t seed = 42;
    for (unsigned i = 0; i < LOAD_BATCH; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        unsigned exponent = 20 + (unsigned)((seed >> 60) % 14);
        load->ticks[i] = (1ull << exponent) + ((seed >> 20) & ((1ull << exponent) - 1));
        load->ticks_sum += load->ticks[i];
    }
}

/* Operations that touch every page of every series by each worker: the kernel maps them then, which
 * takes longer than thousands of updates. */
static uint64_t warm_up(uint64_t series)
{
    enum { TIMES = 4 };
    return (series * TIMES / LOAD_BATCH + 1) * LOAD_BATCH;
}

int load_run(const struct bench_case *bench, const struct bench_place *place,
             struct bench_result *result)
{
    struct load load = {.series = (uint32_t)bench->series, .rows = bench->rows};
    make_ticks(&load);
    const struct crew crew = {
        .subject = bench->subject,
        .load = &load,
        .floor = load_share(sizeof *crew.floor),
        .procs = bench->procs,
        .cpus = cpus_count(),
        .lap_ns = place->lap_ns,
        .laps = place->laps,
    };
    if (!crew.floor || bench->procs > WORKERS_MAX)
        return bench_fail(result, -ENOMEM, "no memory to share");
    crew.floor->n = warm_up(bench->series);
    int code = bench->subject->start(&load, place, result);
    if (code == 0)
        code = run_crew(&crew, result);
    if (bench->subject->stop)
        bench->subject->stop(&load);
    return code;
}
