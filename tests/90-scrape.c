/* SPDX-License-Identifier: MIT
 *
 * 90-scrape.c - a scrape of many series: nothing is missing, nothing is doubled, every value is
 * that of its series. Prints what each phase took; SMX_BENCH_SERIES says how many series
 * (10000), SMX_BENCH_ROWS how many per-CPU rows.
 */
#include "support/tap.h"

#include "agent/encode/openmetrics.h"
#include "agent/encode/text.h"
#include "support/scratch.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

enum { FAMILIES = 10, ROUNDS = 51, PHASES = 4 };

static unsigned from_environment(const char *name, unsigned otherwise)
{
    const char *value = getenv(name);
    return value ? (unsigned)strtoul(value, NULL, 10) : otherwise;
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* A value that tells which series it belongs to, of one to eight digits. */
static uint64_t value_of(unsigned family, unsigned series)
{
    return (uint64_t)series * (series % 3 ? 1 : 997) + family;
}

static void fill(smx_segment *segment, unsigned n)
{
    for (unsigned f = 0; f < FAMILIES; f++) {
        char name[64], path[64];
        snprintf(name, sizeof name, "http_requests_%u_total", f);
        smx_family family = smx_counter_family(segment,
                                               &(struct smx_metric){.name = name,
                                                                    .help = "Requests served.",
                                                                    .labels = {"method", "path"},
                                                                    .max_series = n},
                                               NULL);
        for (unsigned i = 0; i < n; i++) {
            snprintf(path, sizeof path, "/api/v1/resource/%u", i);
            smx_counter_add(smx_counter_with(family, SMX_VALUES("GET", path)), value_of(f, i));
        }
    }
}

static const char *next_line(const char *line, const char *end)
{
    const char *newline = memchr(line, '\n', (size_t)(end - line));
    assert_non_null(newline);
    return newline + 1;
}

static void check_body(const struct buffer *body, unsigned n)
{
    unsigned seen = 0;
    const char *end = body->at + body->length;
    for (const char *line = body->at; line < end; line = next_line(line, end)) {
        char *after;
        if (strncmp(line, "http_requests_", 14) != 0)
            continue;
        unsigned family = (unsigned)strtoul(line + 14, &after, 10);
        static const char labels[] = "_total{app=\"shop\",method=\"GET\",path=\"/api/v1/resource/";
        assert_memory_equal(after, labels, sizeof labels - 1);
        unsigned series = (unsigned)strtoul(after + sizeof labels - 1, &after, 10);
        assert_memory_equal(after, "\"} ", 3);
        assert_int_equal(strtoull(after + 3, NULL, 10), value_of(family, series));
        /* In the order of registration: so each of them once. */
        assert_int_equal(family * n + series, seen);
        seen++;
    }
    assert_int_equal(seen, FAMILIES * n);
}

static int compare(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void print_medians(uint64_t took[PHASES][ROUNDS], const struct buffer *body)
{
    static const char *const names[PHASES] = {"update", "gather", "text", "openmetrics"};
    printf("# %zu bytes; medians:", body->length);
    for (size_t i = 0; i < PHASES; i++) {
        qsort(took[i], ROUNDS, sizeof took[i][0], compare);
        const uint64_t median = took[i][ROUNDS / 2];
        printf(" %s %.3f ms", names[i], (double)median / 1e6);
    }
    printf("\n");
}

static void scrape(smx_reader *reader, struct gather *gather, struct buffer bodies[2],
                   uint64_t at[PHASES + 1])
{
    struct gather_source source = {reader};
    struct self_stats self = {.version = "0"};
    const struct snapshot *snapshot;
    bodies[0].length = bodies[1].length = 0;
    at[0] = now_ns();
    assert_int_equal(smx_reader_update(reader, NULL), 0);
    at[1] = now_ns();
    assert_int_equal(gather_run(gather, &source, 1, &self, &snapshot), 0);
    at[2] = now_ns();
    assert_int_equal(text_encode(snapshot, &bodies[0]), 0);
    at[3] = now_ns();
    assert_int_equal(openmetrics_encode(snapshot, &bodies[1]), 0);
    at[4] = now_ns();
}

static void many_series_are_all_there_in_both_formats(void **state)
{
    (void)state;
    static uint64_t took[PHASES][ROUNDS];
    char directory[SCRATCH_SIZE];
    unsigned n = from_environment("SMX_BENCH_SERIES", 10000) / FAMILIES;
    smx_segment *segment;
    smx_reader *reader;
    struct gather *gather;
    struct buffer bodies[2] = {{0}};
    assert_int_equal(scratch_make(directory), 0);
    assert_int_equal(smx_open(&(struct smx_options){.app = "shop",
                                                    .directory = directory,
                                                    .max_bytes = 1u << 30,
                                                    .rows = from_environment("SMX_BENCH_ROWS", 0)},
                              &segment, NULL),
                     0);
    fill(segment, n);
    assert_int_equal(smx_reader_open(smx_path(segment), &reader, NULL), 0);
    assert_int_equal(gather_new(&gather), 0);
    for (size_t round = 0; round < ROUNDS; round++) {
        uint64_t at[PHASES + 1];
        scrape(reader, gather, bodies, at);
        for (size_t i = 0; i < PHASES; i++)
            took[i][round] = at[i + 1] - at[i];
    }
    check_body(&bodies[0], n);
    check_body(&bodies[1], n);
    print_medians(took, &bodies[0]);
    smx_reader_close(reader);
    gather_free(gather);
    buffer_fini(&bodies[0]);
    buffer_fini(&bodies[1]);
    scratch_remove(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_series_are_all_there_in_both_formats),
    };
    return RUN_TESTS(tests);
}
