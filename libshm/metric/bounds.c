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

uint32_t smx__key(uint64_t ticks, unsigned key_bits)
{
    double real = (double)ticks;
    uint64_t bits;
    memcpy(&bits, &real, sizeof bits);
    return (uint32_t)(bits >> (52 - key_bits)) - (1023u << key_bits);
}

/* The smallest integer whose key is at least `key`. */
static uint64_t key_start(uint64_t key, unsigned key_bits)
{
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

/* The buckets that one key spans, less one, at most. */
static uint32_t steps_of(const uint64_t threshold[], uint32_t n, uint32_t key_count, unsigned bits)
{
    uint32_t steps = 0;
    for (uint32_t key = 0; key < key_count; key++) {
        uint64_t first = key_start(key, bits);
        uint64_t next = key_start(key + 1, bits);
        if (next <= first)
            continue;
        uint32_t span = bucket_of(threshold, n, next - 1) - bucket_of(threshold, n, first);
        steps = span > steps ? span : steps;
    }
    return steps;
}

uint64_t smx__hist_size(uint32_t n_buckets, uint32_t key_count)
{
    uint64_t size =
        sizeof(struct smx_hist) + n_buckets * sizeof(uint64_t) + key_count * sizeof(uint16_t);
    return (size + 7) & ~UINT64_C(7);
}

void smx__hist_plan(struct smx_hist *hist, const uint64_t threshold[], unsigned min_bits,
                    unsigned max_bits)
{
    uint32_t n = hist->n_buckets;
    uint64_t highest = n < 2 ? 0 : threshold[n - 2];
    for (unsigned bits = min_bits;; bits++) {
        hist->shift = 52 - bits;
        hist->key_base = 1023u << bits;
        hist->key_count = highest == 0               ? 0
                          : highest < SMX__KEY_LIMIT ? smx__key(highest, bits) + 1
                                                     : smx__key(SMX__KEY_LIMIT - 1, bits) + 1;
        hist->steps = steps_of(threshold, n, hist->key_count, bits);
        if (hist->steps <= 1 || bits >= max_bits)
            break;
    }
    hist->start_at = (uint32_t)(sizeof *hist + n * sizeof(uint64_t));
}

void smx__hist_fill(struct smx_hist *hist)
{
    uint64_t *threshold = (uint64_t *)(void *)(hist + 1);
    uint16_t *start = (uint16_t *)(void *)((char *)hist + hist->start_at);
    for (uint32_t key = 0; key < hist->key_count; key++)
        start[key] =
            (uint16_t)bucket_of(threshold, hist->n_buckets, key_start(key, 52 - hist->shift));
}

uint32_t smx__histogram_search(const struct smx_hist *hist, uint64_t ticks)
{
    return bucket_of((const uint64_t *)(const void *)(hist + 1), hist->n_buckets, ticks);
}
