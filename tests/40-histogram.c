/* SPDX-License-Identifier: MIT
 *
 * 40-histogram.c - classic buckets: which bounds are exposed, and that the counts of a scrape agree
 * with each other and with what was recorded.
 */
#include "support/scrape.h"
#include "support/tap.h"

#include "agent/gather/edges.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <smx/reader.h>
#include <string.h>

/* What the lines of one histogram in a body say. */
struct parsed {
    double le[128];
    uint64_t bucket[128];
    size_t n;
    uint64_t count;
    char sum[64];
};

static void parse(struct parsed *out, const char *body, const char *name)
{
    size_t length = strlen(name);
    *out = (struct parsed){0};
    for (const char *line = body; *line; line = strchr(line, '\n') + 1) {
        if (strncmp(line, name, length) != 0)
            continue;
        const char *value = strchr(line, ' ') + 1;
        if (strncmp(line + length, "_bucket", 7) == 0) {
            assert_true(out->n < 128);
            out->le[out->n] = strtod(strstr(line, "le=\"") + 4, NULL);
            out->bucket[out->n++] = strtoull(value, NULL, 10);
        } else if (strncmp(line + length, "_count", 6) == 0) {
            out->count = strtoull(value, NULL, 10);
        } else if (strncmp(line + length, "_sum", 4) == 0) {
            snprintf(out->sum, sizeof out->sum, "%.*s", (int)strcspn(value, "\n"), value);
        }
    }
}

static void assert_sound(const struct parsed *p)
{
    assert_true(p->n > 0);
    for (size_t i = 1; i < p->n; i++) {
        assert_true(p->le[i] > p->le[i - 1]);
        assert_true(p->bucket[i] >= p->bucket[i - 1]);
    }
    assert_true(isinf(p->le[p->n - 1]));
    assert_int_equal(p->bucket[p->n - 1], p->count);
}

/* Expose a histogram of that description and parse its lines. */
static void expose(struct parsed *out, const struct smx_metric *metric, const uint64_t ticks[],
                   size_t n)
{
    struct scrape s;
    struct smx_diag diag = {0};
    scrape_start(&s);
    smx_segment *segment = scrape_open(&s, &(struct smx_options){.app = "a"});
    smx_histogram h = smx_histogram_new(segment, metric, &diag);
    assert_string_equal(diag.text, "");
    for (size_t i = 0; i < n; i++)
        smx_histogram_record(h, ticks[i]);
    scrape_run(&s);
    parse(out, scrape_only(&s, &s.text, metric->name), metric->name);
    assert_sound(out);
    scrape_end(&s);
}

static void the_default_ranges_are_exposed_as_powers_of_two(void **state)
{
    (void)state;
    struct parsed p;
    expose(&p, &(struct smx_metric){.name = "h_seconds", .unit = "seconds"}, NULL, 0);
    assert_int_equal(p.n, 28);
    assert_true(p.le[0] == 0x1p-19 && p.le[26] == 128);
    expose(&p, &(struct smx_metric){.name = "h"}, NULL, 0);
    assert_int_equal(p.n, 34);
    for (size_t i = 0; i + 1 < p.n; i++)
        assert_true(p.le[i] == ldexp(1, (int)i));
}

static void a_wide_range_is_thinned_and_a_narrow_one_refined(void **state)
{
    (void)state;
    struct parsed p;
    expose(&p, &(struct smx_metric){.name = "h", .min = 1, .max = 0x1p60}, NULL, 0);
    assert_true(p.n <= EDGES_MAX + 1 && p.n >= EDGES_MIN);
    assert_true(p.le[0] == 1 && p.le[1] == 4 && p.le[p.n - 2] == 0x1p60);
    expose(&p, &(struct smx_metric){.name = "h", .min = 10, .max = 40}, NULL, 0);
    assert_true(p.n <= EDGES_MAX + 1 && p.n >= EDGES_MIN);
    assert_true(p.le[p.n - 2] >= 40 && p.le[p.n - 2] < 44);
    expose(&p, &(struct smx_metric){.name = "h", .min = 10, .max = 10.5}, NULL, 0);
    assert_true(p.n >= 2);
}

