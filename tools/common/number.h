/* SPDX-License-Identifier: MIT
 *
 * number.h - a segment's numbers as characters, without a loss on the way.
 */
#ifndef SMX_TOOLS_NUMBER_H
#define SMX_TOOLS_NUMBER_H

#include <stdint.h>

enum { NUMBER_SIZE = 40 };

/* Write ticks / 10^digits, every digit of it: the decimal point is moved, nothing is divided.
 * digits is 0..9. Trailing zeros behind the point are left out. Returns: text. */
const char *number_ticks(char text[NUMBER_SIZE], uint64_t ticks, unsigned digits);

/* The double nearest to ticks / 10^digits. */
double number_ticks_double(uint64_t ticks, unsigned digits);

/* Write the shortest decimal that reads back as the same double; NaN, +Inf, -Inf. Returns: text. */
const char *number_double(char text[NUMBER_SIZE], double value);

/* Write a statistic (a mean, a quantile) with six significant digits; "-" for NaN. Returns: text.
 */
const char *number_statistic(char text[NUMBER_SIZE], double value);

#endif
