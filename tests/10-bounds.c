/* SPDX-License-Identifier: MIT
 *
 * 10-bounds.c - every value falls into the bucket that its bound says. The oracle knows neither
 * thresholds nor keys: it computes each bound with exp2l() or takes the caller's, and compares the
 * value in the exposed unit with it. Bounds ascend, so "above the one before, not above this one"
 * is what a linear search would find.
 */
#include "libshm/metric/bounds.h"
#include "libshm/segment/process.h"
#include "support/cells.h"
#include "support/scratch.h"
#include "support/tap.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

enum { RANDOM_VALUES = 500, LISTS = 300 };

static uint64_t seed = 88172645463325252u;

static uint64_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static double random_unit(void)
{
    return (double)(next_random() >> 11) * 0x1p-53;
}

/* What buckets mean, without libshm's tables. */
struct oracle {
    const double *bound; /* of buckets 0..n-2; the last one has none */
    uint32_t n;
    unsigned digits;
};

/* The double nearest to ticks / 10^digits, compared with a bound. Above 2^53 ticks the conversion
 * itself is rounded: there the threshold may be off by that, and only that. */
static bool fits_below(uint64_t ticks, double bound, unsigned digits, bool *unsure)
{
    long double power = powl(10, digits);
    if (ticks < UINT64_C(1) << 53)
        return (double)ticks / (double)power <= bound;
    long double value = (long double)ticks / power;
    *unsure = digits && fabsl(value - bound) < value * 0x1p-51L;
    return value <= (long double)bound;
}

static void check_value(const struct smx_hist *hist, const struct oracle *o, uint64_t ticks)
{
    uint32_t i = (uint32_t)smx__histogram_index(hist, ticks);
    bool unsure = false;
    bool right = i < o->n;
    /* The largest number stands for "or more": no bound is above it. */
    if (ticks == UINT64_MAX)
        right = i == o->n - 1;
    else if (right && i)
        right = !fits_below(ticks, o->bound[i - 1], o->digits, &unsure) || unsure;
    if (right && i < o->n - 1 && !unsure)
        right = fits_below(ticks, o->bound[i], o->digits, &unsure) || unsure;
    if (!right)
        fail_msg("%llu ticks of digits %u are in bucket %u of %u, bound %.17g",
                 (unsigned long long)ticks, o->digits, i, o->n, i < o->n - 1 ? o->bound[i] : 0);
}

static void check_histogram(const struct smx_hist *hist, const struct oracle *o)
{
    const uint64_t *threshold = smx__thresholds(hist);
    assert_int_equal(hist->n_buckets, o->n);
    assert_true(threshold[o->n - 1] == UINT64_MAX);
    for (uint32_t i = 0; i < o->n - 1; i++) {
        uint64_t t = threshold[i];
        check_value(hist, o, t);
        check_value(hist, o, t ? t - 1 : 0);
        check_value(hist, o, t + 1);
        double near = o->bound[i] * (double)powl(10, o->digits);
        if (near < 0x1p63)
            check_value(hist, o, (uint64_t)near);
    }
    for (int i = 0; i < RANDOM_VALUES; i++)
        check_value(hist, o, next_random() >> (next_random() & 63));
    for (uint64_t i = 0; i < 70; i++) {
        check_value(hist, o, i);
        check_value(hist, o, UINT64_MAX - i);
    }
}

static smx_segment *open_in(const char *directory, const char *instance, uint64_t max_bytes)
{
    smx_segment *segment;
    struct smx_diag diag = {0, ""};
    struct smx_options options = {.app = "bounds",
                                  .instance = instance,
                                  .directory = directory,
                                  .max_bytes = max_bytes,
                                  .rows = 1,
                                  .slots = 4};
    if (smx_open(&options, &segment, &diag) != 0)
        fail_msg("%s", diag.text);
    return segment;
}

static int as_digits(unsigned digits)
{
    return digits ? (int)digits : SMX_WHOLE;
}

/* 2^(index * 2^-schema), rounded once, from long double. */
static double exact_bound(int schema, int index)
{
    return (double)exp2l(ldexpl((long double)index, -schema));
}

