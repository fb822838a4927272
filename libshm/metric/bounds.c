/* SPDX-License-Identifier: MIT
 *
 * bounds.c - arithmetic of histogram buckets; pure but for the descriptor it fills. No libm: libshm
 * needs libc only.
 */
#include "libshm/metric/bounds.h"

#include <float.h>
#include <string.h>

uint64_t smx__power_of_ten(unsigned digits)
{
    uint64_t power = 1;
    while (digits--)
        power *= 10;
    return power;
}

/* x * 2^exponent, by squaring; exact unless it leaves the range of double. */
static double scale(double x, int exponent)
{
    double step = exponent < 0 ? 0.5 : 2.0;
    for (unsigned n = (unsigned)(exponent < 0 ? -exponent : exponent); n; n >>= 1) {
        if (n & 1)
            x *= step;
        step *= step;
    }
    return x;
}

double smx__bound(int schema, int index)
{
    /* 2^(2^-j), j = 1..8 */
    static const long double root[8] = {
        1.41421356237309504880168872420969808L, 1.18920711500272106671749997056047592L,
        1.09050773266525765920701065576070798L, 1.04427378242741384032196647873992901L,
        1.02189714865411667823448013478329944L, 1.01088928605170046002040979056186052L,
        1.00542990111280282135138395593479981L, 1.00271127505020248543074558845036204L,
    };
    if (schema <= 0) {
        long exponent = (long)index * (1L << -schema);
        return exponent < -1100 ? 0 : exponent > 1100 ? scale(1, 1100) : scale(1, (int)exponent);
    }
    int whole = index >> schema; /* rounds down, also below zero */
    unsigned part = (unsigned)index & ((1u << schema) - 1);
    long double x = 1;
    for (int j = 0; j < schema; j++)
        if (part & (1u << (schema - 1 - j)))
            x *= root[j];
    return scale((double)x, whole < -1100 ? -1100 : whole > 1100 ? 1100 : whole);
}

int smx__index_at(int schema, double value)
{
    int low = -1100 * 256;
    int high = 1100 * 256;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (smx__bound(schema, middle) >= value)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

uint64_t smx__threshold(double bound, unsigned digits)
{
    double power = (double)smx__power_of_ten(digits);
    double product = bound * power;
    if (!(product > 0))
        return 0;
    if (product >= 18446744073709551615.0)
        return UINT64_MAX - 1;
    uint64_t ticks = (uint64_t)product;
    if (ticks >= UINT64_C(1) << DBL_MANT_DIG)
        return ticks;
    /* The product was rounded once: it is off by one tick at the most. */
    while (ticks && (double)ticks / power > bound)
        ticks--;
    while ((double)(ticks + 1) / power <= bound)
        ticks++;
    return ticks;
}

/* The bits of an integer's double. */
static uint64_t bits_of(uint64_t ticks)
{
    double real = (double)ticks;
    uint64_t bits;
    memcpy(&bits, &real, sizeof bits);
    return bits;
}

/* The smallest integer whose key is at least `key`. */
static uint64_t key_start(const struct smx_hist *hist, uint64_t key)
{
    unsigned key_bits = 52 - hist->shift;
    unsigned exponent = (unsigned)(key >> key_bits);
    uint64_t mantissa = (UINT64_C(1) << key_bits) | (key & ((UINT64_C(1) << key_bits) - 1));
    if (exponent >= key_bits)
        return mantissa << (exponent - key_bits);
    unsigned drop = key_bits - exponent;
    return (mantissa + (UINT64_C(1) << drop) - 1) >> drop;
}

static uint32_t bucket_of(const uint64_t threshold[], uint32_t n, uint64_t ticks)
{
    uint32_t low = 0;
    uint32_t high = n - 1;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (threshold[middle] >= ticks)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

void smx__hist_plan(struct smx_hist *hist, uint64_t highest, unsigned bits)
{
    uint64_t last = highest < SMX__INDEX_END ? highest : SMX__INDEX_END - 1;
    hist->shift = 52 - bits;
    hist->key_base = bits_of(1) >> hist->shift;
    hist->key_count = last ? (bits_of(last) >> hist->shift) - hist->key_base + 1 : 0;
    hist->thresholds_at = sizeof *hist + hist->key_count * sizeof(uint64_t);
}

uint64_t smx__hist_size(const struct smx_hist *hist)
{
    return hist->thresholds_at + hist->n_buckets * sizeof(uint64_t);
}

bool smx__hist_serves(const struct smx_hist *hist, const uint64_t threshold[])
{
    for (uint64_t key = 0; key < hist->key_count; key++) {
        uint64_t first = key_start(hist, key);
        uint64_t next = key_start(hist, key + 1);
        if (next > first && bucket_of(threshold, hist->n_buckets, next - 1) >
                                bucket_of(threshold, hist->n_buckets, first) + 1)
            return false;
    }
    return true;
}

void smx__hist_fill(const struct smx_hist *plan, uint64_t entries[], const uint64_t threshold[])
{
    for (uint64_t key = 0; key < plan->key_count; key++) {
        uint32_t bucket = bucket_of(threshold, plan->n_buckets, key_start(plan, key));
        uint64_t end = threshold[bucket];
        /* What no indexed value is above needs no bits of its own. */
        entries[key] = (end < SMX__INDEX_END ? bits_of(end) : UINT64_MAX << 16) | bucket;
    }
}

uint32_t smx__histogram_search(const struct smx_hist *hist, uint64_t ticks)
{
    /* No index has it, and a clock of milliseconds measures little else. */
    return ticks == 0 ? 0 : bucket_of(smx__thresholds(hist), hist->n_buckets, ticks);
}
