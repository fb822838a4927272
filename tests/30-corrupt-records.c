/* SPDX-License-Identifier: MIT
 *
 * 30-corrupt-records.c - damage with a name: each test breaks one rule and says what is then left
 * out, how many errors are counted, and that the rest is served.
 */
#include "support/tap.h"

#include "support/scratch.h"
#include "support/segwriter.h"
#include "support/soundness.h"

#include <smx/reader.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

/* Offsets of fields, from the byte table. */
enum { NEXT = 0, KIND = 8, SIZE = 12, FAMILY = 16, CELL = 24, HIST = 32, BOUNDS = 64 };

static char directory[SCRATCH_SIZE];
static char path[SEGWRITER_PATH_SIZE];
static struct segwriter *writer;
static smx_reader *reader;

static int setup(void **state)
{
    (void)state;
    alarm(ALARM_S);
    writer = segwriter_new(
        &(struct segwriter_options){.app = "shop", .n_buckets = 1, .capacity = 1 << 22});
    return scratch_make(directory);
}

static int teardown(void **state)
{
    (void)state;
    smx_reader_close(reader);
    reader = NULL;
    segwriter_free(writer);
    scratch_remove(directory);
    return 0;
}

static uint64_t family_of(const char *name, uint8_t type, const char *label)
{
    static const double bounds[] = {1, 2, 3};
    return segwriter_family(
        writer,
        &(struct segwriter_family){
            .name = name, .labels = {label}, .type = type, .bounds = bounds, .n_bounds = 3});
}

static uint64_t counters(const char *name)
{
    return family_of(name, SEGWRITER_COUNTER, "code");
}

static uint64_t series(uint64_t family, const char *value)
{
    return segwriter_series(writer, family, (const char *const[]){value, NULL});
}

/* Take a snapshot and expect so much in it. */
static void expect(size_t n_families, size_t n_series, uint64_t errors)
{
    struct smx_diag diag;
    assert_int_equal(segwriter_save(writer, directory, path), 0);
    assert_int_equal(smx_reader_open(path, &reader, &diag), 0);
    assert_int_equal(smx_reader_update(reader, &diag), 0);
    assert_null(soundness_fault(reader));
    assert_int_equal(smx_reader_info(reader)->n_families, n_families);
    assert_int_equal(smx_reader_info(reader)->n_series, n_series);
    assert_int_equal(smx_reader_info(reader)->errors, errors);
}

static void test_cycles(void **state)
{
    (void)state;
    uint64_t family = counters("a_total");
    uint64_t x = series(family, "x");
    segwriter_put(writer, x + NEXT, 4, family / 8);
    expect(1, 1, 1);
}

static void test_own_successor(void **state)
{
    (void)state;
    uint64_t x = series(counters("a_total"), "x");
    segwriter_put(writer, x + NEXT, 4, x / 8);
    expect(1, 1, 1);
}

static void test_wild_successor(void **state)
{
    (void)state;
    uint64_t x = series(counters("a_total"), "x");
    segwriter_put(writer, x + NEXT, 4, UINT32_MAX);
    expect(1, 1, 1);
}

/* Records that overlap may not claim more bytes together than are allocated. */
static void test_greedy_records(void **state)
{
    struct smx_diag diag;
    (void)state;
    uint64_t family = counters("a_total");
    uint64_t records[10];
    for (unsigned i = 0; i < 10; i++)
        records[i] = series(family, (char[]){(char)('0' + i), 0});
    uint64_t others = counters("b_total");
    for (unsigned i = 0; i < 600; i++)
        series(others, (char[]){(char)('0' + i / 64), (char)('0' + i % 64), 0});
    uint64_t left = segwriter_allocated(writer) - records[9];
    for (unsigned i = 0; i < 10; i++)
        segwriter_put(writer, records[i] + SIZE, 4, left & ~UINT64_C(7));
    assert_int_equal(segwriter_save(writer, directory, path), 0);
    assert_int_equal(smx_reader_open(path, &reader, &diag), 0);
    assert_int_equal(smx_reader_update(reader, &diag), 0);
    assert_null(soundness_fault(reader));
    assert_true(smx_reader_info(reader)->errors > 0);
    assert_true(smx_reader_family(reader, 0)->n_series * left <= segwriter_allocated(writer));
}

