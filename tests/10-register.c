/* SPDX-License-Identifier: MIT
 *
 * 10-register.c - families: the same description is the same family in every process, each kind of
 * contradiction and each broken rule is refused for that family alone, counted, and named.
 */
#include "support/cells.h"
#include "support/scratch.h"
#include "support/tap.h"
#include "support/worker.h"

#include <errno.h>
#include <math.h>
#include <string.h>

static char directory[SCRATCH_SIZE];
static smx_segment *segment;

typedef smx_family registrar(smx_segment *, const struct smx_metric *, struct smx_diag *);

/* Register, expect a refusal that is counted under `reason` and names the metric and `word`. */
static void refuse(registrar *with, const struct smx_metric *metric, int code, enum smx_lost reason,
                   const char *word)
{
    struct smx_diag diag = {0, ""};
    uint64_t before = cells_lost(segment, reason);
    errno = 99;
    smx_family family = with(segment, metric, &diag);
    assert_int_equal(errno, 99);
    if (family.record || diag.code != code || !strstr(diag.text, word))
        fail_msg("\"%s\": expected %d and \"%s\", got %d and \"%s\"",
                 metric && metric->name ? metric->name : "", code, word, diag.code, diag.text);
    assert_null(family.segment);
    if (metric && metric->name)
        assert_non_null(strstr(diag.text, "metric "));
    assert_true(cells_lost(segment, reason) == before + 1);
    (void)with(segment, metric, NULL);
    assert_true(cells_lost(segment, reason) == before + 2);
}

static void accept(registrar *with, const struct smx_metric *metric)
{
    struct smx_diag diag = {5, "untouched"};
    smx_family family = with(segment, metric, &diag);
    if (!family.record || diag.code != 5)
        fail_msg("refused: %s", diag.text);
    assert_ptr_equal(family.segment, segment);
    assert_ptr_equal(with(segment, metric, NULL).record, family.record);
}

static const double bounds[] = {0.1, 0.5, 1};
static const double other_bounds[] = {0.1, 0.5, 2};

static struct smx_metric base(void)
{
    return (struct smx_metric){
        .name = "base_seconds", .unit = "seconds", .labels = {"a", "b"}, .help = "Help."};
}

static void every_contradiction_is_refused_counted_and_named(void **state)
{
    (void)state;
    struct smx_metric m = base();
    accept(smx_gauge_family, &m);
    refuse(smx_counter_family, &m, -EEXIST, SMX_LOST_CONFLICT, "another type");
    refuse(smx_fgauge_family, &m, -EEXIST, SMX_LOST_CONFLICT, "another type");
    refuse(smx_histogram_family, &m, -EEXIST, SMX_LOST_CONFLICT, "base_seconds");
    m.unit = NULL;
    refuse(smx_gauge_family, &m, -EEXIST, SMX_LOST_CONFLICT, "another unit");
    m = base();
    m.mode = SMX_MAX;
    refuse(smx_gauge_family, &m, -EEXIST, SMX_LOST_CONFLICT, "another mode");
    m = base();
    m.labels[1] = NULL;
    refuse(smx_gauge_family, &m, -EEXIST, SMX_LOST_CONFLICT, "another label names");
    m = base();
    m.labels[1] = "c";
    refuse(smx_gauge_family, &m, -EEXIST, SMX_LOST_CONFLICT, "another label names");
    m.labels[0] = "b";
    m.labels[1] = "a";
    refuse(smx_gauge_family, &m, -EEXIST, SMX_LOST_CONFLICT, "another label names");
    m = base();
    m.help = "Another text.";
    accept(smx_gauge_family, &m);
    m.max_series = 5;
    accept(smx_gauge_family, &m);
}