static void a_wish_is_read_or_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",   "x=",  "=1",  "1,",  ",1",  "1,1", "2,1",      "0,1",
                                        "-1", "nan", "inf", "1;2", "1 2", "x=y", "x=1,1e999"};
    struct edges_wish wish;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (edges_wish_parse(wrong[i], &wish) == 0)
            fail_msg("'%s' is taken", wrong[i]);
    assert_int_equal(edges_wish_parse("0.25,1,1e9", &wish), 0);
    assert_true(wish.family.length == 0 && wish.n == 3 && wish.bounds[2] == 1e9);
    assert_int_equal(edges_wish_parse("a=b,c=5", &wish), 0);
    assert_true(wish.family.length == 5 && wish.n == 1 && wish.bounds[0] == 5);
    char many[2 * EDGES_WISH_MAX * 4] = "1";
    for (int i = 2; i <= EDGES_WISH_MAX; i++)
        snprintf(many + strlen(many), 16, ",%d", i);
    assert_int_equal(edges_wish_parse(many, &wish), 0);
    strcat(many, ",65");
    assert_int_equal(edges_wish_parse(many, &wish), -EINVAL);
}

/* The bounds of a histogram with schema 0, which has powers of two from 1/4 to 16, by wishes. */
static void assert_bounds(const struct edges_wish wishes[], size_t n, const double expected[],
                          size_t n_expected)
{
    static const double powers[] = {0.25, 0.5, 1, 2, 4, 8, 16, (double)INFINITY};
    struct smx_family_info f = {.name = {"h", 1},
                                .type = SMX_HISTOGRAM,
                                .exponential = true,
                                .upper_bounds = powers,
                                .n_buckets = 8,
                                .first_index = -1};
    struct edges edges;
    assert_int_equal(edges_init(&edges, &f, &(struct edges_wishes){wishes, n}), 0);
    assert_int_equal(edges.n, n_expected + 1);
    for (size_t i = 0; i < n_expected; i++)
        assert_true(powers[edges.upto[i]] == expected[i]);
    assert_int_equal(edges.upto[n_expected], 7);
    edges_fini(&edges);
}

static void bounds_that_are_wished_for_become_the_nearest_that_there_are(void **state)
{
    (void)state;
    static const struct edges_wish wishes[] = {
        {{"", 0}, 5, {0.001, 1.4, 1.5, 2.9, 1000}},
        {{"other", 5}, 1, {4}},
        {{"h", 1}, 2, {0.3, 0.26}},
        {{"", 0}, 1, {8}},
        {{"h", 1}, 3, {0.3, 0.7, 11.4}},
    };
    assert_bounds(wishes, 1, (const double[]){0.25, 1, 2, 4, 16}, 5);
    assert_bounds(wishes, 2, (const double[]){0.25, 1, 2, 4, 16}, 5);
    assert_bounds(wishes, 4, (const double[]){0.25}, 1);
    assert_bounds(wishes, 5, (const double[]){0.25, 0.5, 16}, 3);
    assert_bounds(wishes + 3, 1, (const double[]){8}, 1);
    assert_bounds(wishes + 3, 2, (const double[]){0.25, 0.5, 16}, 3);
    assert_bounds(&wishes[1], 1, (const double[]){0.5, 1, 2, 4, 8, 16}, 6);
}