static void test_short_records(void **state)
{
    (void)state;
    uint64_t family = counters("a_total");
    uint64_t other = counters("b_total");
    series(family, "x");
    segwriter_put(writer, series(family, "y") + SIZE, 4, 32);
    expect(2, 1, 1);
    smx_reader_close(reader);
    segwriter_put(writer, other + SIZE, 4, 64);
    expect(1, 1, 2);
}

/* Strings that end behind their record. */
static void test_long_claims(void **state)
{
    (void)state;
    uint64_t name = counters("a_total");
    uint64_t help = counters("b_total");
    uint64_t label = counters("c_total");
    uint64_t value = series(counters("d_total"), "1234567");
    segwriter_put(writer, name + 52, 2, 80);
    segwriter_put(writer, help + 56, 4, UINT32_MAX);
    segwriter_put(writer, label + 20, 1, 2);
    segwriter_put(writer, value + 40, 8, UINT64_C(0x3837363534333231));
    expect(1, 0, 4);
}

static void test_rows_wider_than_their_stride(void **state)
{
    static const double bounds[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14};
    (void)state;
    uint64_t family = segwriter_family(
        writer, &(struct segwriter_family){
                    .name = "h", .type = SEGWRITER_HISTOGRAM, .bounds = bounds, .n_bounds = 14});
    segwriter_put(writer, segwriter_get(writer, family + HIST, 8) + 8, 4, 128);
    expect(0, 0, 1);
}

static void test_shared_cells(void **state)
{
    (void)state;
    uint64_t family = counters("a_total");
    uint64_t x = series(family, "x");
    uint64_t y = series(family, "y");
    series(family, "z");
    segwriter_put(writer, y + CELL, 8, segwriter_get(writer, x + CELL, 8));
    expect(1, 2, 1);
    assert_string_equal(smx_reader_family(reader, 0)->series[1].values[0].at, "z");
}

static void test_shared_histogram(void **state)
{
    (void)state;
    uint64_t family = family_of("h", SEGWRITER_HISTOGRAM, "code");
    uint64_t first = series(family, "0");
    for (char value[] = "1"; value[0] <= '9'; value[0]++) {
        uint64_t x = series(family, value);
        segwriter_put(writer, x + CELL, 8, segwriter_get(writer, first + CELL, 8) + 8);
    }
    expect(1, 1, 9);
}

/* A counter in the second row of another's extent. */
static void test_overlapping_extents(void **state)
{
    (void)state;
    uint64_t family = counters("a_total");
    uint64_t x = series(family, "x");
    uint64_t y = series(family, "y");
    segwriter_put(writer, y + CELL, 8, segwriter_get(writer, x + CELL, 8) + 4096 + 64);
    expect(1, 1, 1);
}

static void test_cells_out_of_bounds(void **state)
{
    static const uint64_t cells[] = {0, 8, 4095, 4100, UINT64_MAX - 7, INT64_MAX & ~7};
    (void)state;
    uint64_t family = counters("a_total");
    series(family, "sound");
    for (char i = 0; i < 6; i++) {
        char value[] = {(char)('0' + i), 0};
        segwriter_put(writer, series(family, value) + CELL, 8, cells[(unsigned)i]);
    }
    uint64_t end = segwriter_allocated(writer);
    segwriter_put(writer, series(family, "end") + CELL, 8, (end - 8) & ~UINT64_C(7));
    expect(1, 1, 7);
}

static void test_two_families_of_one_name(void **state)
{
    (void)state;
    uint64_t first = counters("a_total");
    uint64_t second = counters("a_total");
    segwriter_count(writer, series(first, "x"), 0, 1);
    segwriter_count(writer, series(second, "y"), 0, 2);
    expect(1, 1, 2);
    assert_string_equal(smx_reader_family(reader, 0)->series[0].values[0].at, "x");
}

static void test_two_series_of_one_value(void **state)
{
    (void)state;
    uint64_t family = counters("a_total");
    segwriter_count(writer, series(family, "x"), 0, 1);
    segwriter_count(writer, series(family, "x"), 0, 2);
    series(family, "y");
    expect(1, 2, 1);
    assert_int_equal(smx_reader_family(reader, 0)->series[0].count, 1);
}