static void buckets_and_digits_that_differ_are_refused(void **state)
{
    (void)state;
    struct smx_metric m = {.name = "exponential", .schema = 3};
    accept(smx_histogram_family, &m);
    m.schema = 0; /* the default is 3 */
    accept(smx_histogram_family, &m);
    m.schema = 4;
    refuse(smx_histogram_family, &m, -EEXIST, SMX_LOST_CONFLICT, "another buckets");
    m.schema = 3;
    m.max = 1e6;
    refuse(smx_histogram_family, &m, -EEXIST, SMX_LOST_CONFLICT, "another buckets");
    m.max = 0;
    m.min = 3;
    refuse(smx_histogram_family, &m, -EEXIST, SMX_LOST_CONFLICT, "another buckets");
    m.min = 0;
    m.bounds = bounds;
    m.n_bounds = 3;
    refuse(smx_histogram_family, &m, -EEXIST, SMX_LOST_CONFLICT, "another buckets");
    m.name = "explicit";
    accept(smx_histogram_family, &m);
    m.bounds = other_bounds;
    refuse(smx_histogram_family, &m, -EEXIST, SMX_LOST_CONFLICT, "another buckets");
    m.bounds = bounds;
    m.n_bounds = 2;
    refuse(smx_histogram_family, &m, -EEXIST, SMX_LOST_CONFLICT, "another buckets");
    m.n_bounds = 3;
    m.digits = 3;
    refuse(smx_histogram_family, &m, -EEXIST, SMX_LOST_CONFLICT, "another digits");
    m = (struct smx_metric){.name = "ticks_total", .digits = 3};
    accept(smx_counter_family, &m);
    m.digits = 2;
    refuse(smx_counter_family, &m, -EEXIST, SMX_LOST_CONFLICT, "another digits");
}

