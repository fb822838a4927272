/* SPDX-License-Identifier: MIT
 *
 * counting.c - updates a counter and a histogram, and says in which rows the counts are:
 * "percpu=P atomic=A". For debuggers, valgrind and threads without rseq. Usage: counting N.
 * Exit status 0 if every count is there.
 */
#include <smx/smx.h>
#include <stdio.h>
#include <stdlib.h>

/* The adds in rows [first, end) of a counter. */
static uint64_t rows_sum(smx_counter c, uint32_t first, uint32_t end)
{
    uint64_t sum = 0;
    for (uint32_t row = first; row < end; row++)
        sum += c.base[(size_t)row << (SMX_COUNTER_SHIFT - 3)];
    return sum;
}

__attribute__((noinline)) static void count(smx_counter counter, smx_histogram histogram,
                                            uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        smx_counter_inc(counter);
        smx_histogram_record(histogram, 3);
    }
}

int main(int argc, char **argv)
{
    uint64_t n = argc == 2 ? strtoull(argv[1], NULL, 10) : 0;
    smx_segment *segment;
    struct smx_diag diag;
    struct smx_options options = {.app = "counting", .kind = SMX_KIND_PERCPU};
    if (n == 0 || smx_open(&options, &segment, &diag) < 0) {
        fprintf(stderr, "%s\n", n ? diag.text : "usage: counting N");
        return 1;
    }
    smx_counter counter =
        smx_counter_new(segment, &(struct smx_metric){.name = "counted_total"}, NULL);
    smx_histogram histogram =
        smx_histogram_new(segment, &(struct smx_metric){.name = "recorded"}, NULL);
    count(counter, histogram, n);

    uint64_t percpu = rows_sum(counter, 0, counter.rows);
    uint64_t atomic = rows_sum(counter, counter.rows, counter.rows + counter.mask + 1);
    printf("percpu=%llu atomic=%llu\n", (unsigned long long)percpu, (unsigned long long)atomic);
    if (percpu + atomic == n && smx_counter_value(counter) == n &&
        smx_histogram_count(histogram) == n && smx_histogram_sum(histogram) == 3 * n)
        return 0;
    fprintf(stderr, "counts were lost\n");
    return 1;
}
