/* SPDX-License-Identifier: MIT
 *
 * 10-exemplar.c - exemplars as a reader sees them: the last one of each place, whole or not at all;
 * and that a count is never lost with one. Kills and races are in 30-crash and 30-exemplar.
 */
#include "libshm/layout.h"
#include "support/cells.h"
#include "support/family.h"
#include "support/scratch.h"
#include "support/segwriter.h"
#include "support/tap.h"
#include "support/worker.h"

#include <smx/reader.h>

#include <errno.h>
#include <string.h>
#include <time.h>

static char directory[SCRATCH_SIZE];
static smx_segment *segment;
static smx_reader *reader;

static const struct smx_family_info *see(const char *name)
{
    struct smx_diag diag;
    if (smx_reader_update(reader, &diag) != 0)
        fail_msg("%s", diag.text);
    assert_int_equal(smx_reader_info(reader)->errors, 0);
    const struct smx_family_info *found = family_named(reader, name);
    if (!found)
        fail_msg("no family %s", name);
    return found;
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void a_counter_keeps_the_last_exemplar_with_labels_value_and_time(void **state)
{
    (void)state;
    smx_counter c = smx_counter_new(segment, &(struct smx_metric){.name = "orders_total"}, NULL);
    assert_int_equal(see("orders_total")->n_exemplars, 0);
    uint64_t before = now_ns();
    smx_counter_add_exemplar(c, 3, SMX_VALUES("trace_id", "first"));
    smx_counter_add_exemplar(c, 5, SMX_VALUES("trace_id", "4bf9", "span", "\xc3\xa4"));
    smx_counter_add(c, 1);
    const struct smx_family_info *f = see("orders_total");
    assert_int_equal(f->series[0].count, 9);
    assert_int_equal(f->n_exemplars, 1);
    const struct smx_exemplar *e = &f->exemplars[0];
    assert_int_equal(e->series, 0);
    assert_int_equal(e->value, 5);
    assert_true(e->time_ns >= before && e->time_ns <= now_ns());
    assert_int_equal(e->n_labels, 2);
    assert_string_equal(e->labels[0].name.at, "trace_id");
    assert_string_equal(e->labels[0].value.at, "4bf9");
    assert_string_equal(e->labels[1].value.at, "\xc3\xa4");
    /* A shorter one leaves nothing of a longer one. */
    smx_counter_add_exemplar(c, 1, SMX_VALUES("a", ""));
    f = see("orders_total");
    assert_int_equal(f->exemplars[0].n_labels, 1);
    assert_int_equal(f->exemplars[0].labels[0].value.length, 0);
    smx_counter_add_exemplar(c, 1, NULL);
    assert_int_equal(see("orders_total")->exemplars[0].n_labels, 0);
}

static void a_histogram_keeps_one_for_each_group_of_buckets(void **state)
{
    (void)state;
    static const double bounds[] = {0.1, 0.5, 1};
    smx_histogram h = smx_histogram_new(
        segment,
        &(struct smx_metric){
            .name = "wait_seconds", .unit = "seconds", .bounds = bounds, .n_bounds = 3},
        NULL);
    smx_histogram_observe_exemplar(h, 0.3, SMX_VALUES("id", "a"));
    smx_histogram_observe_exemplar(h, 0.5, SMX_VALUES("id", "b"));
    smx_histogram_observe_exemplar(h, 7, SMX_VALUES("id", "c"));
    smx_histogram_observe_exemplar(h, 0, SMX_VALUES("id", "d"));
    smx_histogram_observe_exemplar(h, -1, SMX_VALUES("id", "e"));
    const struct smx_family_info *f = see("wait_seconds");
    assert_int_equal(f->series[0].histogram->count, 4);
    assert_int_equal(f->n_exemplars, 3);
    static const struct {
        size_t bucket;
        uint64_t value;
        const char *id;
    } expected[] = {{0, 0, "d"}, {1, 500000000, "b"}, {3, 7000000000, "c"}};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(f->exemplars[i].bucket, expected[i].bucket);
        assert_int_equal(f->exemplars[i].value, expected[i].value);
        assert_string_equal(f->exemplars[i].labels[0].value.at, expected[i].id);
    }
    /* More buckets than groups: 16 are kept, each in the bucket of its value. */
    h = smx_histogram_new(
        segment, &(struct smx_metric){.name = "sizes", .schema = 2, .min = 1, .max = 1e6}, NULL);
    for (uint64_t v = 0; v < 3000000; v += 1 + v / 16)
        smx_histogram_record_exemplar(h, v, SMX_VALUES("id", "x"));
    f = see("sizes");
    assert_int_equal(f->n_exemplars, SMX__EXEMPLAR_GROUPS);
    for (size_t i = 0; i < f->n_exemplars; i++) {
        const struct smx_exemplar *e = &f->exemplars[i];
        assert_true((double)e->value <= f->upper_bounds[e->bucket]);
        assert_true(!e->bucket || (double)e->value > f->upper_bounds[e->bucket - 1]);
        assert_true(f->series[0].histogram->buckets[e->bucket] > 0);
    }
}

