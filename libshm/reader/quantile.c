/* SPDX-License-Identifier: MIT
 *
 * quantile.c - mean and quantiles of a histogram. Pure, and without libm: libshm needs libc
 * only. The rules are those of PromQL's histogram_quantile(), so that a person who reads smx-dump
 * and one who asks Prometheus see the same number.
 */
#include <smx/reader.h>

#include "libshm/metric/bounds.h"

#include <math.h>

static const double nan_value = (double)NAN;

double smx_histogram_average(const struct smx_histogram_info *histogram)
{
    if (histogram->count == 0)
        return nan_value;
    double ticks = (double)histogram->sum / (double)histogram->count;
    return ticks / (double)smx__power_of_ten(histogram->family->digits);
}

/* 2^x for 0 <= x <= 16, by the series of e^(x ln 2) for the fraction. */
static double power_of_two(double x)
{
    unsigned whole = (unsigned)x;
    double y = (x - whole) * 0.69314718055994530942;
    double term = 1, sum = 1;
    for (int n = 1; n < 20; n++) {
        term *= y / n;
        sum += term;
    }
    return sum * (double)(1u << whole);
}

/* The value at a fraction of a bucket of an exponential histogram. */
static double exponential_at(const struct smx_family_info *family, size_t bucket, double fraction)
{
    if (bucket == 0) /* as in a zero bucket: linear */
        return fraction * family->upper_bounds[0];
    int index = family->first_index + (int)bucket - 1;
    double lower = smx__bound(family->schema, index - 1);
    double width = family->schema > 0 ? 1.0 / (1 << family->schema) : 1 << -family->schema;
    return lower * power_of_two(width * fraction);
}

/* As on native histograms: ranks are counted from the nearer end, over buckets that hold any. */
static double exponential_quantile(const struct smx_histogram_info *h, double q)
{
    const struct smx_family_info *family = h->family;
    bool backward = q >= 0.5;
    double rank = (backward ? 1 - q : q) * (double)h->count;
    double seen = 0;
    for (size_t k = 0; k < family->n_buckets; k++) {
        size_t i = backward ? family->n_buckets - 1 - k : k;
        double n = (double)h->buckets[i];
        if (n <= 0)
            continue;
        if (seen + n < rank) {
            seen += n;
            continue;
        }
        if (i == family->n_buckets - 1)
            return family->upper_bounds[i - 1];
        double fraction = (rank - seen) / n;
        return exponential_at(family, i, backward ? 1 - fraction : fraction);
    }
    return family->upper_bounds[family->n_buckets - 2];
}

/* As on classic histograms: linear within a bucket, the first one starting at 0. */
static double explicit_quantile(const struct smx_histogram_info *h, double q)
{
    const double *upper = h->family->upper_bounds;
    size_t last = h->family->n_buckets - 1;
    double rank = q * (double)h->count;
    double seen = 0;
    size_t i = 0;
    /* Empty buckets are passed over even for q = 0, where PromQL divides 0 by 0. */
    while (i < last && (h->buckets[i] == 0 || seen + (double)h->buckets[i] < rank))
        seen += (double)h->buckets[i++];
    if (i == last)
        return upper[last - 1];
    if (i == 0 && upper[0] <= 0)
        return upper[0];
    double lower = i ? upper[i - 1] : 0;
    return lower + (upper[i] - lower) * ((rank - seen) / (double)h->buckets[i]);
}

double smx_histogram_quantile(const struct smx_histogram_info *histogram, double q)
{
    if (histogram->count == 0 || isnan(q))
        return nan_value;
    if (q < 0 || q > 1)
        return q < 0 ? (double)-INFINITY : (double)INFINITY;
    return histogram->family->exponential ? exponential_quantile(histogram, q)
                                          : explicit_quantile(histogram, q);
}