/* Of two bounds as near by ratio the lower one, of two wishes for all the later one. */
static void where_wishes_leave_a_choice_it_is_made_the_same_way(void **state)
{
    (void)state;
    static const double fours[] = {1, 4, 16, (double)INFINITY};
    static const struct edges_wish wishes[] = {{{"", 0}, 1, {4}}, {{"", 0}, 2, {2, 8}}};
    const struct smx_family_info f = {.name = {"h", 1},
                                      .type = SMX_HISTOGRAM,
                                      .exponential = true,
                                      .schema = -1,
                                      .upper_bounds = fours,
                                      .n_buckets = 4};
    struct edges edges;
    assert_int_equal(edges_init(&edges, &f, &(struct edges_wishes){wishes, 2}), 0);
    assert_int_equal(edges.n, 3);
    assert_true(edges.upto[0] == 0 && edges.upto[1] == 1 && edges.upto[2] == 3);
    edges_fini(&edges);
}

static void all_explicit_bounds_are_exposed(void **state)
{
    (void)state;
    static const double bounds[] = {0, 0.005, 1, 1048576, 1e9};
    struct parsed p;
    expose(&p, &(struct smx_metric){.name = "h", .bounds = bounds, .n_bounds = 5}, NULL, 0);
    assert_int_equal(p.n, 6);
    for (size_t i = 0; i < 5; i++)
        assert_true(p.le[i] == bounds[i]);
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* The oracle counts by comparing each value with each exposed bound. */
static void check_random(const struct smx_metric *metric, unsigned digits)
{
    enum { N = 2000 };
    static uint64_t ticks[N];
    uint64_t random = 88172645463325252u, sum = 0;
    struct parsed p;
    for (size_t i = 0; i < N; i++) {
        ticks[i] = i % 100 ? next_random(&random) >> (24 + next_random(&random) % 40) : 0;
        sum += ticks[i];
    }
    expose(&p, metric, ticks, N);
    assert_int_equal(p.count, N);
    double scale = pow(10, digits);
    for (size_t k = 0; k < p.n; k++) {
        uint64_t below = 0;
        for (size_t i = 0; i < N; i++)
            below += (double)ticks[i] / scale <= p.le[k];
        assert_int_equal(p.bucket[k], below);
    }
    char expected[64];
    uint64_t unit = (uint64_t)scale;
    if (digits == 0)
        snprintf(expected, sizeof expected, "%" PRIu64, sum);
    else
        snprintf(expected, sizeof expected, "%" PRIu64 ".%0*" PRIu64, sum / unit, (int)digits,
                 sum % unit);
    assert_true(strncmp(p.sum, expected, strlen(p.sum)) == 0);
    assert_int_equal(strspn(expected + strlen(p.sum), "0"), strlen(expected) - strlen(p.sum));
}

static void every_exposed_count_is_that_of_the_values_below_its_bound(void **state)
{
    (void)state;
    static const double bounds[] = {0, 1e-6, 0.001, 0.3, 1, 2.5, 100, 1e6};
    check_random(&(struct smx_metric){.name = "h_seconds", .unit = "seconds"}, 9);
    check_random(&(struct smx_metric){.name = "h"}, 0);
    check_random(&(struct smx_metric){.name = "h", .schema = 8, .min = 1, .max = 4096}, 0);
    check_random(&(struct smx_metric){.name = "h", .schema = -4, .min = 1, .max = 1e9}, 0);
    check_random(&(struct smx_metric){.name = "h", .schema = SMX_SCHEMA_0, .digits = 3}, 3);
    check_random(
        &(struct smx_metric){
            .name = "h_seconds", .unit = "seconds", .bounds = bounds, .n_bounds = 8},
        9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wish_is_read_or_refused),
        cmocka_unit_test(bounds_that_are_wished_for_become_the_nearest_that_there_are),
        cmocka_unit_test(where_wishes_leave_a_choice_it_is_made_the_same_way),
        cmocka_unit_test(the_default_ranges_are_exposed_as_powers_of_two),
        cmocka_unit_test(a_wide_range_is_thinned_and_a_narrow_one_refined),
        cmocka_unit_test(all_explicit_bounds_are_exposed),
        cmocka_unit_test(every_exposed_count_is_that_of_the_values_below_its_bound),
    };
    return RUN_TESTS(tests);
}
