/* SPDX-License-Identifier: MIT
 *
 * names.c - pure predicates on names and texts. They do not depend on the locale.
 */
#include "libshm/names.h"

#include <string.h>

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool smx__is_metric_name(const char *at, size_t length)
{
    return length > 0 && smx__is_utf8(at, length);
}

bool smx__is_label_name(const char *at, size_t length)
{
    return smx__is_metric_name(at, length) && !(length >= 2 && at[0] == '_' && at[1] == '_');
}

bool smx__is_unit(const char *at, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (!is_letter(at[i]) && !(i && is_digit(at[i])))
            return false;
    return length > 0;
}

bool smx__is_app_name(const char *at, size_t length)
{
    if (length == 0 || length > 63 || at[0] == '.')
        return false;
    for (size_t i = 0; i < length; i++)
        if (!is_letter(at[i]) && !is_digit(at[i]) && at[i] != '.' && at[i] != '-')
            return false;
    return true;
}

/* The bytes of the well-formed sequence at the start, 0 if there is none. */
static size_t utf8_sequence(const unsigned char *at, size_t left)
{
    unsigned char c = at[0];
    size_t n = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
    if (n == 0 || n > left || c == 0)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (c == 0xe0 && at[1] < 0xa0) || (c == 0xf0 && at[1] < 0x90);
    bool surrogate = c == 0xed && at[1] > 0x9f;
    bool too_high = c == 0xf4 && at[1] > 0x8f;
    return overlong || surrogate || too_high ? 0 : n;
}

bool smx__is_utf8(const char *at, size_t length)
{
    const unsigned char *p = (const unsigned char *)at;
    while (length) {
        size_t n = utf8_sequence(p, length);
        if (!n)
            return false;
        p += n;
        length -= n;
    }
    return true;
}

void smx__make_line(char *text)
{
    unsigned char *p = (unsigned char *)text;
    size_t left = strlen(text);
    while (left) {
        size_t n = utf8_sequence(p, left);
        if (n == 0 || *p < ' ' || *p == 0x7f) {
            *p = '?';
            n = 1;
        }
        p += n;
        left -= n;
    }
}

bool smx__is_reserved_label(const char *name)
{
    static const char *const reserved[] = {"app", "app_instance", "otel_metric_overflow",
                                           "quantile"};
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++)
        if (strcmp(name, reserved[i]) == 0)
            return true;
    return false;
}

bool smx__has_label(const uint8_t *labels, size_t length, const char *name)
{
    size_t wanted = strlen(name);
    bool is_name = true;
    for (size_t at = 0; length - at >= 2; is_name = !is_name) {
        uint16_t size;
        memcpy(&size, labels + at, sizeof size);
        at += sizeof size;
        if (size > length - at)
            return false;
        if (is_name && size == wanted && memcmp(labels + at, name, size) == 0)
            return true;
        at += size;
    }
    return false;
}
