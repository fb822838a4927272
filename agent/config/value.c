/* SPDX-License-Identifier: MIT
 *
 * value.c - texts to booleans, numbers, sizes and durations. Pure.
 */
#include "agent/config/value.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int value_refuse(char why[VALUE_WHY_SIZE], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, VALUE_WHY_SIZE, format, arguments);
    va_end(arguments);
    return -EINVAL;
}

int value_bool(const char *text, bool *out, char why[VALUE_WHY_SIZE])
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcasecmp(text, words[i]) != 0)
            continue;
        *out = i % 2 == 1;
        return 0;
    }
    return value_refuse(why, "true or false");
}

/* Digits, and where they end; strtoull(3) alone takes signs and spaces. */
static bool parse_digits(const char *text, uint64_t *out, const char **end)
{
    char *after;
    if (text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    *out = strtoull(text, &after, 10);
    *end = after;
    return errno == 0;
}

int value_number(const char *text, uint64_t least, uint64_t most, uint64_t *out,
                 char why[VALUE_WHY_SIZE])
{
    const char *end;
    uint64_t n;
    if (!parse_digits(text, &n, &end) || *end || (text[0] == '0' && text[1]))
        return value_refuse(why, "a whole number");
    if (n < least || n > most)
        return value_refuse(why, "a whole number from %" PRIu64 " to %" PRIu64, least, most);
    *out = n;
    return 0;
}

int value_real(const char *text, double *out, char why[VALUE_WHY_SIZE])
{
    char *end;
    double number = strtod(text, &end);
    /* strtod(3) alone takes spaces, hexadecimal numbers and words. */
    if (end == text || *end || strspn(text, "+-.0123456789eE") != strlen(text) || !isfinite(number))
        return value_refuse(why, "a number");
    *out = number;
    return 0;
}

int value_bytes(const char *text, uint64_t *out, char why[VALUE_WHY_SIZE])
{
    static const char units[] = "KMG";
    const char *end;
    uint64_t n;
    if (parse_digits(text, &n, &end) && n > 0) {
        const char *unit = *end ? strchr(units, *end) : NULL;
        unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
        bool is_all = unit ? end[1] == '\0' : *end == '\0';
        if (is_all && n <= (uint64_t)INT64_MAX >> shift) {
            *out = n << shift;
            return 0;
        }
    }
    return value_refuse(why, "a number of bytes, as 256M");
}

static bool parse_duration(const char *text, uint64_t *ns)
{
    static const struct {
        const char *name;
        uint64_t ns;
    } units[] = {{"ms", 1000000},
                 {"s", 1000000000},
                 {"m", UINT64_C(60) * 1000000000},
                 {"h", UINT64_C(3600) * 1000000000}};
    const char *unit;
    uint64_t n;
    if (!parse_digits(text, &n, &unit))
        return false;
    *ns = 0;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(unit, units[i].name) != 0)
            continue;
        *ns = n <= UINT64_MAX / units[i].ns ? n * units[i].ns : UINT64_MAX;
        return true;
    }
    return n == 0 && !*unit;
}

int value_duration(const char *text, const char *most, uint64_t *ns, char why[VALUE_WHY_SIZE])
{
    uint64_t parsed, limit = UINT64_MAX;
    if (!parse_duration(text, &parsed) || (parse_duration(most, &limit) && parsed > limit))
        return value_refuse(why, "a duration up to %s, as 100ms or 2s, or 0", most);
    *ns = parsed;
    return 0;
}
