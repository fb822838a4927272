/* SPDX-License-Identifier: MIT
 *
 * 10-reader.c - what a snapshot says of a sound segment: names and labels, counters, histograms,
 * what appears and disappears. Gauges and processes are in 10-reader-processes.c. The segments are
 * written without libshm, so that a mistake cannot cancel itself.
 */
#include "support/tap.h"

#include "support/scratch.h"
#include "support/segwriter.h"

#include <smx/reader.h>
#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[SCRATCH_SIZE];
static char path[SEGWRITER_PATH_SIZE];
static struct segwriter *writer;
static smx_reader *reader;
static struct smx_diag diag;

static int setup(void **state)
{
    static const char *const labels[] = {"region", "eu", "zone", "", NULL};
    (void)state;
    writer = segwriter_new(&(struct segwriter_options){.app = "shop",
                                                       .instance = "blue",
                                                       .labels = labels,
                                                       .rows = 3,
                                                       .counter_stripes = 4,
                                                       .capacity = 1 << 22});
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

/* Write the file and take a first snapshot. */
static void take(void)
{
    assert_int_equal(segwriter_save(writer, directory, path), 0);
    assert_int_equal(smx_reader_open(path, &reader, &diag), 0);
    assert_int_equal(smx_reader_update(reader, &diag), 0);
    assert_int_equal(smx_reader_info(reader)->errors, 0);
}

/* Let the file become what the writer holds, as under a live writer, and take a snapshot. */
static void retake(void)
{
    assert_int_equal(segwriter_rewrite(writer, path), 0);
    assert_int_equal(smx_reader_update(reader, &diag), 0);
}

static uint64_t counter_family(const char *name)
{
    return segwriter_family(
        writer,
        &(struct segwriter_family){.name = name, .type = SEGWRITER_COUNTER, .labels = {"code"}});
}

static uint64_t counter(uint64_t family, const char *code)
{
    return segwriter_series(writer, family, (const char *const[]){code, NULL});
}

static void test_segment(void **state)
{
    struct stat st;
    (void)state;
    segwriter_lost(writer, SMX_LOST_SPACE, 9);
    take();
    const struct smx_segment_info *info = smx_reader_info(reader);
    assert_string_equal(info->path, path);
    assert_string_equal(info->app.at, "shop");
    assert_string_equal(info->instance.at, "blue");
    assert_int_equal(info->n_labels, 2);
    assert_string_equal(info->labels[0].name.at, "region");
    assert_string_equal(info->labels[0].value.at, "eu");
    assert_string_equal(info->labels[1].name.at, "zone");
    assert_string_equal(info->labels[1].value.at, "");
    assert_int_equal(info->kind, SMX_KIND_PERCPU);
    assert_int_equal(info->rows, 3);
    assert_int_equal(info->capacity_bytes, 1 << 22);
    assert_int_equal(info->allocated_bytes, segwriter_allocated(writer));
    assert_int_equal(info->lost[SMX_LOST_SPACE], 9);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(info->inode, st.st_ino);
    assert_int_equal(info->device, st.st_dev);
    assert_int_equal(info->owner, getuid());
    assert_int_equal(info->n_families, 0);
    assert_null(smx_reader_family(reader, 0));
}

static void test_counters(void **state)
{
    (void)state;
    uint64_t family = counter_family("requests_total");
    uint64_t ok = counter(family, "200");
    uint64_t bad = counter(family, "500");
    for (uint32_t row = 0; row < 7; row++)
        segwriter_count(writer, ok, row, UINT64_C(1) << (8 * row));
    segwriter_count(writer, bad, 6, 5);
    take();
    const struct smx_family_info *f = smx_reader_family(reader, 0);
    assert_string_equal(f->name.at, "requests_total");
    assert_int_equal(f->type, SMX_COUNTER);
    assert_int_equal(f->n_labels, 1);
    assert_string_equal(f->labels[0].at, "code");
    assert_int_equal(f->n_series, 2);
    assert_string_equal(f->series[0].values[0].at, "200");
    assert_int_equal(f->series[0].count, UINT64_C(0x01010101010101));
    assert_int_equal(f->series[1].count, 5);
    assert_true(f->series[0].present);
    assert_int_not_equal(f->series[0].id, f->series[1].id);
}

/* More counters than share a page, several families in turn: extents, blocks and runs. */
static void test_many_counters(void **state)
{
    enum { SERIES = 1500 };
    (void)state;
    uint64_t families[2] = {counter_family("a_total"), counter_family("b_total")};
    for (unsigned i = 0; i < SERIES; i++) {
        char code[16];
        snprintf(code, sizeof code, "%u", i);
        uint64_t series = counter(families[i % 2], code);
        segwriter_count(writer, series, i % 7, i);
        segwriter_count(writer, series, (i + 3) % 7, 1000000);
    }
    take();
    assert_int_equal(smx_reader_info(reader)->n_series, SERIES);
    for (unsigned k = 0; k < 2; k++) {
        const struct smx_family_info *f = smx_reader_family(reader, k);
        assert_int_equal(f->n_series, SERIES / 2);
        for (unsigned i = 0; i < SERIES / 2; i++) {
            char code[16];
            snprintf(code, sizeof code, "%u", 2 * i + k);
            assert_string_equal(f->series[i].values[0].at, code);
            assert_int_equal(f->series[i].count, 1000000 + 2 * i + k);
        }
    }
}

static void test_values_move(void **state)
{
    (void)state;
    uint64_t series = counter(counter_family("a_total"), "x");
    segwriter_count(writer, series, 0, 1);
    take();
    uint64_t epoch = smx_reader_epoch(reader);
    segwriter_count(writer, series, 2, 41);
    retake();
    assert_int_equal(smx_reader_family(reader, 0)->series[0].count, 42);
    assert_int_equal(smx_reader_epoch(reader), epoch);
}

/* A page of counters, 512, is the least that a step reads. */
static void test_steps(void **state)
{
    enum { SERIES = 1500 };
    (void)state;
    uint64_t family = counter_family("a_total"), first = 0;
    for (unsigned i = 0; i < SERIES; i++) {
        char code[16];
        snprintf(code, sizeof code, "%u", i);
        uint64_t series = counter(family, code);
        first = first ? first : series;
        segwriter_count(writer, series, 0, i);
    }
    take();
    assert_int_equal(smx_reader_step(reader, 1, &diag), 0);
    const struct smx_family_info *f = smx_reader_family(reader, 0);
    for (unsigned round = 0; round < 2; round++) {
        unsigned steps = 1;
        segwriter_count(writer, first, 1, (round + 1) * 5);
        assert_int_equal(segwriter_rewrite(writer, path), 0);
        assert_int_equal(smx_reader_begin(reader, &diag), 0);
        for (; smx_reader_step(reader, 1, &diag) > 0; steps++)
            assert_int_equal(f->series[0].count, round * 5);
        assert_true(steps >= SERIES / 512);
        /* What is read is read. */
        segwriter_count(writer, first, 2, 1000);
        assert_int_equal(segwriter_rewrite(writer, path), 0);
        assert_int_equal(smx_reader_update(reader, &diag), 0);
        segwriter_count(writer, first, 2, 0);
        f = smx_reader_family(reader, 0);
        assert_int_equal(f->series[0].count, (round + 1) * 5);
        assert_int_equal(f->series[SERIES - 1].count, SERIES - 1);
    }
}

/* They are read after the values, one series' at least. */
static void test_exemplars_in_steps(void **state)
{
    enum { SERIES = 100 };
    static const char *const none[] = {NULL};
    (void)state;
    uint64_t family = counter_family("a_total"), record = 0;
    for (unsigned i = 0; i < SERIES; i++) {
        char code[16];
        snprintf(code, sizeof code, "%u", i);
        record = segwriter_exemplars(writer, counter(family, code), 1);
        (void)segwriter_exemplar(writer, record, 0, i, 1, none);
    }
    take();
    const struct smx_family_info *f = smx_reader_family(reader, 0);
    assert_int_equal(f->n_exemplars, SERIES);
    (void)segwriter_exemplar(writer, record, 0, 1000, 1, none);
    assert_int_equal(segwriter_rewrite(writer, path), 0);
    assert_int_equal(smx_reader_begin(reader, &diag), 0);
    unsigned steps = 0;
    for (; smx_reader_step(reader, 1, &diag) > 0; steps++)
        assert_int_equal(f->exemplars[SERIES - 1].value, SERIES - 1);
    assert_true(steps >= SERIES - 1);
    assert_int_equal(smx_reader_update(reader, &diag), 0);
    assert_int_equal(f->n_exemplars, SERIES);
    assert_int_equal(f->exemplars[SERIES - 2].value, SERIES - 2);
    assert_int_equal(f->exemplars[SERIES - 1].value, 1000);
}

/* Of four bytes each, in the value; the name has one more. */
static bool is_shown_with(unsigned characters)
{
    static const char fish[] = "\xf0\x9f\x90\x9f";
    char value[4 * 127 + 1] = "", name[] = "id";
    const char *const labels[] = {name + (characters <= 128), value, NULL};
    size_t fishes = characters - strlen(labels[0]);
    assert_true(fishes * 4 < sizeof value);
    for (size_t i = 0; i < fishes; i++)
        memcpy(value + 4 * i, fish, sizeof fish);
    uint64_t series = counter(counter_family("a_total"), "x");
    (void)segwriter_exemplar(writer, segwriter_exemplars(writer, series, 1), 0, 7, 1, labels);
    take();
    return smx_reader_family(reader, 0)->n_exemplars == 1;
}

static void test_exemplar_of_128_characters(void **state)
{
    (void)state;
    assert_true(is_shown_with(128));
    assert_int_equal(smx_reader_family(reader, 0)->exemplars[0].labels[0].value.length, 4 * 127);
}

static void test_exemplar_of_129_characters(void **state)
{
    (void)state;
    assert_false(is_shown_with(129));
    assert_int_equal(smx_reader_info(reader)->n_series, 1);
}

/* Each of the many things that are done to a record is left and gone on with. */
static void test_names_in_steps(void **state)
{
    enum { SERIES = 1500, BYTES = 4096 };
    (void)state;
    uint64_t family = counter_family("a_total");
    take();
    for (unsigned i = 0; i < SERIES; i++) {
        char code[16];
        snprintf(code, sizeof code, "%u", i);
        segwriter_count(writer, counter(family, code), 0, i);
    }
    assert_int_equal(segwriter_rewrite(writer, path), 0);
    assert_int_equal(smx_reader_begin(reader, &diag), 0);
    unsigned steps = 0;
    for (; smx_reader_step(reader, BYTES, &diag) > 0; steps++)
        assert_int_equal(smx_reader_info(reader)->n_series, 0);
    assert_true(steps >= 400);
    assert_int_equal(smx_reader_update(reader, &diag), 0);
    const struct smx_family_info *f = smx_reader_family(reader, 0);
    assert_int_equal(f->n_series, SERIES);
    for (unsigned i = 0; i < SERIES; i++) {
        assert_int_equal(f->series[i].count, i);
        assert_int_equal(strtoul(f->series[i].values[0].at, NULL, 10), i);
    }
}

/* Names that are there twice are found in steps as well; of two the first stays. */
static void test_families_in_steps(void **state)
{
    enum { FAMILIES = 1000, BYTES = 4096 };
    (void)state;
    for (unsigned i = 0; i < FAMILIES; i++) {
        char name[16];
        snprintf(name, sizeof name, "f%u_total", i);
        counter(counter_family(name), "first");
        if (i % 10 == 0)
            counter(counter_family(name), "second");
    }
    assert_int_equal(segwriter_save(writer, directory, path), 0);
    assert_int_equal(smx_reader_open(path, &reader, &diag), 0);
    assert_int_equal(smx_reader_begin(reader, &diag), 0);
    unsigned steps = 0;
    while (smx_reader_step(reader, BYTES, &diag) > 0)
        steps++;
    assert_true(steps >= 1000);
    assert_int_equal(smx_reader_update(reader, &diag), 0);
    assert_int_equal(smx_reader_info(reader)->unsound[SMX_UNSOUND_DUPLICATE], FAMILIES / 10);
    assert_int_equal(smx_reader_info(reader)->n_families, FAMILIES);
    for (unsigned i = 0; i < FAMILIES; i++) {
        const struct smx_family_info *f = smx_reader_family(reader, i);
        assert_int_equal(strtoul(f->name.at + 1, NULL, 10), i);
        assert_string_equal(f->series[0].values[0].at, "first");
    }
}

/* Also where it is half done, and the names have moved: leaks are ASan's affair. */
static void test_steps_given_up(void **state)
{
    (void)state;
    uint64_t family = counter_family("a_total");
    uint64_t series = counter(family, "x");
    take();
    for (unsigned i = 0; i < 2; i++) {
        char code[16];
        snprintf(code, sizeof code, "%u", i);
        segwriter_count(writer, counter(family, code), 0, 7);
        segwriter_count(writer, series, 0, i + 1);
        assert_int_equal(segwriter_rewrite(writer, path), 0);
        assert_int_equal(smx_reader_begin(reader, &diag), 0);
    }
    assert_int_equal(smx_reader_info(reader)->n_series, 1);
    assert_int_equal(smx_reader_update(reader, &diag), 0);
    assert_int_equal(smx_reader_info(reader)->n_series, 3);
    assert_int_equal(smx_reader_family(reader, 0)->series[0].count, 2);
    segwriter_count(writer, counter(family, "y"), 0, 7);
    assert_int_equal(segwriter_rewrite(writer, path), 0);
    assert_int_equal(smx_reader_begin(reader, &diag), 0);
    assert_int_equal(truncate(path, 4096), 0);
    assert_true(smx_reader_step(reader, UINT64_MAX, &diag) < 0);
    assert_true(smx_reader_update(reader, &diag) < 0);
    assert_int_equal(smx_reader_info(reader)->n_series, 3);
    retake();
    assert_int_equal(smx_reader_info(reader)->n_series, 4);
    assert_int_equal(smx_reader_begin(reader, &diag), 0);
}

static void test_names_appear(void **state)
{
    (void)state;
    uint64_t family = counter_family("a_total");
    counter(family, "x");
    take();
    uint64_t epoch = smx_reader_epoch(reader);
    segwriter_count(writer, counter(family, "y"), 0, 7);
    counter_family("b_total");
    retake();
    assert_true(smx_reader_epoch(reader) > epoch);
    assert_int_equal(smx_reader_info(reader)->n_families, 2);
    const struct smx_family_info *f = smx_reader_family(reader, 0);
    assert_int_equal(f->n_series, 2);
    assert_int_equal(f->series[1].count, 7);
}

static void test_hidden(void **state)
{
    (void)state;
    uint64_t family = counter_family("a_total");
    uint64_t x = counter(family, "x");
    counter(family, "y");
    segwriter_hide(writer, x, 1);
    take();
    const struct smx_family_info *f = smx_reader_family(reader, 0);
    assert_int_equal(f->n_series, 1);
    assert_string_equal(f->series[0].values[0].at, "y");
    segwriter_hide(writer, x, 0);
    retake();
    assert_int_equal(smx_reader_family(reader, 0)->n_series, 2);
}

static void test_overflow(void **state)
{
    (void)state;
    uint64_t family = counter_family("a_total");
    uint64_t overflow = segwriter_overflow(writer, family);
    counter(family, "");
    take();
    const struct smx_family_info *f = smx_reader_family(reader, 0);
    assert_int_equal(f->n_series, 2);
    const struct smx_series_info *s = &f->series[0];
    assert_true(s->overflow);
    assert_null(s->values);
    assert_false(s->present);
    assert_false(f->series[1].overflow);
    assert_true(f->series[1].present);
    segwriter_count(writer, overflow, 1, 3);
    retake();
    assert_true(s->present);
    assert_int_equal(s->count, 3);
}

static void test_explicit_histogram(void **state)
{
    static const double bounds[] = {0.1, 0.5, 2.5};
    (void)state;
    uint64_t family = segwriter_family(writer, &(struct segwriter_family){
                                                   .name = "wait_seconds",
                                                   .unit = "seconds",
                                                   .help = "Time waited.",
                                                   .type = SEGWRITER_HISTOGRAM,
                                                   .digits = 9,
                                                   .bounds = bounds,
                                                   .n_bounds = 3,
                                               });
    uint64_t series = segwriter_series(writer, family, NULL);
    for (uint32_t row = 0; row < 4; row++)
        segwriter_bucket(writer, series, row, row, row + 1);
    segwriter_limits(writer, series, 1, 3000, 20, 600);
    segwriter_limits(writer, series, 3, 4000, 1000, 2000);
    take();
    const struct smx_family_info *f = smx_reader_family(reader, 0);
    assert_string_equal(f->unit.at, "seconds");
    assert_string_equal(f->help.at, "Time waited.");
    assert_int_equal(f->digits, 9);
    assert_false(f->exponential);
    assert_int_equal(f->n_buckets, 4);
    assert_memory_equal(f->upper_bounds, bounds, sizeof bounds);
    assert_true(isinf(f->upper_bounds[3]));
    const struct smx_histogram_info *h = f->series[0].histogram;
    assert_ptr_equal(h->family, f);
    assert_int_equal(h->count, 10);
    assert_int_equal(h->sum, 7000);
    assert_int_equal(h->min, 20);
    assert_int_equal(h->max, 2000);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(h->buckets[i], i + 1);
}

static void test_exponential_bounds(void **state)
{
    /* Of the table in Prometheus' model/histogram (schema 3), twice: it holds halves. */
    static const double third[] = {1, 1.0905077326652577, 1.1892071150027210, 1.2968395546510096,
                                   1.4142135623730951};
    (void)state;
    segwriter_series(writer,
                     segwriter_family(writer,
                                      &(struct segwriter_family){
                                          .name = "h",
                                          .type = SEGWRITER_HISTOGRAM,
                                          .schema = 3,
                                          .first_index = -8,
                                          .n_exponential = 24,
                                      }),
                     NULL);
    take();
    const struct smx_family_info *f = smx_reader_family(reader, 0);
    assert_true(f->exponential);
    assert_int_equal(f->schema, 3);
    assert_int_equal(f->first_index, -8);
    assert_int_equal(f->n_buckets, 26);
    assert_true(fabs(f->upper_bounds[0] - exp2(-9.0 / 8)) < 1e-15);
    assert_true(f->upper_bounds[1] == 0.5);
    for (unsigned i = 0; i < 5; i++)
        assert_true(f->upper_bounds[9 + i] == third[i]);
    assert_true(f->upper_bounds[17] == 2);
    assert_true(f->upper_bounds[18] == 2 * third[1]);
    assert_true(isinf(f->upper_bounds[25]));
}

static void test_empty_histogram(void **state)
{
    static const double bounds[] = {1};
    (void)state;
    segwriter_series(
        writer,
        segwriter_family(writer, &(struct segwriter_family){.name = "h",
                                                            .type = SEGWRITER_HISTOGRAM,
                                                            .bounds = bounds,
                                                            .n_bounds = 1}),
        NULL);
    take();
    const struct smx_histogram_info *h = smx_reader_family(reader, 0)->series[0].histogram;
    assert_int_equal(h->count, 0);
    assert_int_equal(h->min, 0);
    assert_int_equal(h->max, 0);
    assert_true(isnan(smx_histogram_average(h)));
    assert_true(isnan(smx_histogram_quantile(h, 0.5)));
}

static void test_striped(void **state)
{
    (void)state;
    segwriter_free(writer);
    writer = segwriter_new(&(struct segwriter_options){.app = "striped", .striped = 1});
    uint64_t series = counter(counter_family("a_total"), "x");
    for (uint32_t row = 0; row < 8; row++)
        segwriter_count(writer, series, row, 1);
    take();
    assert_int_equal(smx_reader_info(reader)->kind, SMX_KIND_STRIPED);
    assert_int_equal(smx_reader_family(reader, 0)->series[0].count, 8);
}

static void test_long_strings(void **state)
{
    static char value[65536];
    (void)state;
    memset(value, 'v', sizeof value - 1);
    uint64_t family = counter_family("a_total");
    counter(family, value);
    counter(family, "\xe2\x82\xac \"\\\n");
    take();
    const struct smx_family_info *f = smx_reader_family(reader, 0);
    assert_int_equal(f->series[0].values[0].length, sizeof value - 1);
    assert_string_equal(f->series[0].values[0].at, value);
    assert_string_equal(f->series[1].values[0].at, "\xe2\x82\xac \"\\\n");
}

static void test_find(void **state)
{
    char found[256];
    (void)state;
    take();
    assert_int_equal(smx_find("shop", "blue", directory, found, sizeof found, &diag), 0);
    assert_string_equal(found, path);
    assert_int_equal(smx_find("shop", NULL, directory, found, sizeof found, &diag), -ENOENT);
    assert_non_null(strstr(diag.text, directory));
    assert_int_equal(smx_find("../shop", NULL, directory, found, sizeof found, &diag), -EINVAL);
    assert_int_equal(smx_find("shop", "blue", directory, found, 10, &diag), -ENAMETOOLONG);
    assert_int_equal(setenv("SMX_DIR", directory, 1), 0);
    assert_int_equal(smx_find("shop", "blue", NULL, found, sizeof found, &diag), 0);
    assert_string_equal(found, path);
    unsetenv("SMX_DIR");
}

static void test_refused(void **state)
{
    char other[300];
    smx_reader *none = NULL;
    (void)state;
    assert_int_equal(segwriter_save(writer, directory, path), 0);
    snprintf(other, sizeof other, "%s/link", directory);
    assert_int_equal(symlink(path, other), 0);
    assert_int_equal(smx_reader_open(other, &none, &diag), -ELOOP);
    assert_int_equal(unlink(other), 0);
    assert_int_equal(mkfifo(other, 0600), 0);
    assert_int_equal(smx_reader_open(other, &none, &diag), -EPROTO);
    assert_int_equal(smx_reader_open(directory, &none, &diag), -EPROTO);
    assert_int_equal(smx_reader_open("/nonexistent", &none, &diag), -ENOENT);
    segwriter_put(writer, 12, 2, 2);
    assert_int_equal(segwriter_rewrite(writer, path), 0);
    assert_int_equal(smx_reader_open(path, &none, &diag), -EPROTONOSUPPORT);
    assert_non_null(strstr(diag.text, path));
    assert_int_equal(diag.code, -EPROTONOSUPPORT);
    segwriter_put(writer, 0, 1, 'X');
    assert_int_equal(segwriter_rewrite(writer, path), 0);
    assert_int_equal(smx_reader_open(path, &none, &diag), -EPROTO);
    assert_null(none);
}

#define TEST(function, name)                                                                       \
    {                                                                                              \
        name, function, setup, teardown, NULL                                                      \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_segment, "a snapshot describes the segment and its file"),
        TEST(test_counters, "a counter is the sum of its rows, the atomic ones too"),
        TEST(test_many_counters, "1500 counters of two families keep their order and values"),
        TEST(test_values_move, "values move without the epoch"),
        TEST(test_steps, "what is read in steps is shown by the update, and not before"),
        TEST(test_exemplar_of_128_characters, "an exemplar of 128 characters is shown"),
        TEST(test_exemplar_of_129_characters, "an exemplar of 129 characters is left out"),
        TEST(test_exemplars_in_steps, "exemplars are read in steps, too"),
        TEST(test_names_in_steps, "names that are read in steps are those that are read at once"),
        TEST(test_families_in_steps, "families that are there twice are found in steps, too"),
        TEST(test_steps_given_up, "an update that has begun is given up for another, or an error"),
        TEST(test_names_appear, "new families and series appear and move the epoch"),
        TEST(test_hidden, "a hidden series is left out until it is shown again"),
        TEST(test_overflow, "the overflow series is present once it holds anything"),
        TEST(test_explicit_histogram, "an explicit histogram combines its rows"),
        TEST(test_exponential_bounds, "exponential bounds are exactly those of Prometheus"),
        TEST(test_empty_histogram, "an empty histogram has no mean and no quantile"),
        TEST(test_striped, "a striped segment has atomic rows only"),
        TEST(test_long_strings, "label values keep every byte"),
        TEST(test_find, "smx_find looks in the directory given, then in SMX_DIR"),
        TEST(test_refused, "links, other files and other versions are refused with the reason"),
    };
    return RUN_TESTS(tests);
}
