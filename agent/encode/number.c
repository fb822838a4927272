/* SPDX-License-Identifier: MIT
 *
 * number.c - numbers to text. Integers go eight digits at a time; a double is first tried as an
 * integer of few decimals, which is what nearly all measured values are, and else printed with 15,
 * 16 or 17 digits, the first that reads back.
 */
#include "agent/encode/number.h"

#include <endian.h>
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Exponents from which on the notation changes, as in C's %g with that precision. */
enum { PLAIN_FROM = -4, PLAIN_BELOW_BOUND = 6, PLAIN_BELOW_REAL = 17 };
enum { DIGITS_MAX = 17 };

#define EIGHT UINT64_C(100000000) /* 10^8: what eight digits hold */

static const uint64_t powers[20] = {
    UINT64_C(1),
    UINT64_C(10),
    UINT64_C(100),
    UINT64_C(1000),
    UINT64_C(10000),
    UINT64_C(100000),
    UINT64_C(1000000),
    UINT64_C(10000000),
    UINT64_C(100000000),
    UINT64_C(1000000000),
    UINT64_C(10000000000),
    UINT64_C(100000000000),
    UINT64_C(1000000000000),
    UINT64_C(10000000000000),
    UINT64_C(100000000000000),
    UINT64_C(1000000000000000),
    UINT64_C(10000000000000000),
    UINT64_C(100000000000000000),
    UINT64_C(1000000000000000000),
    UINT64_C(10000000000000000000),
};

/* 0.d1 d2 ... dn * 10^point */
struct decimal {
    char digits[DIGITS_MAX + 3];
    int n;
    int point;
};

/* The eight decimal digits of a value below 10^8, one a byte, the first one in the lowest byte:
 * three halvings of all lanes at once. The factors are exact for the range of their lanes. */
static inline uint64_t eight_digits(uint64_t value)
{
    uint64_t lanes = value / 10000 | value % 10000 << 32;
    uint64_t high = (lanes * 10486 >> 20) & UINT64_C(0x0000007f0000007f);
    lanes = high | (lanes - high * 100) << 16;
    high = (lanes * 103 >> 10) & UINT64_C(0x000f000f000f000f);
    return high | (lanes - high * 10) << 8;
}

/* Store the digits of a value below 10^8 without the first `skip`; what is behind them is
 * overwritten too. */
static inline void put_eight(char *to, uint64_t value, unsigned skip)
{
    uint64_t text = eight_digits(value) + UINT64_C(0x3030303030303030);
    text = htole64(text >> (skip * 8));
    memcpy(to, &text, sizeof text);
}

/* 1233 / 4096 is log10(2) from above; one comparison corrects the guess. */
static inline unsigned count_digits(uint64_t value)
{
    unsigned guess = (64u - (unsigned)__builtin_clzll(value | 1)) * 1233 >> 12;
    return guess + (guess < 20 && (value | 1) >= powers[guess]);
}

/* The length comes first and by itself: it is where the next line begins, and the processor works
 * on that one while the digits of this one are still under way. */
char *number_u64(char *to, uint64_t value)
{
    unsigned n = count_digits(value);
    if (value < EIGHT) {
        put_eight(to, value, 8 - n);
    } else if (value < EIGHT * EIGHT) {
        put_eight(to, value / EIGHT, 16 - n);
        put_eight(to + n - 8, value % EIGHT, 0);
    } else {
        put_eight(to, value / EIGHT / EIGHT, 24 - n);
        put_eight(to + n - 16, value / EIGHT % EIGHT, 0);
        put_eight(to + n - 8, value % EIGHT, 0);
    }
    return to + n;
}

char *number_i64(char *to, int64_t value)
{
    if (value >= 0)
        return number_u64(to, (uint64_t)value);
    *to++ = '-';
    return number_u64(to, 0 - (uint64_t)value);
}

char *number_decimal(char *to, uint64_t ticks, unsigned digits)
{
    if (digits == 0)
        return number_u64(to, ticks);
    to = number_u64(to, ticks / powers[digits]);
    uint64_t fraction = ticks % powers[digits] * powers[9 - digits];
    *to++ = '.';
    *to = (char)('0' + fraction / EIGHT);
    put_eight(to + 1, fraction % EIGHT, 0);
    char *end = to + 9;
    while (end > to + 1 && end[-1] == '0')
        end--;
    return end;
}

