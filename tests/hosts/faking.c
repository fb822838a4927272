/* SPDX-License-Identifier: MIT
 *
 * faking.c - the sequences with a kernel of our own, for an emulator that has no rseq: the thread's
 * struct rseq is a variable here, and an abort is a trap at the commit, whose handler goes where
 * the kernel would. For aarch64. Prints TAP.
 */
#define SMX_REGISTER_RSEQ
#include <smx/smx.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

enum { ROWS = 4, TRAP = 0xd4200000 };

/* The kernel's, of linux/rseq.h. */
struct area {
    uint32_t cpu_id_start, cpu_id;
    uint64_t rseq_cs, rest[2];
} __attribute__((aligned(32)));
struct descriptor {
    uint32_t version, flags;
    uint64_t start, length, abort;
};
extern struct descriptor __start___rseq_cs[], __stop___rseq_cs[];

static __thread struct area area;
static smx_counter counter;
static smx_histogram histogram;
static unsigned traps;
static int tests, bad;

static void expect(const char *what, int is)
{
    printf("%sok %d - %s\n", is ? "" : "not ", ++tests, what);
    bad += !is;
}

/* The word at the start of a row, on a CPU or behind them. */
static uint64_t counted(uint32_t row)
{
    return counter.base[(size_t)row << (SMX_COUNTER_SHIFT - 3)];
}

static uint64_t recorded(uint32_t row, unsigned word)
{
    return histogram.base[(size_t)row * histogram.hist->stride / 8 + word];
}

static uint64_t bucket_sum(uint32_t row)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < histogram.hist->n_buckets; i++)
        sum += recorded(row, SMX_HIST_BUCKETS + i);
    return sum;
}

/* What the kernel does to a sequence that is interrupted before its commit. */
static void abort_it(int signal, siginfo_t *info, void *context)
{
    mcontext_t *machine = &((ucontext_t *)context)->uc_mcontext;
    const struct descriptor *d = (const struct descriptor *)area.rseq_cs;
    (void)signal;
    (void)info;
    if (!d || machine->pc - d->start >= d->length)
        _exit(9);
    area.rseq_cs = 0;
    machine->pc = d->abort;
    traps++;
}

/* Put a trap where the last instruction of one sequence is, or put it back. */
static void set_trap(const struct descriptor *d, int on)
{
    static uint32_t saved;
    uint32_t *commit = (uint32_t *)(d->start + d->length - 4);
    uintptr_t page = (uintptr_t)commit & ~(uintptr_t)4095;
    if (mprotect((void *)page, 4096, PROT_READ | PROT_WRITE | PROT_EXEC) != 0)
        exit(1);
    if (on)
        saved = *commit;
    *commit = on ? TRAP : saved;
    __builtin___clear_cache((char *)commit, (char *)(commit + 1));
}

__attribute__((noinline)) static void update(uint32_t cpu, uint64_t n)
{
    area.cpu_id = cpu;
    smx_counter_add(counter, n);
    smx_histogram_record(histogram, n);
}

static void open_segment(void)
{
    smx_segment *segment;
    struct smx_options options = {.app = "faking", .kind = SMX_KIND_PERCPU, .rows = ROWS};
    if (smx_open(&options, &segment, NULL) != 0)
        exit(1);
    counter = smx_counter_new(segment, &(struct smx_metric){.name = "counted_total"}, NULL);
    histogram = smx_histogram_new(segment, &(struct smx_metric){.name = "recorded"}, NULL);
    smx_rseq_offset = (char *)&area - (char *)__builtin_thread_pointer();
}

/* Abort the sequences of update() one at a time: that of the add, the two of the record. The first
 * of these takes the second along to the atomic row. */
static void abort_each(void)
{
    int exact = 1;
    for (struct descriptor *d = __start___rseq_cs; d < __stop___rseq_cs; d++) {
        set_trap(d, 1);
        update(2, 100);
        set_trap(d, 0);
        uint64_t times = (uint64_t)(d - __start___rseq_cs) + 1;
        uint64_t count = counted(2) + counted(ROWS + (2 & counter.mask));
        uint64_t sum = recorded(2, SMX_HIST_SUM) + recorded(ROWS, SMX_HIST_SUM);
        exact &= count == 5 + 100 * times && sum == 5 + 100 * times &&
                 bucket_sum(2) + bucket_sum(ROWS) == 1 + times && area.rseq_cs == 0;
    }
    expect("three sequences were aborted", traps == 3);
    expect("nothing was lost or doubled, and no descriptor stays behind", exact);
    expect("an aborted add went to an atomic row", counted(ROWS + (2 & counter.mask)) == 100);
    expect("so did an aborted record, and an aborted sum alone",
           bucket_sum(ROWS) == 1 && recorded(ROWS, SMX_HIST_SUM) == 200);
}

int main(void)
{
    struct sigaction action = {.sa_sigaction = abort_it, .sa_flags = SA_SIGINFO};
    sigaction(SIGTRAP, &action, NULL);
    open_segment();

    update(2, 5);
    update(3, 7);
    expect("an add goes to the row of the CPU", counted(2) == 5 && counted(3) == 7);
    expect("so does a record, its bucket and its sum",
           bucket_sum(2) == 1 && recorded(2, SMX_HIST_SUM) == 5 && bucket_sum(3) == 1 &&
               recorded(3, SMX_HIST_SUM) == 7);
    expect("no descriptor stays behind", area.rseq_cs == 0);

    abort_each();
    update(ROWS + 1, 1000);
    expect("a CPU without a row takes an atomic one",
           counted(ROWS + ((ROWS + 1) & counter.mask)) == 1000 &&
               recorded(ROWS, SMX_HIST_SUM) == 1200);
    smx_counter_inc((smx_counter){0});
    expect("a handle of nothing swallows an add", area.rseq_cs == 0);
    printf("1..%d\n", tests);
    return bad != 0;
}
