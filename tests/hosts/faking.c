/* SPDX-License-Identifier: MIT
 *
 * faking.c - the sequences with a kernel of our own, for an emulator that has no rseq: the thread's
 * struct rseq is a variable here, and an abort is a trap at the commit, whose handler goes where
 * the kernel would. For aarch64. Prints TAP.
 */
#define SMX_REGISTER_RSEQ
#include <smx/smx.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

enum { ROWS = 4, MAX_SEQUENCES = 64 };
#define TRAP 0xd4200000u

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
static uint32_t commits[MAX_SEQUENCES]; /* the instructions */
static const char *script;
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

/* The atomic row of a CPU. Where libshm has found no rseq histograms have as many as counters. */
static uint32_t atomic_row(uint32_t cpu)
{
    return ROWS + (cpu & histogram.hist->mask);
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

static void write_commit(const struct descriptor *d, uint32_t instruction)
{
    uint32_t *commit = (uint32_t *)(d->start + d->length - 4);
    uintptr_t page = (uintptr_t)commit & ~(uintptr_t)4095;
    if (mprotect((void *)page, 4096, PROT_READ | PROT_WRITE | PROT_EXEC) != 0)
        _exit(8);
    *commit = instruction;
    __builtin___clear_cache((char *)commit, (char *)(commit + 1));
}

/* Put a trap where the last instruction of every sequence of this program is, or that back. */
static void set_traps(bool on)
{
    for (size_t i = 0; i < (size_t)(__stop___rseq_cs - __start___rseq_cs); i++) {
        const struct descriptor *d = &__start___rseq_cs[i];
        if (i == MAX_SEQUENCES)
            exit(1);
        if (on)
            memcpy(&commits[i], (const void *)(d->start + d->length - 4), 4);
        write_commit(d, on ? TRAP : commits[i]);
    }
}

/* A commit is reached: do what the script says. */
static void on_trap(int signal, siginfo_t *info, void *context)
{
    mcontext_t *machine = &((ucontext_t *)context)->uc_mcontext;
    const struct descriptor *d = (const struct descriptor *)area.rseq_cs;
    (void)signal;
    (void)info;
    if (!d || machine->pc != d->start + d->length - 4)
        _exit(9);
    switch (*script++) {
    case 'p': /* pass */
        write_commit(d, commits[d - __start___rseq_cs]);
        break;
    case 'a': /* abort, as the kernel does */
        area.rseq_cs = 0;
        machine->pc = d->abort;
        break;
    case 'm': /* it was moved before the sequence began */
        area.cpu_id_start = ++area.cpu_id;
        machine->pc = d->start;
        break;
    default:
        _exit(7);
    }
}

__attribute__((noinline)) static void update(uint32_t cpu, uint64_t n)
{
    area.cpu_id_start = area.cpu_id = cpu;
    smx_counter_add(counter, n);
    smx_histogram_record(histogram, n);
}

/* An update, in which the commits of the add and of the record's two sequences do as told. */
static bool update_as(const char *told, uint32_t cpu, uint64_t n)
{
    script = told;
    set_traps(true);
    update(cpu, n);
    set_traps(false);
    return *script == '\0';
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

int main(void)
{
    struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO};
    sigaction(SIGTRAP, &action, NULL);
    open_segment();

    update(2, 5);
    update(3, 7);
    expect("an add goes to the row of the CPU", counted(2) == 5 && counted(3) == 7);
    expect("so does a record, its bucket and its sum",
           bucket_sum(2) == 1 && recorded(2, SMX_HIST_SUM) == 5 && bucket_sum(3) == 1 &&
               recorded(3, SMX_HIST_SUM) == 7);
    expect("no descriptor stays behind", area.rseq_cs == 0);

    expect("an aborted update goes to an atomic row",
           update_as("aa", 2, 100) && counted(2) == 5 &&
               counted(ROWS + (2 & counter.mask)) == 100 && bucket_sum(2) == 1 &&
               recorded(2, SMX_HIST_SUM) == 5 && bucket_sum(atomic_row(2)) == 1 &&
               recorded(atomic_row(2), SMX_HIST_SUM) == 100);
    expect("no descriptor stays behind an abort", area.rseq_cs == 0);
    expect("a record that is aborted between sum and bucket has its count in the first of them",
           update_as("ppa", 1, 200) && counted(1) == 200 && bucket_sum(1) == 0 &&
               recorded(1, SMX_HIST_SUM) == 200 && bucket_sum(ROWS) == 1 &&
               recorded(ROWS, SMX_HIST_SUM) == 0);
    expect("so has one that is moved to another CPU there",
           update_as("ppm", 0, 400) && counted(0) == 400 && bucket_sum(0) == 0 &&
               recorded(0, SMX_HIST_SUM) == 400 && bucket_sum(1) == 0 && bucket_sum(ROWS) == 2 &&
               recorded(ROWS, SMX_HIST_SUM) == 0);
    expect("no descriptor stays behind those", area.rseq_cs == 0);

    update(ROWS + 1, 1000);
    expect("a CPU without a row takes an atomic one",
           counted(ROWS + ((ROWS + 1) & counter.mask)) == 1000 &&
               bucket_sum(atomic_row(ROWS + 1)) == 1 &&
               recorded(atomic_row(ROWS + 1), SMX_HIST_SUM) == 1000);
    expect("a histogram has as many of these as a counter", histogram.hist->mask == counter.mask);
    smx_counter_inc((smx_counter){0});
    expect("a handle of nothing swallows an add", area.rseq_cs == 0);
    printf("1..%d\n", tests);
    return bad != 0;
}
