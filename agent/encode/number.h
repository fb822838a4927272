/* SPDX-License-Identifier: MIT
 *
 * number.h - numbers as the formats write them. Pure functions that write at `to`,
 * unterminated, and return the end. They may store behind it, but never more than NUMBER_MAX bytes
 * in all.
 */
#ifndef SMX_AGENT_NUMBER_H
#define SMX_AGENT_NUMBER_H

#include <stdint.h>

enum { NUMBER_MAX = 32 };

/* An integer, without a point. */
char *number_u64(char *to, uint64_t value);
char *number_i64(char *to, int64_t value);

/* ticks / 10^digits, digits 0..9, exactly: the value never passes through a double. With digits
 * there is always a point: "1.5", "2.0", "0.000000001". */
char *number_decimal(char *to, uint64_t ticks, unsigned digits);

/* The double nearest to ticks / 10^digits: what the text of number_decimal() reads as. */
double number_scaled(uint64_t ticks, unsigned digits);

/* The shortest text that reads back as the same double, always with a point or an exponent:
 * "3.0", "0.1", "1e+21"; "NaN", "+Inf", "-Inf". */
char *number_real(char *to, double value);

/* The same in the one spelling that bounds have everywhere (Go's shortest %g, then ".0" if there is
 * neither point nor exponent): Prometheus 2 takes another spelling for another series. */
char *number_bound(char *to, double value);

#endif
