/* SPDX-License-Identifier: MIT
 *
 * escape.c - the schemes, character by character. Runs when names moved.
 */
#include "agent/gather/escape.h"

#include <stdint.h>

static bool is_legal(unsigned char c, bool first, enum escape_kind kind)
{
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_')
        return true;
    return c == ':' ? kind == ESCAPE_METRIC : !first && c >= '0' && c <= '9';
}

bool escape_is_legacy(struct smx_str name, enum escape_kind kind)
{
    for (size_t i = 0; i < name.length; i++)
        if (!is_legal((unsigned char)name.at[i], i == 0, kind))
            return false;
    return name.length > 0;
}

/* The code point at `at`, of `left` bytes; *size is its bytes. */
static uint32_t decode(const char *at, size_t left, size_t *size)
{
    unsigned char c = (unsigned char)at[0];
    size_t n = c < 0xc0 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    uint32_t point = n == 1 ? c : c & (0x7fu >> n);
    for (size_t i = 1; i < n && i < left; i++)
        point = point << 6 | ((unsigned char)at[i] & 0x3f);
    *size = n < left ? n : left;
    return point;
}

/* _2e_ */
static void put_hex(struct buffer *out, uint32_t point)
{
    static const char digits[] = "0123456789abcdef";
    char hex[10];
    size_t at = sizeof hex;
    hex[--at] = '_';
    do
        hex[--at] = digits[point & 0xf];
    while (point >>= 4);
    hex[--at] = '_';
    buffer_put(out, hex + at, sizeof hex - at);
}

/* What stands for a character that is not legal, or is an underscore. */
static void put_other(struct buffer *out, uint32_t point, enum escaping escaping)
{
    if (escaping == ESCAPING_UNDERSCORES) {
        buffer_puts(out, "_");
    } else if (escaping == ESCAPING_DOTS) {
        buffer_puts(out, point == '.' ? "_dot_" : "__");
    } else if (point == '_') {
        buffer_puts(out, "__");
    } else {
        put_hex(out, point);
    }
}

void escape_put(struct buffer *out, struct smx_str name, enum escape_kind kind,
                enum escaping escaping)
{
    if (escaping == ESCAPING_UTF8 || escape_is_legacy(name, kind)) {
        buffer_put(out, name.at, name.length);
        return;
    }
    if (escaping == ESCAPING_VALUES)
        buffer_puts(out, "U__");
    for (size_t i = 0, n; i < name.length; i += n) {
        uint32_t point = decode(name.at + i, name.length - i, &n);
        if (n == 1 && point != '_' && is_legal((unsigned char)point, i == 0, kind))
            buffer_put(out, name.at + i, 1);
        else
            put_other(out, point, escaping);
    }
}