static void labels_that_break_a_rule_lose_the_exemplar_and_never_the_count(void **state)
{
    (void)state;
    static char longest[4 * 127 + 1], too_long[4 * 128 + 1];
    for (size_t i = 0; i + 4 < sizeof longest; i += 4)
        memcpy(longest + i, "\xf0\x9f\x90\x9f", 5);
    for (size_t i = 0; i + 4 < sizeof too_long; i += 4)
        memcpy(too_long + i, "\xf0\x9f\x90\x9f", 5);
    smx_counter c = smx_counter_new(segment, &(struct smx_metric){.name = "ruled_total"}, NULL);
    const char *many[SMX_LABELS_MAX * 2 + 3] = {NULL};
    static char names[SMX_LABELS_MAX + 1][4];
    for (size_t i = 0; i <= SMX_LABELS_MAX; i++) {
        snprintf(names[i], sizeof names[i], "n%zu", i);
        many[2 * i] = names[i];
        many[2 * i + 1] = "v";
    }
    const char *const *const broken[] = {
        SMX_VALUES("id"),
        SMX_VALUES("1d", "x"),
        SMX_VALUES("", "x"),
        SMX_VALUES("__id", "x"),
        SMX_VALUES("a.b", "x"),
        SMX_VALUES("\xc3\xa4", "x"),
        SMX_VALUES("id", "\xff"),
        SMX_VALUES("id", "x", "id", "y"),
        SMX_VALUES("i", too_long),
        SMX_VALUES("ii", longest),
        many,
    };
    uint64_t before = cells_lost(segment, SMX_LOST_INVALID);
    const size_t n = sizeof broken / sizeof *broken;
    for (size_t i = 0; i < n; i++) {
        smx_counter_add_exemplar(c, 1, broken[i]);
        assert_int_equal(smx_counter_value(c), i + 1);
        assert_int_equal(cells_lost(segment, SMX_LOST_INVALID), before + i + 1);
    }
    assert_int_equal(see("ruled_total")->n_exemplars, 0);
    smx_counter_add_exemplar(c, 1, SMX_VALUES("i", longest));
    assert_string_equal(see("ruled_total")->exemplars[0].labels[0].value.at, longest);
    many[2 * SMX_LABELS_MAX] = NULL;
    smx_counter_add_exemplar(c, 1, many);
    assert_int_equal(see("ruled_total")->exemplars[0].n_labels, SMX_LABELS_MAX);
    smx_counter_add_exemplar((smx_counter){NULL, 0, 0}, 1, SMX_VALUES("id", "x"));
    smx_histogram_record_exemplar((smx_histogram){NULL, NULL}, 1, SMX_VALUES("id", "x"));
    smx_histogram_observe_exemplar((smx_histogram){NULL, NULL}, 1, SMX_VALUES("id", "x"));
    assert_int_equal(cells_lost(segment, SMX_LOST_INVALID), before + n);
}

static void an_exemplar_goes_with_its_series_and_comes_back_with_it(void **state)
{
    (void)state;
    smx_family family = smx_counter_family(
        segment, &(struct smx_metric){.name = "by_total", .labels = {"by"}, .max_series = 2}, NULL);
    smx_counter_add_exemplar(smx_counter_with(family, SMX_VALUES("a")), 1, SMX_VALUES("id", "a"));
    smx_counter_add_exemplar(smx_counter_with(family, SMX_VALUES("b")), 2, SMX_VALUES("id", "b"));
    smx_counter_add_exemplar(smx_counter_with(family, SMX_VALUES("c")), 3, SMX_VALUES("id", "c"));
    const struct smx_family_info *f = see("by_total");
    assert_int_equal(f->n_exemplars, 3); /* that of the overflow series, too */
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(f->series[f->exemplars[i].series].count, f->exemplars[i].value);
    assert_int_equal(smx_series_remove(family, SMX_VALUES("a")), 0);
    assert_int_equal(see("by_total")->n_exemplars, 2);
    (void)smx_counter_with(family, SMX_VALUES("a"));
    assert_int_equal(see("by_total")->n_exemplars, 3);
}