static void names_units_and_texts_follow_their_rules(void **state)
{
    (void)state;
    static char long_name[SMX_NAME_MAX + 2];
    static char long_help[SMX_STRING_MAX + 2];
    memset(long_name, 'n', SMX_NAME_MAX + 1);
    memset(long_help, 'h', SMX_STRING_MAX + 1);
    const struct {
        struct smx_metric metric;
        const char *word;
    } cases[] = {
        {{.name = NULL}, "names are"},
        {{.name = ""}, "names are"},
        {{.name = "a\xff"}, "\"a?\""},
        {{.name = "\xc3"}, "names are"},
        {{.name = long_name}, "longer than 1000"},
        {{.name = "u", .unit = "seconds"}, "seconds"},
        {{.name = "useconds", .unit = "seconds"}, "seconds"},
        {{.name = "u_seconds_sum", .unit = "seconds"}, "seconds"},
        {{.name = "u_x-y", .unit = "x-y"}, "x-y"},
        {{.name = "h", .help = "\xff"}, "help"},
        {{.name = "h", .help = long_help}, "help"},
        {{.name = "d", .digits = 10}, "digits"},
        {{.name = "d", .digits = -2}, "digits"},
        {{.name = "l", .labels = {"\xed\xa0\x80"}}, "\"???\""},
        {{.name = "l", .labels = {""}}, "label"},
        {{.name = "l", .labels = {"__name__"}}, "__name__"},
        {{.name = "l", .labels = {"a.b", "a.b"}}, "twice"},
        {{.name = "l", .labels = {"a", "a"}}, "twice"},
        {{.name = "l", .labels = {"app"}}, "reserved"},
        {{.name = "l", .labels = {"otel_metric_overflow"}}, "reserved"},
        {{.name = "l", .labels = {long_name}}, "label"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        refuse(smx_counter_family, &cases[i].metric, -EINVAL, SMX_LOST_INVALID, cases[i].word);
    refuse(smx_counter_family, NULL, -EINVAL, SMX_LOST_INVALID, "description");
    long_name[SMX_NAME_MAX] = '\0';
    long_help[SMX_STRING_MAX] = '\0';
    accept(smx_counter_family, &(struct smx_metric){.name = long_name, .help = long_help});
    accept(smx_counter_family, &(struct smx_metric){.name = "u_bytes_total", .unit = "bytes"});
    accept(smx_counter_family, &(struct smx_metric){.name = "u_bytes", .unit = "bytes"});
    accept(smx_counter_family, &(struct smx_metric){.name = "http.requests", .labels = {"http.m"}});
    accept(smx_counter_family,
           &(struct smx_metric){.name = "7 d\xc3\xa4ys\n", .labels = {"9", ":"}});
    struct smx_metric all = {.name = "sixteen"};
    static const char *const labels[] = {"a", "b", "c", "d", "e", "f", "g", "h",
                                         "i", "j", "k", "l", "m", "n", "o", "p"};
    memcpy(all.labels, labels, sizeof labels);
    accept(smx_counter_family, &all);
}

static void histograms_follow_their_rules(void **state)
{
    (void)state;
    static double many[SMX_BOUNDS_MAX + 1];
    for (int i = 0; i <= SMX_BOUNDS_MAX; i++)
        many[i] = i;
    static const double falling[] = {2, 1};
    static const double equal[] = {1, 1};
    static const double negative[] = {-1, 1};
    static const double nan[] = {1, NAN};
    static const double endless[] = {INFINITY};
    const struct {
        struct smx_metric metric;
        const char *word;
    } cases[] = {
        {{.name = "h", .bounds = many, .n_bounds = SMX_BOUNDS_MAX + 1}, "64"},
        {{.name = "h", .n_bounds = 3}, "bounds"},
        {{.name = "h", .bounds = falling, .n_bounds = 2}, "ascend"},
        {{.name = "h", .bounds = equal, .n_bounds = 2}, "ascend"},
        {{.name = "h", .bounds = negative, .n_bounds = 2}, "not negative"},
        {{.name = "h", .bounds = nan, .n_bounds = 2}, "finite"},
        {{.name = "h", .bounds = endless, .n_bounds = 1}, "finite"},
        {{.name = "h", .schema = 9}, "schema"},
        {{.name = "h", .schema = -5}, "schema"},
        {{.name = "h", .min = 5, .max = 4}, "range"},
        {{.name = "h", .min = -1, .max = 4}, "range"},
        {{.name = "h", .min = NAN, .max = 4}, "range"},
        {{.name = "h", .min = 1, .max = INFINITY}, "range"},
        {{.name = "h", .schema = 8, .min = 1e-200, .max = 1e200}, "buckets"},
        {{.name = "h", .labels = {"le"}}, "reserved"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        refuse(smx_histogram_family, &cases[i].metric, -EINVAL, SMX_LOST_INVALID, cases[i].word);
    many[SMX_BOUNDS_MAX] = INFINITY; /* is no bound, but legal to write */
    accept(smx_histogram_family,
           &(struct smx_metric){.name = "h", .bounds = many, .n_bounds = SMX_BOUNDS_MAX + 1});
    accept(smx_histogram_family,
           &(struct smx_metric){.name = "h", .bounds = many, .n_bounds = SMX_BOUNDS_MAX});
    refuse(smx_gauge_family, &(struct smx_metric){.name = "m", .mode = (enum smx_mode)6}, -EINVAL,
           SMX_LOST_INVALID, "mode");
    refuse(smx_gauge_family,
           &(struct smx_metric){.name = "m", .mode = SMX_EACH, .labels = {"worker"}}, -EINVAL,
           SMX_LOST_INVALID, "reserved");
    accept(smx_gauge_family, &(struct smx_metric){.name = "m", .labels = {"worker"}});
}

static const struct smx_metric common = {
    .name = "common_total", .help = "Common.", .labels = {"x"}};

static int register_in_another_process(void *argument)
{
    uint64_t *at = argument;
    smx_segment *own;
    struct smx_options options = {.app = "register", .directory = directory};
    CHECK(smx_open(&options, &own, NULL) == 0);
    smx_family family = smx_counter_family(own, &common, NULL);
    CHECK(family.record);
    *at = (uint64_t)((const char *)cells_family(family) - (const char *)own->header);
    smx_counter_add(smx_counter_with(family, SMX_VALUES("v")), 7);
    return 0;
}

static void two_processes_share_a_family_and_its_series(void **state)
{
    (void)state;
    uint64_t *at = worker_shared(sizeof *at);
    assert_int_equal(worker_run(register_in_another_process, at), 0);
    smx_family family = smx_counter_family(segment, &common, NULL);
    assert_true((const char *)cells_family(family) == (const char *)segment->header + *at);
    assert_int_equal(smx_counter_value(smx_counter_with(family, SMX_VALUES("v"))), 7);
}

static void the_prefix_is_part_of_the_name(void **state)
{
    (void)state;
    smx_segment *prefixed;
    struct smx_diag diag;
    char name[SMX_NAME_MAX + 1];
    struct smx_options options = {
        .app = "prefixed", .directory = directory, .name_prefix = "shop_http"};
    assert_int_equal(smx_open(&options, &prefixed, NULL), 0);
    smx_family family =
        smx_counter_family(prefixed, &(struct smx_metric){.name = "orders_total"}, NULL);
    const struct smx__family *record = cells_family(family);
    assert_int_equal(record->name_len, strlen("shop_http_orders_total"));
    assert_memory_equal(record + 1, "shop_http_orders_total", record->name_len);
    memset(name, 'n', sizeof name);
    name[SMX_NAME_MAX - 10] = '\0';
    assert_non_null(smx_counter_family(prefixed, &(struct smx_metric){.name = name}, NULL).record);
    name[SMX_NAME_MAX - 10] = 'n';
    name[SMX_NAME_MAX - 9] = '\0';
    assert_null(smx_counter_family(prefixed, &(struct smx_metric){.name = name}, &diag).record);
    assert_int_equal(diag.code, -EINVAL);
}

/* What would be exposed twice in one line must not get in. */
static void constant_labels_and_labels_do_not_collide(void **state)
{
    (void)state;
    static const char *const constant[] = {"region", "eu", NULL};
    static const char *const twice[] = {"region", "eu", "region", "us", NULL};
    static const char *const reserved[] = {"app", "x", NULL};
    smx_segment *own;
    struct smx_diag diag = {0, ""};
    struct smx_options options = {.app = "constant", .directory = directory};
    options.constant_labels = twice;
    assert_int_equal(smx_open(&options, &own, &diag), -EINVAL);
    assert_non_null(strstr(diag.text, "region"));
    options.constant_labels = reserved;
    assert_int_equal(smx_open(&options, &own, &diag), -EINVAL);
    assert_non_null(strstr(diag.text, "app"));
    options.constant_labels = constant;
    assert_int_equal(smx_open(&options, &own, &diag), 0);
    struct smx_metric m = {.name = "m_total", .labels = {"method", "region"}};
    assert_null(smx_counter_family(own, &m, &diag).record);
    assert_int_equal(diag.code, -EINVAL);
    assert_non_null(strstr(diag.text, "region"));
    assert_int_equal(cells_lost(own, SMX_LOST_INVALID), 1);
}

int main(void)
{
    struct smx_options options = {.app = "register", .directory = directory};
    if (scratch_make(directory) != 0 || smx_open(&options, &segment, NULL) != 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_contradiction_is_refused_counted_and_named),
        cmocka_unit_test(buckets_and_digits_that_differ_are_refused),
        cmocka_unit_test(names_units_and_texts_follow_their_rules),
        cmocka_unit_test(histograms_follow_their_rules),
        cmocka_unit_test(two_processes_share_a_family_and_its_series),
        cmocka_unit_test(the_prefix_is_part_of_the_name),
        cmocka_unit_test(constant_labels_and_labels_do_not_collide),
    };
    int status = RUN_TESTS(tests);
    scratch_remove(directory);
    return status;
}