static void one_exponential(smx_segment *segment, int schema, const double range[2],
                            unsigned digits)
{
    char name[64];
    static double bound[SMX__MAX_BUCKETS];
    struct smx_diag diag = {0, ""};
    snprintf(name, sizeof name, "h_%u_%u_%u", (unsigned)(schema + 4), digits,
             (unsigned)(next_random() >> 32));
    struct smx_metric metric = {.name = name,
                                .digits = as_digits(digits),
                                .schema = schema ? schema : SMX_SCHEMA_0,
                                .min = range[0],
                                .max = range[1]};
    smx_family handle = smx_histogram_family(segment, &metric, &diag);
    if (!handle.record)
        fail_msg("%s", diag.text);
    const struct smx__family *family = cells_family(handle);
    const struct smx_hist *hist = smx_histogram_with(handle, NULL).hist;
    assert_non_null(hist);
    assert_int_equal(family->schema, schema);
    int first = family->first_index;
    assert_true(exact_bound(schema, first) >= range[0]);
    assert_true(exact_bound(schema, first - 1) < range[0]);
    int last = first + (int)hist->n_buckets - 3;
    assert_true(exact_bound(schema, last) >= range[1]);
    assert_true(exact_bound(schema, last - 1) < range[1]);
    for (uint32_t i = 0; i < hist->n_buckets - 1; i++)
        bound[i] = exact_bound(schema, first + (int)i - 1);
    check_histogram(hist, &(struct oracle){bound, hist->n_buckets, digits});
}

static void exponential_buckets_follow_exp2l(void **state)
{
    static const double ranges[][2] = {
        {1e-6, 128}, {1, 4294967296.0}, {0.003, 3.7}, {0.9, 1e10}, {1e-9, 1e9}, {7, 7.1},
    };
    for (int schema = -4; schema <= 8; schema++) {
        char instance[16];
        snprintf(instance, sizeof instance, "s%d", schema + 4);
        smx_segment *segment = open_in(*state, instance, UINT64_C(512) << 20);
        for (size_t r = 0; r < sizeof ranges / sizeof ranges[0]; r++)
            for (unsigned digits = 0; digits <= 9; digits += schema > 5 ? 3 : 1)
                one_exponential(segment, schema, ranges[r], digits);
        unlink(smx_path(segment));
    }
}

static void bounds_are_the_nearest_doubles(void **state)
{
    (void)state;
    for (int schema = -4; schema <= 8; schema++)
        for (int index = -300000; index <= 300000; index += schema > 3 ? 1 : 7) {
            double mine = exact_bound(schema, index);
            if (mine > 1e-307 && mine < 1e308 && smx__bound(schema, index) != mine)
                fail_msg("schema %d index %d: %.17g, exp2l says %.17g", schema, index,
                         smx__bound(schema, index), mine);
        }
}

