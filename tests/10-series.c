/* SPDX-License-Identifier: MIT
 *
 * 10-series.c - series: found or created by their label values, capped per family and by the
 * segment's budget, removed and revived; and handles that lead nowhere swallow every update.
 */
#include "support/cells.h"
#include "support/scratch.h"
#include "support/tap.h"

#include <smx/reader.h>
#include <smx/scope.h>

#include <errno.h>

#include <math.h>
#include <string.h>

enum { CAP = 20 };

static char directory[SCRATCH_SIZE];
static smx_segment *segment;

static smx_segment *open_small(const char *instance, uint64_t max_bytes)
{
    smx_segment *own;
    struct smx_options options = {.app = "small",
                                  .instance = instance,
                                  .directory = directory,
                                  .max_bytes = max_bytes,
                                  .slots = 4,
                                  .rows = 2};
    assert_int_equal(smx_open(&options, &own, NULL), 0);
    return own;
}

static smx_counter numbered(smx_family family, unsigned i)
{
    char value[16];
    snprintf(value, sizeof value, "%u", i);
    return smx_counter_with(family, SMX_VALUES(value));
}

static void the_cap_sends_what_is_past_it_to_one_overflow_series(void **state)
{
    (void)state;
    smx_family family = smx_counter_family(
        segment, &(struct smx_metric){.name = "cap_total", .labels = {"n"}, .max_series = CAP},
        NULL);
    uint64_t *seen[CAP];
    for (unsigned i = 0; i < CAP; i++) {
        seen[i] = numbered(family, i).base;
        assert_non_null(seen[i]);
        for (unsigned j = 0; j < i; j++)
            assert_ptr_not_equal(seen[i], seen[j]);
        assert_int_equal(cells_lost(segment, SMX_LOST_SERIES_CAP), 0);
    }
    smx_counter over = numbered(family, CAP);
    assert_non_null(over.base);
    assert_int_equal(cells_lost(segment, SMX_LOST_SERIES_CAP), 1);
    for (unsigned i = 0; i < CAP; i++) {
        assert_ptr_not_equal(over.base, seen[i]);
        assert_ptr_equal(numbered(family, i).base, seen[i]);
    }
    assert_ptr_equal(numbered(family, CAP + 1).base, over.base);
    assert_ptr_equal(numbered(family, CAP + 1).base, over.base);
    assert_int_equal(cells_lost(segment, SMX_LOST_SERIES_CAP), 3);
    smx_counter_add(over, 3);
    assert_int_equal(smx_counter_value(numbered(family, 4711)), 3);
    assert_int_equal(cells_family(family)->n_series, CAP);
}

static void a_removed_series_comes_back_with_its_value(void **state)
{
    (void)state;
    smx_family family = smx_counter_family(
        segment, &(struct smx_metric){.name = "removed_total", .labels = {"n"}}, NULL);
    smx_counter counter = numbered(family, 1);
    smx_counter_add(counter, 5);
    uint64_t published = segment->header->published;
    assert_int_equal(smx_series_remove(family, SMX_VALUES("1")), 0);
    assert_true(segment->header->published > published);
    assert_int_equal(smx_series_remove(family, SMX_VALUES("1")), 0);
    assert_int_equal(smx_series_remove(family, SMX_VALUES("2")), -ENOENT);
    assert_int_equal(smx_series_remove(family, SMX_VALUES("1", "2")), -EINVAL);
    assert_int_equal(smx_series_remove(family, NULL), -EINVAL);
    assert_int_equal(smx_series_remove((smx_family){NULL, NULL}, SMX_VALUES("1")), -EINVAL);
    smx_counter_add(counter, 2);
    published = segment->header->published;
    smx_counter again = numbered(family, 1);
    assert_true(segment->header->published > published);
    assert_ptr_equal(again.base, counter.base);
    assert_int_equal(smx_counter_value(again), 7);
    published = segment->header->published;
    (void)numbered(family, 1);
    assert_true(segment->header->published == published);
}

