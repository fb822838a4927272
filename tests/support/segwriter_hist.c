/* SPDX-License-Identifier: MIT
 *
 * segwriter_hist.c - histograms of the segment writer: descriptors with thresholds and without an
 * index (offsets as in struct smx_hist of <smx/update.h>, written down here a second time), cells.
 */
#include "support/segwriter_parts.h"

#include <math.h>
#include <string.h>

/* The upper bound of bucket i in the exposed unit; the last one has none. */
static double bound(const struct segwriter_family *f, uint32_t i)
{
    if (f->n_bounds)
        return f->bounds[i];
    return exp2((double)(f->first_index + (int32_t)i - 1) * exp2(-f->schema));
}

static uint64_t threshold(const struct segwriter_family *f, uint32_t i)
{
    double ticks = floor(bound(f, i) * pow(10, f->digits));
    return ticks < 0x1p63 ? (uint64_t)ticks : UINT64_C(1) << 63;
}

void segwriter_describe(struct segwriter *w, uint64_t record, const struct segwriter_family *family)
{
    uint32_t n_buckets = family->n_bounds ? family->n_bounds + 1 : family->n_exponential + 2;
    uint64_t stride = 128;
    while (stride < (4 + (uint64_t)n_buckets) * 8 + 64)
        stride *= 2;
    uint64_t hist = segwriter_allocate(w, 64 + 8 * (uint64_t)n_buckets, 64);
    segwriter_put(w, hist, 4, segwriter_get(w, 30, 2));
    segwriter_put(w, hist + 4, 4, segwriter_get(w, 34, 2) - 1);
    segwriter_put(w, hist + 8, 4, stride);
    segwriter_put(w, hist + 12, 4, n_buckets);
    segwriter_put(w, hist + 20, 4, family->digits);
    segwriter_put(w, hist + 40, 8, 1);
    segwriter_put(w, hist + 48, 8, 64);
    for (uint32_t i = 0; i + 1 < n_buckets; i++)
        segwriter_put(w, hist + 64 + 8 * i, 8, threshold(family, i));
    segwriter_put(w, hist + 64 + 8 * (n_buckets - 1), 8, UINT64_MAX);
    segwriter_put(w, record + 32, 8, hist);
    segwriter_put(w, record + 21, 1, family->n_bounds == 0);
    segwriter_put(w, record + 22, 1, (uint8_t)family->schema);
    segwriter_put(w, record + 48, 4, (uint32_t)family->first_index);
    if (family->n_bounds == 0)
        return;
    uint64_t bounds = segwriter_allocate(w, 8 * (uint64_t)family->n_bounds, 8);
    memcpy(w->bytes + bounds, family->bounds, 8 * (size_t)family->n_bounds);
    segwriter_put(w, record + 60, 4, family->n_bounds);
    segwriter_put(w, record + 64, 8, bounds);
}

/* Every second histogram starts 64 bytes into its stride, as libshm colours them. */
uint64_t segwriter_hist_cell(struct segwriter *w, uint64_t family)
{
    uint64_t stride = segwriter_get(w, segwriter_get(w, family + 32, 8) + 8, 4);
    uint64_t rows = segwriter_get(w, 30, 2) + segwriter_get(w, 34, 2);
    return segwriter_allocate(w, rows * stride, 64) + 64 * (w->colour++ % 2);
}

void segwriter_bucket(struct segwriter *w, uint64_t series, uint32_t row, uint32_t bucket,
                      uint64_t count)
{
    segwriter_put(w, segwriter_cell(w, series, row) + 8 * (4 + (uint64_t)bucket), 8, count);
}

void segwriter_limits(struct segwriter *w, uint64_t series, uint32_t row, uint64_t sum,
                      uint64_t min, uint64_t max)
{
    uint64_t cell = segwriter_cell(w, series, row);
    segwriter_put(w, cell, 8, sum);
    segwriter_put(w, cell + 8, 8, ~min);
    segwriter_put(w, cell + 16, 8, max);
}
