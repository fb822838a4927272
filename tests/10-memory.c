/* SPDX-License-Identifier: MIT
 *
 * 10-memory.c - what series take of a segment, all told: record, strings, index and cells of every
 * row. These are promises: smx(3) and the README state them.
 */
#include "support/scratch.h"
#include "support/tap.h"

#include <smx/reader.h>
#include <smx/smx.h>

enum { SERIES = 10000, HISTOGRAMS = 100 };

static char directory[SCRATCH_SIZE];

static smx_segment *open_as(const char *instance, enum smx_kind kind)
{
    smx_segment *segment = NULL;
    struct smx_options options = {.app = "memory",
                                  .instance = instance,
                                  .directory = directory,
                                  .kind = kind,
                                  .rows = kind == SMX_KIND_PERCPU ? 2 : 0};
    assert_int_equal(smx_open(&options, &segment, NULL), 0);
    return segment;
}

/* The numbers are good; what it points to has gone with the reader. */
static struct smx_segment_info info_of(const smx_segment *segment)
{
    smx_reader *reader;
    assert_int_equal(smx_reader_open(smx_path(segment), &reader, NULL), 0);
    assert_int_equal(smx_reader_update(reader, NULL), 0);
    struct smx_segment_info info = *smx_reader_info(reader);
    smx_reader_close(reader);
    return info;
}

static uint64_t allocated(const smx_segment *segment)
{
    return info_of(segment).allocated_bytes;
}

/* A name of 20 bytes, two label values of 8. */
static uint64_t add_counters(smx_segment *segment)
{
    smx_family family = smx_counter_family(segment,
                                           &(struct smx_metric){.name = "shop_requests__total",
                                                                .labels = {"method", "route"},
                                                                .max_series = SERIES},
                                           NULL);
    uint64_t before = allocated(segment);
    for (unsigned i = 0; i < SERIES; i++) {
        char route[16];
        snprintf(route, sizeof route, "/p%06u", i);
        assert_non_null(smx_counter_with(family, SMX_VALUES("PROPFIND", route)).base);
    }
    return allocated(segment) - before;
}

static void a_counter_takes_160_bytes_at_most_on_two_cpus(void **state)
{
    (void)state;
    smx_segment *segment = open_as("percpu", SMX_KIND_PERCPU);
    uint64_t bytes = add_counters(segment);
    assert_in_range(bytes, SERIES * 6 * sizeof(uint64_t), SERIES * UINT64_C(160));
    assert_in_range(allocated(segment), bytes, 2 << 20);
}

static void a_striped_counter_takes_160_bytes_at_most(void **state)
{
    (void)state;
    uint64_t bytes = add_counters(open_as("striped", SMX_KIND_STRIPED));
    assert_in_range(bytes, SERIES * 8 * sizeof(uint64_t), SERIES * UINT64_C(160));
}

/* Bytes of a default histogram of seconds with one label of 8 bytes. */
static uint64_t of_a_histogram(smx_segment *segment)
{
    smx_family family = smx_histogram_family(segment,
                                             &(struct smx_metric){.name = "shop_duration_seconds",
                                                                  .unit = "seconds",
                                                                  .labels = {"route"}},
                                             NULL);
    uint64_t before = allocated(segment);
    for (unsigned i = 0; i < HISTOGRAMS; i++) {
        char route[16];
        snprintf(route, sizeof route, "/p%06u", i);
        assert_non_null(smx_histogram_with(family, SMX_VALUES(route)).base);
    }
    return (allocated(segment) - before) / HISTOGRAMS;
}

/* Two rows on two CPUs and an atomic one, four without rseq; eight when striped; each is 2 KiB. */
static void a_default_histogram_takes_2_kib_a_row_and_little_more(void **state)
{
    (void)state;
    smx_segment *segment = open_as("percpu_hist", SMX_KIND_PERCPU);
    unsigned rows = info_of(segment).rows + info_of(segment).hist_stripes;
    uint64_t percpu = of_a_histogram(segment);
    uint64_t striped = of_a_histogram(open_as("striped_hist", SMX_KIND_STRIPED));
    assert_true(rows == 3 || rows == 6);
    assert_in_range(percpu, rows * 2048, rows * 2048 + 256);
    assert_in_range(striped, 8 * 2048, 8 * 2048 + 256);
}

static void looking_a_series_up_again_takes_nothing(void **state)
{
    (void)state;
    smx_segment *segment = open_as("again", SMX_KIND_PERCPU);
    (void)add_counters(segment);
    uint64_t before = allocated(segment);
    (void)add_counters(segment);
    assert_int_equal(allocated(segment), before);
}

int main(void)
{
    if (scratch_make(directory) != 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_counter_takes_160_bytes_at_most_on_two_cpus),
        cmocka_unit_test(a_striped_counter_takes_160_bytes_at_most),
        cmocka_unit_test(a_default_histogram_takes_2_kib_a_row_and_little_more),
        cmocka_unit_test(looking_a_series_up_again_takes_nothing),
    };
    int status = RUN_TESTS(tests);
    scratch_remove(directory);
    return status;
}