/* One lookup is about to mark the series, which it has announced. Meanwhile the series is removed,
 * and shown by another lookup, which is killed before it announces it. */
static void a_late_mark_does_not_hide_a_removal_from_readers(void **state)
{
    (void)state;
    smx_reader *reader;
    smx_segment *own = open_small("late", 0);
    smx_family family =
        smx_counter_family(own, &(struct smx_metric){.name = "l_total", .labels = {"n"}}, NULL);
    (void)numbered(family, 1);
    assert_int_equal(smx_reader_open(smx_path(own), &reader, NULL), 0);
    assert_int_equal(smx_reader_update(reader, NULL), 0);
    struct smx__series *series =
        (struct smx__series *)(void *)((char *)own->header +
                                       smx_reader_family(reader, 0)->series[0].id);
    uint32_t announced = series->state & ~SMX__FLAGS;
    assert_int_equal(smx_series_remove(family, SMX_VALUES("1")), 0);
    assert_int_equal(smx_reader_update(reader, NULL), 0);
    assert_int_equal(smx_reader_info(reader)->n_series, 1); /* the overflow series */
    series->state &= ~SMX__FLAGS;
    if (series->state == announced)
        series->state |= SMX__ANNOUNCED;
    (void)numbered(family, 1);
    assert_int_equal(smx_reader_update(reader, NULL), 0);
    assert_int_equal(smx_reader_info(reader)->n_series, 2);
    smx_reader_close(reader);
}

static void wrong_values_give_a_handle_that_swallows(void **state)
{
    (void)state;
    smx_family family =
        smx_gauge_family(segment, &(struct smx_metric){.name = "two", .labels = {"a", "b"}}, NULL);
    uint64_t before = cells_lost(segment, SMX_LOST_INVALID);
    assert_null(smx_gauge_with(family, NULL).base);
    assert_null(smx_gauge_with(family, SMX_VALUES("x")).base);
    assert_null(smx_gauge_with(family, SMX_VALUES("x", "y", "z")).base);
    assert_null(smx_gauge_with(family, SMX_VALUES("x", "\xc3")).base);
    assert_int_equal(cells_lost(segment, SMX_LOST_INVALID), before + 4);
    assert_null(smx_counter_with(family, SMX_VALUES("x", "y")).base);
    assert_null(smx_fgauge_with(family, SMX_VALUES("x", "y")).base);
    assert_null(smx_histogram_with(family, SMX_VALUES("x", "y")).base);
    assert_non_null(smx_gauge_with(family, SMX_VALUES("x", "y")).base);
    assert_non_null(smx_gauge_with(family, SMX_VALUES("", "")).base);
    assert_ptr_not_equal(smx_gauge_with(family, SMX_VALUES("xy", "")).base,
                         smx_gauge_with(family, SMX_VALUES("x", "y")).base);
    struct smx_diag diag = {0, ""};
    assert_null(
        smx_counter_new(segment, &(struct smx_metric){.name = "l", .labels = {"a"}}, &diag).base);
    assert_int_equal(diag.code, -EINVAL);
    assert_non_null(strstr(diag.text, "has labels"));
}

