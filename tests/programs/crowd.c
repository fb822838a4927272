/* SPDX-License-Identifier: MIT
 *
 * crowd.c - many applications in one process: crowd DIRECTORY FIRST N SERIES opens the segments
 * crowd<FIRST>, ... by libshm, with so many series in each, says "ready", and counts on until it is
 * killed. The files stay.
 */
#include <smx/smx.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static smx_counter *make_segment(const char *directory, unsigned number, unsigned n)
{
    char app[32], value[32];
    struct smx_diag diag = {0};
    smx_segment *segment;
    snprintf(app, sizeof app, "crowd%u", number);
    struct smx_options options = {
        .app = app, .directory = directory, .slots = 16, .max_bytes = 512ull << 20};
    smx_counter *counters = calloc(n + 1, sizeof *counters);
    if (!counters || smx_open(&options, &segment, &diag) < 0) {
        fprintf(stderr, "crowd: %s\n", diag.text);
        exit(1);
    }
    smx_family family = smx_counter_family(
        segment,
        &(struct smx_metric){
            .name = "items_total", .help = "Items.", .labels = {"item"}, .max_series = n},
        &diag);
    for (unsigned i = 0; i < n; i++) {
        snprintf(value, sizeof value, "/api/v1/item/%u", i);
        counters[i] = smx_counter_with(family, SMX_VALUES(value));
    }
    return counters;
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fputs("usage: crowd DIRECTORY FIRST N SERIES\n", stderr);
        return 2;
    }
    unsigned first = (unsigned)strtoul(argv[2], NULL, 10);
    unsigned n = (unsigned)strtoul(argv[3], NULL, 10);
    unsigned series = (unsigned)strtoul(argv[4], NULL, 10);
    smx_counter **counters = calloc(n + 1, sizeof *counters);
    if (!counters)
        return 1;
    for (unsigned i = 0; i < n; i++)
        counters[i] = make_segment(argv[1], first + i, series);
    puts("ready");
    fflush(stdout);
    for (;;) {
        for (unsigned i = 0; i < n; i++)
            for (unsigned k = 0; k < series && k < 10; k++)
                smx_counter_inc(counters[i][k]);
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
}