double number_scaled(uint64_t ticks, unsigned digits)
{
    /* Both exact below 2^53, and a division rounds once. */
    if (ticks <= UINT64_C(1) << 53)
        return (double)ticks / (double)powers[digits];
    char text[NUMBER_MAX + 1];
    *number_decimal(text, ticks, digits) = '\0';
    return strtod(text, NULL);
}

static char *put_special(char *to, double value)
{
    const char *text = isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
    size_t n = strlen(text);
    memcpy(to, text, n);
    return to + n;
}

static void strip_zeros(struct decimal *d)
{
    while (d->n > 1 && d->digits[d->n - 1] == '0')
        d->n--;
}

/* Try the value as an integer / 10^k. Both are exact doubles here and the division is rounded
 * correctly, so equality proves that the text reads back; and of at most 15 digits no two texts
 * mean the same double, so without its trailing zeros it is the shortest. */
static bool decimal_simple(struct decimal *d, double value)
{
    for (unsigned k = 0; k <= 9; k += 3) {
        double scale = (double)powers[k];
        double scaled = nearbyint(value * scale);
        if (scaled >= 1e15)
            return false;
        if (scaled / scale == value && scaled > 0) {
            char *end = number_u64(d->digits, (uint64_t)scaled);
            d->n = (int)(end - d->digits);
            d->point = d->n - (int)k;
            strip_zeros(d);
            return true;
        }
    }
    return false;
}

/* For value > 0, finite. Subnormals have fewer than 15 digits of precision: there every length has
 * to be tried. The character between the digits depends on the locale and is skipped unread. */
static void decimal_shortest(struct decimal *d, double value)
{
    if (decimal_simple(d, value))
        return;
    char text[DIGITS_MAX + 16];
    int n = value < DBL_MIN ? 1 : DBL_DIG;
    do
        snprintf(text, sizeof text, "%.*e", n - 1, value);
    while (strtod(text, NULL) != value && n++ < DIGITS_MAX);
    d->digits[0] = text[0];
    if (n > 1)
        memcpy(d->digits + 1, text + 2, (size_t)n - 1);
    d->n = n;
    d->point = 1 + (int)strtol(strchr(text, 'e') + 1, NULL, 10);
    strip_zeros(d);
}

/* d.ddde+XX, the exponent of two digits at least. */
static char *put_exponent(char *to, const struct decimal *d)
{
    *to++ = d->digits[0];
    if (d->n > 1) {
        *to++ = '.';
        memcpy(to, d->digits + 1, (size_t)d->n - 1);
        to += d->n - 1;
    }
    int exponent = d->point - 1;
    *to++ = 'e';
    *to++ = exponent < 0 ? '-' : '+';
    unsigned size = (unsigned)abs(exponent);
    if (size < 10)
        *to++ = '0';
    return number_u64(to, size);
}

static char *put_zeros(char *to, int n)
{
    for (; n > 0; n--)
        *to++ = '0';
    return to;
}

static char *put_plain(char *to, const struct decimal *d)
{
    int whole = d->point < d->n ? d->point : d->n;
    if (whole <= 0) {
        *to++ = '0';
        whole = 0;
    }
    memcpy(to, d->digits, (size_t)whole);
    to = put_zeros(to + whole, d->point - d->n);
    *to++ = '.';
    if (whole == d->n) {
        *to++ = '0';
        return to;
    }
    to = put_zeros(to, -d->point);
    memcpy(to, d->digits + whole, (size_t)(d->n - whole));
    return to + (d->n - whole);
}

static char *put_double(char *to, double value, int plain_below)
{
    if (!isfinite(value))
        return put_special(to, value);
    if (signbit(value)) {
        *to++ = '-';
        value = -value;
    }
    struct decimal d = {.digits = "0", .n = 1, .point = 1};
    if (value > 0)
        decimal_shortest(&d, value);
    int exponent = d.point - 1;
    if (exponent < PLAIN_FROM || exponent >= plain_below)
        return put_exponent(to, &d);
    return put_plain(to, &d);
}

char *number_real(char *to, double value)
{
    return put_double(to, value, PLAIN_BELOW_REAL);
}

char *number_bound(char *to, double value)
{
    return put_double(to, value, PLAIN_BELOW_BOUND);
}