static void where_there_is_no_room_the_count_is_all_there_is(void **state)
{
    (void)state;
    smx_segment *small;
    struct smx_options options = {
        .app = "small", .directory = directory, .max_bytes = 128 << 10, .slots = 8, .rows = 1};
    assert_int_equal(smx_open(&options, &small, NULL), 0);
    smx_histogram h = smx_histogram_new(small, &(struct smx_metric){.name = "h"}, NULL);
    assert_non_null(h.base);
    uint64_t free_bytes = (128 << 10) - small->header->allocated;
    assert_true(free_bytes > 1000);
    __atomic_fetch_add(&small->header->allocated, free_bytes - 1000, __ATOMIC_RELAXED);
    errno = 99;
    smx_histogram_record_exemplar(h, 7, SMX_VALUES("id", "x"));
    assert_int_equal(errno, 99);
    assert_int_equal(smx_histogram_count(h), 1);
    assert_int_equal(cells_lost(small, SMX_LOST_SPACE), 1);
}

static int give_an_example(void *argument)
{
    smx_counter *c = argument;
    smx_counter_add_exemplar(*c, 2, SMX_VALUES("who", "child"));
    return 0;
}

static void a_child_writes_where_its_parent_did(void **state)
{
    (void)state;
    smx_counter c = smx_counter_new(segment, &(struct smx_metric){.name = "family_total"}, NULL);
    smx_counter_add_exemplar(c, 1, SMX_VALUES("who", "parent"));
    unsigned records = cells_records(segment, SMX__RECORD_EXEMPLARS);
    assert_int_equal(worker_run(give_an_example, &c), 0);
    assert_string_equal(see("family_total")->exemplars[0].labels[0].value.at, "child");
    assert_int_equal(cells_records(segment, SMX__RECORD_EXEMPLARS), records);
}

/* Written by hand: what is not sealed as it is, or breaks a rule, is not shown. */
static void only_what_fits_its_seal_and_the_rules_is_shown(void **state)
{
    static const struct {
        uint64_t at, value;
        unsigned size;
        bool sealed;
    } damages[] = {
        {8, 5, 8, false},    {16, 5, 8, false},   {24, 8, 8, false},
        {32, 'x', 1, false}, {24, 513, 8, true},  {24, 6, 8, true},
        {32, '1', 1, true},  {37, 0xff, 1, true}, {24, UINT64_MAX, 8, true},
    };
    static const char *const labels[] = {"id", "x\xc3\xa4", NULL};
    (void)state;
    for (size_t i = 0; i <= sizeof damages / sizeof *damages; i++) {
        char path[SEGWRITER_PATH_SIZE];
        struct segwriter *w = segwriter_new(&(struct segwriter_options){.app = "hand"});
        uint64_t family = segwriter_family(
            w, &(struct segwriter_family){.name = "c_total", .type = SEGWRITER_COUNTER});
        uint64_t places = segwriter_exemplars(w, segwriter_series(w, family, NULL), 1);
        uint64_t at = segwriter_exemplar(w, places, 0, 1, 1, labels);
        bool damaged = i < sizeof damages / sizeof *damages;
        if (damaged)
            segwriter_put(w, at + damages[i].at, damages[i].size, damages[i].value);
        if (damaged && damages[i].sealed)
            segwriter_seal(w, at);
        assert_int_equal(segwriter_save(w, directory, path), 0);
        segwriter_free(w);
        smx_reader *r;
        assert_int_equal(smx_reader_open(path, &r, NULL), 0);
        assert_int_equal(smx_reader_update(r, NULL), 0);
        if (smx_reader_family(r, 0)->n_exemplars != !damaged)
            fail_msg("damage %zu: %zu", i, smx_reader_family(r, 0)->n_exemplars);
        smx_reader_close(r);
    }
}

int main(void)
{
    struct smx_options options = {.app = "exemplar", .directory = directory};
    if (scratch_make(directory) != 0 || smx_open(&options, &segment, NULL) != 0 ||
        smx_reader_open(smx_path(segment), &reader, NULL) != 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_counter_keeps_the_last_exemplar_with_labels_value_and_time),
        cmocka_unit_test(a_histogram_keeps_one_for_each_group_of_buckets),
        cmocka_unit_test(labels_that_break_a_rule_lose_the_exemplar_and_never_the_count),
        cmocka_unit_test(an_exemplar_goes_with_its_series_and_comes_back_with_it),
        cmocka_unit_test(where_there_is_no_room_the_count_is_all_there_is),
        cmocka_unit_test(a_child_writes_where_its_parent_did),
        cmocka_unit_test(only_what_fits_its_seal_and_the_rules_is_shown),
    };
    int status = RUN_TESTS(tests);
    smx_reader_close(reader);
    scratch_remove(directory);
    return status;
}