static void one_list(smx_segment *segment, const double *bounds, size_t n, unsigned digits)
{
    char name[64];
    struct smx_diag diag = {0, ""};
    snprintf(name, sizeof name, "e_%llx", (unsigned long long)next_random());
    struct smx_metric metric = {
        .name = name, .digits = as_digits(digits), .bounds = bounds, .n_bounds = n};
    smx_histogram h = smx_histogram_new(segment, &metric, &diag);
    if (!h.base)
        fail_msg("%s", diag.text);
    size_t finite = isinf(bounds[n - 1]) ? n - 1 : n;
    check_histogram(h.hist, &(struct oracle){bounds, (uint32_t)finite + 1, digits});
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void random_lists_of_bounds_are_obeyed(void **state)
{
    smx_segment *segment = open_in(*state, "lists", UINT64_C(64) << 20);
    for (int list = 0; list < LISTS; list++) {
        double bounds[SMX_BOUNDS_MAX];
        size_t n = 1 + next_random() % SMX_BOUNDS_MAX;
        for (size_t i = 0; i < n; i++)
            bounds[i] = list % 3 == 0   ? ldexp(random_unit(), (int)(next_random() % 80) - 30)
                        : list % 3 == 1 ? (double)(next_random() % 1000) / 1000
                                        : 100 + (double)(next_random() % 200);
        qsort(bounds, n, sizeof bounds[0], ascending);
        size_t unique = 1;
        for (size_t i = 1; i < n; i++)
            if (bounds[i] > bounds[unique - 1])
                bounds[unique++] = bounds[i];
        one_list(segment, bounds, unique, (unsigned)(list % 10));
    }
}

static void special_lists_of_bounds_are_obeyed(void **state)
{
    static const double usual[] = {.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10};
    static const double huge[] = {1, 1e18, 1e19, 1e300};
    static const double huge_alone[] = {1e300};
    static const double zero[] = {0, 1};
    static const double only_zero[] = {0};
    static const double same_tick[] = {0.1, 0.2, 0.3, 1.1, 1.2, 1.3};
    static const double endless[] = {1, 2, INFINITY};
    static const double edge[] = {9223372036854774784.0, 18446744073709549568.0};
    smx_segment *segment = open_in(*state, "special", UINT64_C(64) << 20);
    for (unsigned digits = 0; digits <= 9; digits++) {
        one_list(segment, usual, 11, digits);
        one_list(segment, huge, 4, digits);
        one_list(segment, huge_alone, 1, digits);
        one_list(segment, zero, 2, digits);
        one_list(segment, only_zero, 1, digits);
        one_list(segment, same_tick, 6, digits);
        one_list(segment, endless, 3, digits);
        one_list(segment, edge, 2, digits);
    }
}

static void three_tenths_of_a_second_is_at_most_point_three(void **state)
{
    static const double bounds[] = {0.1, 0.2, 0.3, 0.7, 1.1};
    smx_segment *segment = open_in(*state, "tenths", 0);
    struct smx_metric metric = {
        .name = "t_seconds", .unit = "seconds", .bounds = bounds, .n_bounds = 5};
    smx_histogram h = smx_histogram_new(segment, &metric, NULL);
    assert_int_equal(h.hist->digits, 9);
    assert_int_equal(smx__histogram_index(h.hist, 300000000), 2);
    assert_int_equal(smx__histogram_index(h.hist, 300000001), 3);
    assert_int_equal(smx__histogram_index(h.hist, 1100000000), 4);
    uint32_t row = h.hist->stride / (uint32_t)sizeof(uint64_t);
    smx_histogram_observe(h, 0.3);
    smx_histogram_observe(h, 0.7);
    for (uint32_t bucket = 0; bucket <= 5; bucket++) {
        uint64_t count = 0;
        for (uint32_t r = 0; r <= h.hist->rows + h.hist->mask; r++)
            count += h.base[r * row + SMX_HIST_BUCKETS + bucket];
        assert_int_equal(count, bucket == 2 || bucket == 3);
    }
    assert_int_equal(smx_histogram_sum(h), 1000000000);
}

static const struct smx_hist *index_of(smx_segment *segment, const char *name,
                                       struct smx_metric metric)
{
    metric.name = name;
    smx_histogram h = smx_histogram_new(segment, &metric, NULL);
    assert_non_null(h.base);
    return h.hist;
}

static void families_with_the_same_buckets_share_one_index(void **state)
{
    static const double bounds[] = {1, 2, 4}, others[] = {1, 2, 5};
    smx_segment *segment = open_in(*state, "shared", 0);
    const struct smx_metric seconds = {.unit = "seconds"}, bytes = {.unit = "bytes"},
                            coarse = {.unit = "bytes", .schema = SMX_SCHEMA_0},
                            list = {.unit = "bytes", .bounds = bounds, .n_bounds = 3},
                            other = {.unit = "bytes", .bounds = others, .n_bounds = 3};
    const struct smx_hist *index[] = {
        index_of(segment, "a_seconds", seconds), index_of(segment, "a_bytes", bytes),
        index_of(segment, "b_bytes", coarse),    index_of(segment, "c_bytes", list),
        index_of(segment, "d_bytes", other),
    };
    for (size_t i = 0; i < 5; i++)
        for (size_t k = 0; k < i; k++)
            assert_ptr_not_equal(index[i], index[k]);
    assert_ptr_equal(index_of(segment, "x_seconds", seconds), index[0]);
    assert_ptr_equal(index_of(segment, "y_bytes", coarse), index[2]);
    assert_ptr_equal(index_of(segment, "z_bytes", list), index[3]);
}

int main(void)
{
    char directory[SCRATCH_SIZE];
    if (scratch_make(directory) != 0)
        return 1;
    struct CMUnitTest tests[] = {
        {"the bounds are the doubles nearest to the powers of two", bounds_are_the_nearest_doubles,
         NULL, NULL, NULL},
        {"exponential buckets follow exp2l for every schema, range and resolution",
         exponential_buckets_follow_exp2l, NULL, NULL, directory},
        {"random lists of explicit bounds are obeyed", random_lists_of_bounds_are_obeyed, NULL,
         NULL, directory},
        {"huge, zero, equal and endless bounds are obeyed", special_lists_of_bounds_are_obeyed,
         NULL, NULL, directory},
        {"0.3 seconds in nanoseconds count as at most 0.3",
         three_tenths_of_a_second_is_at_most_point_three, NULL, NULL, directory},
        {"families with the same buckets share one index, others do not",
         families_with_the_same_buckets_share_one_index, NULL, NULL, directory},
    };
    int status = RUN_TESTS(tests);
    scratch_remove(directory);
    return status;
}