static void test_orphans(void **state)
{
    (void)state;
    uint64_t family = counters("a_total");
    uint64_t x = series(family, "x");
    uint64_t y = series(family, "y");
    series(family, "z");
    segwriter_put(writer, x + FAMILY, 4, y / 8);
    segwriter_put(writer, y + FAMILY, 4, 0);
    expect(1, 1, 2);
}

static void test_names(void **state)
{
    (void)state;
    counters("good_total");
    counters("dash-ed.n\xc3\xa4me");
    counters("\xff");
    counters("");
    family_of("label", SEGWRITER_COUNTER, "__name__");
    family_of("le_twice", SEGWRITER_HISTOGRAM, "le");
    segwriter_family(writer, &(struct segwriter_family){
                                 .name = "twice", .type = SEGWRITER_COUNTER, .labels = {"a", "a"}});
    segwriter_family(writer, &(struct segwriter_family){
                                 .name = "help", .type = SEGWRITER_COUNTER, .help = "\xc0\x80"});
    segwriter_family(writer, &(struct segwriter_family){
                                 .name = "unit_m/s", .type = SEGWRITER_COUNTER, .unit = "m/s"});
    expect(2, 0, 7);
}

static void test_values_that_are_no_text(void **state)
{
    (void)state;
    uint64_t family = counters("a_total");
    series(family, "\xff");
    series(family, "\xed\xa0\x80");
    uint64_t behind = series(family, "nul");
    segwriter_put(writer, behind + 44, 1, 'x');
    uint64_t endless = series(family, "1234567");
    segwriter_put(writer, endless + 47, 1, '8');
    series(family, "\xf0\x9f\x90\x9f");
    expect(1, 1, 4);
}

static void test_bounds_that_do_not_ascend(void **state)
{
    (void)state;
    uint64_t family = family_of("h", SEGWRITER_HISTOGRAM, "code");
    uint64_t bounds = segwriter_get(writer, family + BOUNDS, 8);
    series(family, "x");
    segwriter_put(writer, bounds + 16, 8, segwriter_get(writer, bounds, 8));
    expect(0, 0, 2);
}

static void test_negative_bounds(void **state)
{
    (void)state;
    uint64_t family = family_of("h", SEGWRITER_HISTOGRAM, "code");
    uint64_t bounds = segwriter_get(writer, family + BOUNDS, 8);
    series(family, "x");
    segwriter_put(writer, bounds + 7, 1, segwriter_get(writer, bounds + 7, 1) | 0x80);
    expect(0, 0, 2);
}

/* Many families that name one large descriptor would make the reader large. */
static void test_shared_descriptor(void **state)
{
    enum { FAMILIES = 400, BUCKETS = 4000 };
    uint64_t first = 0;
    (void)state;
    for (unsigned i = 0; i < FAMILIES; i++) {
        char name[16];
        snprintf(name, sizeof name, "h%u", i);
        uint64_t family =
            segwriter_family(writer, &(struct segwriter_family){.name = name,
                                                                .type = SEGWRITER_HISTOGRAM,
                                                                .schema = 8,
                                                                .n_exponential = i ? 1 : BUCKETS});
        first = first ? first : family;
        segwriter_put(writer, family + HIST, 8, segwriter_get(writer, first + HIST, 8));
    }
    assert_int_equal(segwriter_save(writer, directory, path), 0);
    struct smx_diag diag;
    assert_int_equal(smx_reader_open(path, &reader, &diag), 0);
    assert_int_equal(smx_reader_update(reader, &diag), 0);
    const struct smx_segment_info *info = smx_reader_info(reader);
    assert_int_equal(info->n_families + info->errors, FAMILIES);
    assert_true(info->n_families * BUCKETS * 8 <= info->allocated_bytes);
    assert_true(info->n_families > 0);
}

static void test_unknown_kinds(void **state)
{
    (void)state;
    uint64_t family = counters("a_total");
    segwriter_put(writer, series(family, "x") + KIND, 2, 9);
    series(family, "y");
    expect(1, 1, 1);
    smx_reader_close(reader);
    segwriter_put(writer, 14, 2, 2);
    expect(1, 1, 0);
}

