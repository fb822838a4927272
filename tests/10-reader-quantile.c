/* SPDX-License-Identifier: MIT
 *
 * 10-reader-quantile.c - mean and quantiles against values computed by hand, by the rules of
 * PromQL's histogram_quantile(). The functions are pure, so no segment is needed.
 */
#include "support/tap.h"

#include <smx/reader.h>
#include <math.h>

/* cmocka compares floats, not doubles. */
#define assert_near(a, b, tolerance) assert_true(fabs((a) - (b)) <= (tolerance))

/* 10 up to 1, 20 up to 2, none up to 5, 10 up to 10, none above. */
static const double bounds[] = {1, 2, 5, 10, (double)INFINITY};
static const uint64_t buckets[] = {10, 20, 0, 10, 0};
static const struct smx_family_info family = {
    .type = SMX_HISTOGRAM, .digits = 1, .n_buckets = 5, .upper_bounds = bounds};
static const struct smx_histogram_info histogram = {
    .count = 40, .sum = 1000, .buckets = buckets, .family = &family};

static void test_average(void **state)
{
    (void)state;
    assert_near(smx_histogram_average(&histogram), 2.5, 0);
}

static void test_linear(void **state)
{
    (void)state;
    assert_near(smx_histogram_quantile(&histogram, 0.125), 0.5, 1e-12);
    assert_near(smx_histogram_quantile(&histogram, 0.5), 1.5, 1e-12);
    assert_near(smx_histogram_quantile(&histogram, 0.75), 2, 1e-12);
    assert_near(smx_histogram_quantile(&histogram, 0.9), 8, 1e-12);
    assert_near(smx_histogram_quantile(&histogram, 1), 10, 1e-12);
    assert_near(smx_histogram_quantile(&histogram, 0), 0, 0);
}

static void test_last_bucket(void **state)
{
    static const uint64_t above[] = {1, 0, 0, 0, 9};
    struct smx_histogram_info h = {.count = 10, .buckets = above, .family = &family};
    (void)state;
    assert_near(smx_histogram_quantile(&h, 0.99), 10, 0);
    assert_near(smx_histogram_quantile(&h, 0.1), 1, 0);
}

static void test_negative_bounds(void **state)
{
    static const double negative[] = {-1, 3, (double)INFINITY};
    static const uint64_t counts[] = {2, 2, 0};
    const struct smx_family_info f = {
        .type = SMX_HISTOGRAM, .n_buckets = 3, .upper_bounds = negative};
    struct smx_histogram_info h = {.count = 4, .buckets = counts, .family = &f};
    (void)state;
    assert_near(smx_histogram_quantile(&h, 0.25), -1, 0);
    assert_near(smx_histogram_quantile(&h, 0.75), 1, 1e-12);
}

static void test_out_of_range(void **state)
{
    (void)state;
    assert_true(isnan(smx_histogram_quantile(&histogram, (double)NAN)));
    assert_true(isinf(smx_histogram_quantile(&histogram, 1.5)));
    assert_true(smx_histogram_quantile(&histogram, -0.5) < 0);
}

/* [0, 1/2], (1/2, 1], (1, 2], (2, 4], above. */
static const double powers[] = {0.5, 1, 2, 4, (double)INFINITY};

static double exponential(const uint64_t counts[5], uint64_t count, double q)
{
    const struct smx_family_info f = {
        .type = SMX_HISTOGRAM, .exponential = true, .n_buckets = 5, .upper_bounds = powers};
    struct smx_histogram_info h = {.count = count, .buckets = counts, .family = &f};
    return smx_histogram_quantile(&h, q);
}

static void test_exponential(void **state)
{
    static const uint64_t counts[] = {0, 4, 4, 8, 0};
    (void)state;
    assert_near(exponential(counts, 16, 0.125), 0.5 * sqrt(2), 1e-12);
    assert_near(exponential(counts, 16, 0.25), 1, 1e-12);
    assert_near(exponential(counts, 16, 0.375), sqrt(2), 1e-12);
    assert_near(exponential(counts, 16, 0.75), 2 * sqrt(2), 1e-12);
    assert_near(exponential(counts, 16, 1), 4, 1e-12);
    assert_near(exponential(counts, 16, 0), 0.5, 1e-12);
    /* Between two buckets that hold as much PromQL answers with the upper one's lower bound. */
    assert_near(exponential((const uint64_t[]){0, 4, 0, 4, 0}, 8, 0.5), 2, 1e-12);
    assert_near(exponential((const uint64_t[]){0, 4, 0, 4, 0}, 8, 0.49), 1, 0.02);
}

static void test_exponential_ends(void **state)
{
    static const uint64_t counts[] = {6, 0, 0, 0, 4};
    (void)state;
    assert_near(exponential(counts, 10, 0.3), 0.25, 1e-12);
    assert_near(exponential(counts, 10, 0.9), 4, 0);
}

/* One bucket of schema -2, (1, 16], and one of schema 8. */
static void test_schemas(void **state)
{
    static const double wide[] = {1, 16, (double)INFINITY};
    static const uint64_t counts[] = {0, 2, 0};
    struct smx_family_info f = {.type = SMX_HISTOGRAM,
                                .exponential = true,
                                .schema = -2,
                                .first_index = 1,
                                .n_buckets = 3,
                                .upper_bounds = wide};
    const struct smx_histogram_info h = {.count = 2, .buckets = counts, .family = &f};
    (void)state;
    assert_near(smx_histogram_quantile(&h, 0.25), 2, 1e-12);
    assert_near(smx_histogram_quantile(&h, 0.75), 8, 1e-12);
    f.schema = 8;
    f.first_index = 256;
    assert_near(smx_histogram_quantile(&h, 0.5), exp2(255.5 / 256), 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"the mean is in the exposed unit", test_average, NULL, NULL, NULL},
        {"explicit buckets interpolate linearly", test_linear, NULL, NULL, NULL},
        {"the last bucket answers with the highest bound", test_last_bucket, NULL, NULL, NULL},
        {"a first bucket below zero answers with its bound", test_negative_bounds, NULL, NULL,
         NULL},
        {"quantiles outside 0..1 are infinite", test_out_of_range, NULL, NULL, NULL},
        {"exponential buckets interpolate exponentially", test_exponential, NULL, NULL, NULL},
        {"below the range it is linear, above the bound", test_exponential_ends, NULL, NULL, NULL},
        {"every schema interpolates over its own width", test_schemas, NULL, NULL, NULL},
    };
    return RUN_TESTS(tests);
}