static void label_values_of_every_length_are_kept_whole(void **state)
{
    (void)state;
    static const size_t lengths[] = {0,  1,   2,   3,   4,   7,   8,    9,    15,    63,
                                     64, 127, 128, 129, 255, 256, 4095, 4096, 65534, 65535};
    static char value[SMX_STRING_MAX + 2];
    smx_family family = smx_counter_family(
        segment, &(struct smx_metric){.name = "long_total", .labels = {"v"}}, NULL);
    memset(value, 'v', sizeof value - 1);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        value[lengths[i]] = '\0';
        smx_counter counter = smx_counter_with(family, SMX_VALUES(value));
        assert_non_null(counter.base);
        assert_int_equal(smx_counter_value(counter), 0);
        smx_counter_add(counter, lengths[i] + 1);
        assert_int_equal(smx_counter_value(smx_counter_with(family, SMX_VALUES(value))),
                         lengths[i] + 1);
        value[lengths[i]] = 'v';
    }
    uint64_t before = cells_lost(segment, SMX_LOST_INVALID);
    assert_null(smx_counter_with(family, SMX_VALUES(value)).base);
    assert_int_equal(cells_lost(segment, SMX_LOST_INVALID), before + 1);
    value[SMX_STRING_MAX] = '\0';
    value[SMX_STRING_MAX - 1] = 'w'; /* only the last byte differs */
    assert_int_equal(smx_counter_value(smx_counter_with(family, SMX_VALUES(value))), 0);
}

static void a_used_up_budget_crashes_nothing_and_is_counted(void **state)
{
    (void)state;
    smx_segment *own = open_small("budget", 256 * 1024);
    smx_family counters = smx_counter_family(
        own, &(struct smx_metric){.name = "c_total", .labels = {"n"}, .max_series = 1u << 30},
        NULL);
    smx_family histograms = smx_histogram_family(
        own, &(struct smx_metric){.name = "h", .labels = {"n"}, .max_series = 1u << 30}, NULL);
    assert_non_null(histograms.record);
    smx_counter first = numbered(counters, 0);
    unsigned n = 1;
    while (cells_lost(own, SMX_LOST_SPACE) == 0 && n < 100000)
        (void)numbered(counters, n++);
    assert_in_range(n, 100, 99999);
    smx_counter over = numbered(counters, n);
    assert_non_null(over.base);
    assert_ptr_equal(over.base, numbered(counters, n + 1).base);
    smx_counter_inc(over);
    smx_counter_inc(first);
    assert_int_equal(smx_counter_value(first), 1);
    smx_histogram h = smx_histogram_with(histograms, SMX_VALUES("x"));
    smx_histogram_record(h, 5);
    assert_int_equal(smx_histogram_count(h), 1);
    struct smx_diag diag = {0, ""};
    smx_histogram none =
        smx_histogram_new(own, &(struct smx_metric){.name = "late", .schema = 8}, &diag);
    assert_null(none.base);
    assert_int_equal(diag.code, -ENOSPC);
    assert_non_null(strstr(diag.text, "late"));
    smx_histogram_record(none, 5);
    assert_true(own->header->allocated <= own->header->max_bytes);
    assert_true(own->header->reserved_to <= own->header->max_bytes);
}

/* A lookup that finds no room for a big thing must not use up the room that small things have. */
static void failed_lookups_leave_the_rest_of_the_budget_alone(void **state)
{
    (void)state;
    smx_segment *own = open_small("leftover", 512 * 1024);
    smx_family big = smx_histogram_family(
        own, &(struct smx_metric){.name = "big", .labels = {"n"}, .schema = 8, .max = 1e4}, NULL);
    assert_non_null(big.record);
    char value[16];
    unsigned n = 0;
    for (; cells_lost(own, SMX_LOST_SPACE) == 0 && n < 1000; n++) {
        snprintf(value, sizeof value, "%u", n);
        (void)smx_histogram_with(big, SMX_VALUES(value));
    }
    uint64_t allocated = own->header->allocated;
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(value, sizeof value, "%u", n + i);
        (void)smx_histogram_with(big, SMX_VALUES(value));
    }
    assert_int_equal(own->header->allocated, allocated);
}

