/* SPDX-License-Identifier: MIT
 *
 * number.c - a segment's numbers as characters. Pure functions; they rely on LC_NUMERIC being "C",
 * which no program here changes.
 */
#include "common/number.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *number_ticks(char text[NUMBER_SIZE], uint64_t ticks, unsigned digits)
{
    int length = snprintf(text, NUMBER_SIZE, "%0*" PRIu64, (int)digits + 1, ticks);
    if (digits == 0)
        return text;
    char *point = text + length - (int)digits;
    memmove(point + 1, point, digits + 1);
    *point = '.';
    char *end = point + 1 + digits;
    while (end[-1] == '0')
        *--end = '\0';
    if (end - 1 == point)
        *point = '\0';
    return text;
}

double number_ticks_double(uint64_t ticks, unsigned digits)
{
    char text[NUMBER_SIZE];
    return strtod(number_ticks(text, ticks, digits), NULL);
}

const char *number_double(char text[NUMBER_SIZE], double value)
{
    if (isnan(value))
        return strcpy(text, "NaN");
    if (isinf(value))
        return strcpy(text, value > 0 ? "+Inf" : "-Inf");
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(text, NUMBER_SIZE, "%.*g", precision, value);
        if (strtod(text, NULL) == value)
            break;
    }
    return text;
}

const char *number_statistic(char text[NUMBER_SIZE], double value)
{
    if (isnan(value))
        return strcpy(text, "-");
    snprintf(text, NUMBER_SIZE, "%.6g", value);
    return text;
}
