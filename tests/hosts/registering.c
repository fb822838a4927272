/* SPDX-License-Identifier: MIT
 *
 * registering.c - processes of several threads update a counter, a histogram and a gauge, moved
 * from CPU to CPU under a rain of signals. Says in which rows the counts are, and how many of the
 * threads had no struct rseq registered any more when they ended: "percpu=P atomic=A left=L".
 * Usage: registering PROCESSES THREADS N [taken]; taken: threads register an area of their own
 * before their first update. Exit status 0 if every count is there.
 */
#include <smx/smx.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_THREADS = 16, MOVE_EVERY = 1000, SIGNATURE = SMX__RSEQ_SIG, UNREGISTER = 1 };

/* The size and alignment that rseq(2) takes. */
struct area {
    uint32_t words[8];
} __attribute__((aligned(32)));

static struct {
    smx_counter counter;
    smx_histogram histogram;
    smx_gauge gauge;
    uint64_t n;
    int taken;
    pthread_key_t end;
    uint32_t *left; /* shared by the processes */
} host;

static void fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

static void on_signal(int signal)
{
    (void)signal;
    /* A handler's update may be its thread's first. */
    smx_counter_add(host.counter, 0);
}

static void start_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    struct itimerval each_ms = {{0, 1000}, {0, 1000}};
    if (sigaction(SIGPROF, &action, NULL) < 0 || setitimer(ITIMER_PROF, &each_ms, NULL) < 0)
        fail("no signals");
}

static void move(uint64_t i)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(i % (uint64_t)sysconf(_SC_NPROCESSORS_ONLN), &one);
    (void)sched_setaffinity(0, sizeof one, &one);
}

/* Runs again in the second round of a thread's destructors, when libshm's has run. */
static void at_end(void *round)
{
    static struct area area[MAX_THREADS];
    static uint32_t used;
    if (round == (void *)1) {
        if (pthread_setspecific(host.end, (void *)2) != 0)
            fail("no second round");
        return;
    }
    struct area *mine = &area[__atomic_fetch_add(&used, 1, __ATOMIC_RELAXED) % MAX_THREADS];
    if (syscall(SYS_rseq, mine, sizeof *mine, 0, SIGNATURE) != 0)
        return;
    __atomic_fetch_add(host.left, 1, __ATOMIC_RELAXED);
    if (syscall(SYS_rseq, mine, sizeof *mine, UNREGISTER, SIGNATURE) != 0)
        fail("registered, but not to be unregistered");
}

static void *update(void *area)
{
    if (host.taken && syscall(SYS_rseq, area, sizeof(struct area), 0, SIGNATURE) != 0)
        fail("no registration of our own");
    if (pthread_setspecific(host.end, (void *)1) != 0)
        fail("no destructor");
    smx_gauge_inc(host.gauge);
    for (uint64_t i = 0; i < host.n; i++) {
        smx_counter_inc(host.counter);
        smx_histogram_record(host.histogram, 3);
        if (i % MOVE_EVERY == 0)
            move(i / MOVE_EVERY);
    }
    if (host.taken && syscall(SYS_rseq, area, sizeof(struct area), UNREGISTER, SIGNATURE) != 0)
        fail("our registration is gone");
    return NULL;
}

/* One process: its first thread updates, too, in what it has from its parent. */
static void run_process(unsigned threads)
{
    static struct area areas[MAX_THREADS];
    pthread_t thread[MAX_THREADS];
    start_signals();
    for (unsigned i = 0; i < threads; i++)
        if (pthread_create(&thread[i], NULL, update, &areas[i]) != 0)
            fail("no thread");
    for (uint64_t i = 0; i < host.n; i++)
        smx_counter_inc(host.counter);
    for (unsigned i = 0; i < threads; i++)
        pthread_join(thread[i], NULL);
    if (smx_gauge_value(host.gauge) != threads)
        fail("the gauge of this process is not the number of its threads");
    exit(0);
}

static uint64_t rows_sum(smx_counter c, uint32_t first, uint32_t end)
{
    uint64_t sum = 0;
    for (uint32_t row = first; row < end; row++)
        sum += c.base[(size_t)row << (SMX_COUNTER_SHIFT - 3)];
    return sum;
}

static void open_segment(void)
{
    smx_segment *segment;
    struct smx_diag diag;
    struct smx_options options = {.app = "registering", .kind = SMX_KIND_PERCPU};
    smx_counter_inc(host.counter); /* swallowed: nothing is open */
    if (smx_open(&options, &segment, &diag) < 0) {
        fprintf(stderr, "%s\n", diag.text);
        exit(1);
    }
    host.counter = smx_counter_new(segment, &(struct smx_metric){.name = "counted_total"}, NULL);
    host.histogram = smx_histogram_new(segment, &(struct smx_metric){.name = "recorded"}, NULL);
    host.gauge = smx_gauge_new(segment, &(struct smx_metric){.name = "threads"}, NULL);
    host.left =
        mmap(NULL, sizeof *host.left, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (host.left == MAP_FAILED || pthread_key_create(&host.end, at_end) != 0)
        fail("no memory");
}

int main(int argc, char **argv)
{
    unsigned processes = argc > 3 ? (unsigned)atoi(argv[1]) : 0;
    unsigned threads = argc > 3 ? (unsigned)atoi(argv[2]) : 0;
    if (processes == 0 || threads == 0 || threads > MAX_THREADS) {
        fprintf(stderr, "usage: registering PROCESSES THREADS N [taken]\n");
        return 1;
    }
    host.n = strtoull(argv[3], NULL, 10);
    host.taken = argc > 4 && strcmp(argv[4], "taken") == 0;
    open_segment();
    for (unsigned i = 0; i < processes; i++)
        if (fork() == 0)
            run_process(threads);
    int status, bad = 0;
    while (wait(&status) > 0)
        bad |= status;
    if (bad)
        fail("a process failed");

    smx_counter c = host.counter;
    uint64_t percpu = rows_sum(c, 0, c.rows);
    uint64_t atomic = rows_sum(c, c.rows, c.rows + c.mask + 1);
    printf("percpu=%llu atomic=%llu left=%u\n", (unsigned long long)percpu,
           (unsigned long long)atomic, *host.left);
    uint64_t recorded = processes * threads * host.n;
    if (percpu + atomic == recorded + processes * host.n &&
        smx_histogram_count(host.histogram) == recorded &&
        smx_histogram_sum(host.histogram) == 3 * recorded)
        return 0;
    fprintf(stderr, "counts were lost\n");
    return 1;
}