static void handles_that_lead_nowhere_swallow_everything(void **state)
{
    (void)state;
    struct smx_metric metric = {.name = "none_total"};
    struct smx_diag diag = {0, ""};
    smx_counter counter = smx_counter_new(NULL, &metric, &diag);
    assert_int_equal(diag.code, -ENOENT);
    smx_gauge gauge = smx_gauge_new(NULL, &metric, NULL);
    smx_fgauge fgauge = smx_fgauge_new(NULL, &metric, NULL);
    smx_histogram histogram = smx_histogram_new(NULL, &metric, NULL);
    smx_counter_add(counter, UINT64_MAX);
    smx_counter_inc(counter);
    smx_counter_add_signed(counter, -1);
    smx_counter_add_fn(counter, 1);
    smx_gauge_set(gauge, 1);
    smx_gauge_add(gauge, 1);
    smx_gauge_sub(gauge, INT64_MIN);
    smx_fgauge_set(fgauge, 1);
    smx_fgauge_add(fgauge, 1);
    smx_fgauge_set_to_current_time(fgauge);
    smx_histogram_record(histogram, 1);
    smx_histogram_observe(histogram, -1);
    smx_histogram_record_fn(histogram, 1);
    smx_timer timer = smx_timer_start(histogram);
    (void)smx_timer_stop(&timer);
    assert_int_equal(smx_counter_value(counter), 0);
    assert_int_equal(smx_gauge_value(gauge), 0);
    assert_true(smx_fgauge_value(fgauge) == 0);
    assert_int_equal(smx_histogram_count(histogram), 0);
    assert_int_equal(smx_histogram_sum(histogram), 0);
    smx_family zero = {NULL, NULL};
    assert_null(smx_counter_with(zero, SMX_VALUES("x")).base);
    assert_null(smx_counter_with(zero, NULL).base);
}

static void input_that_cannot_be_is_dropped_and_counted(void **state)
{
    (void)state;
    smx_histogram h = smx_histogram_new(
        segment, &(struct smx_metric){.name = "i_seconds", .unit = "seconds"}, NULL);
    smx_counter c = smx_counter_new(segment, &(struct smx_metric){.name = "i_total"}, NULL);
    uint64_t negative = cells_lost(segment, SMX_LOST_NEGATIVE);
    uint64_t invalid = cells_lost(segment, SMX_LOST_INVALID);
    smx_histogram_observe(h, -1e-9);
    smx_histogram_observe(h, NAN);
    smx_counter_add_signed(c, -1);
    smx_counter_add_signed(c, INT64_MIN);
    smx_histogram_observe(h, INFINITY);
    smx_histogram_observe(h, 1e30);
    assert_int_equal(cells_lost(segment, SMX_LOST_NEGATIVE), negative + 4);
    assert_int_equal(cells_lost(segment, SMX_LOST_INVALID), invalid + 2);
    assert_int_equal(smx_histogram_count(h), 0);
    smx_histogram_observe(h, 0);
    smx_histogram_observe(h, -0.0);
    smx_histogram_observe(h, 1.5);
    smx_counter_add_signed(c, INT64_MAX);
    assert_int_equal(smx_histogram_count(h), 3);
    assert_int_equal(smx_histogram_sum(h), 1500000000);
    assert_true(smx_counter_value(c) == INT64_MAX);
}

int main(void)
{
    struct smx_options options = {.app = "series", .directory = directory};
    if (scratch_make(directory) != 0 || smx_open(&options, &segment, NULL) != 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_cap_sends_what_is_past_it_to_one_overflow_series),
        cmocka_unit_test(a_removed_series_comes_back_with_its_value),
        cmocka_unit_test(a_late_mark_does_not_hide_a_removal_from_readers),
        cmocka_unit_test(wrong_values_give_a_handle_that_swallows),
        cmocka_unit_test(label_values_of_every_length_are_kept_whole),
        cmocka_unit_test(a_used_up_budget_crashes_nothing_and_is_counted),
        cmocka_unit_test(failed_lookups_leave_the_rest_of_the_budget_alone),
        cmocka_unit_test(handles_that_lead_nowhere_swallow_everything),
        cmocka_unit_test(input_that_cannot_be_is_dropped_and_counted),
    };
    int status = RUN_TESTS(tests);
    scratch_remove(directory);
    return status;
}