/* Header fields that are out of range: the offset, the size and the value. */
static void test_header_fields(void **state)
{
    static const struct {
        uint64_t at;
        unsigned size;
        uint64_t value;
    } damage[] = {
        {16, 2, 4095},  {18, 2, 24},         {28, 2, 2},    {28, 2, 0},         {30, 2, 4097},
        {32, 2, 3},     {32, 2, 128},        {34, 2, 0},    {34, 2, 128},       {36, 4, 0},
        {36, 4, 65537}, {48, 8, UINT64_MAX}, {88, 8, 0},    {88, 8, 4098},      {88, 8, UINT64_MAX},
        {96, 4, 3},     {96, 4, 0x80000000}, {104, 8, 0},   {104, 8, 1 << 21},  {112, 4, 9},
        {320, 1, 0},    {320, 1, '/'},       {384, 1, '.'}, {1024, 8, 1 << 23}, {1024, 8, 4000},
    };
    (void)state;
    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        struct smx_diag diag;
        uint64_t sound = segwriter_get(writer, damage[i].at, damage[i].size);
        assert_int_equal(segwriter_save(writer, directory, path), 0);
        segwriter_put(writer, damage[i].at, damage[i].size, damage[i].value);
        assert_int_equal(segwriter_rewrite_header(writer, path), 0);
        if (smx_reader_open(path, &reader, &diag) != -EBADMSG)
            fail_msg("offset %u was accepted", (unsigned)damage[i].at);
        assert_non_null(strstr(diag.text, path));
        segwriter_put(writer, damage[i].at, damage[i].size, sound);
    }
}

static void test_constant_labels_too_long(void **state)
{
    static const char *const labels[] = {"a", "1", NULL};
    (void)state;
    segwriter_free(writer);
    writer = segwriter_new(&(struct segwriter_options){.app = "shop", .labels = labels});
    segwriter_put(writer, 2048, 2, 2047);
    expect(0, 0, 1);
    assert_int_equal(smx_reader_info(reader)->n_labels, 0);
}

static void test_constant_labels(void **state)
{
    static const char *const twice[] = {"a", "1", "a", "2", NULL};
    (void)state;
    segwriter_free(writer);
    writer = segwriter_new(&(struct segwriter_options){.app = "shop", .labels = twice});
    expect(0, 0, 1);
    assert_int_equal(smx_reader_info(reader)->n_labels, 1);
    assert_string_equal(smx_reader_info(reader)->labels[0].value.at, "1");
}

#define TEST(function, name)                                                                       \
    {                                                                                              \
        name, function, setup, teardown, NULL                                                      \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_cycles, "a chain that runs in a circle ends"),
        TEST(test_own_successor, "a record that follows itself ends its chain"),
        TEST(test_wild_successor, "a chain that leaves the file ends"),
        TEST(test_greedy_records, "records together claim no more than is allocated"),
        TEST(test_shared_cells, "of two series with one cell the first stays"),
        TEST(test_shared_histogram, "of histograms that overlap one stays"),
        TEST(test_overlapping_extents, "of extents that overlap one stays"),
        TEST(test_cells_out_of_bounds, "cells out of bounds are left out"),
        TEST(test_two_families_of_one_name, "of two families with one name the first stays"),
        TEST(test_two_series_of_one_value, "of two series with the same values the first stays"),
        TEST(test_orphans, "a series without a family is left out"),
        TEST(test_names, "families with illegal names, labels or texts are left out"),
        TEST(test_values_that_are_no_text, "series with values that are no text are left out"),
        TEST(test_bounds_that_do_not_ascend, "a histogram whose bounds do not ascend is left out"),
        TEST(test_negative_bounds, "a histogram with a bound below zero is left out"),
        TEST(test_shared_descriptor, "families that share a descriptor cannot make a reader large"),
        TEST(test_unknown_kinds,
             "unknown records are errors, in a newer minor version they are not"),
        TEST(test_short_records, "records shorter than their kind are left out"),
        TEST(test_long_claims, "strings that leave their record are left out"),
        TEST(test_rows_wider_than_their_stride, "a histogram wider than its stride is left out"),
        TEST(test_header_fields, "a header with a field out of range is refused"),
        TEST(test_constant_labels_too_long, "constant labels longer than their room are left out"),
        TEST(test_constant_labels, "a constant label that comes twice counts once"),
    };
    return RUN_TESTS(tests);
}
