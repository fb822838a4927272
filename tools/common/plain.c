/* SPDX-License-Identifier: MIT
 *
 * plain.c - strings of a segment for people's eyes, made harmless.
 */
#include "common/plain.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

/* The code point at s[0..n), or -1 where it is not UTF-8. *used is the number of its bytes. */
static long decode(const unsigned char *s, size_t n, size_t *used)
{
    static const long least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = s[0] < 0x80 ? 1 : s[0] < 0xc0 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    *used = 1;
    if (length == 1)
        return s[0];
    if (length == 0 || length > n || s[0] > 0xf4)
        return -1;
    long point = s[0] & (0xff >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return -1;
        point = point << 6 | (s[i] & 0x3f);
    }
    if (point < least[length] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
        return -1;
    *used = length;
    return point;
}

/* Controls (C0, DEL, C1), line and paragraph separators, and what reorders the text around it. */
static bool is_hostile(long point)
{
    return point < 0x20 || (point >= 0x7f && point < 0xa0) || point == 0x061c ||
           (point >= 0x200e && point <= 0x200f) || (point >= 0x2028 && point <= 0x202e) ||
           (point >= 0x2066 && point <= 0x2069) || point == 0xfeff;
}

static void escape(FILE *out, long point)
{
    if (point == '\n')
        fputs("\\n", out);
    else if (point == '\t')
        fputs("\\t", out);
    else if (point < 0x100)
        fprintf(out, "\\x%02lx", (unsigned long)point);
    else
        fprintf(out, "\\u{%04lx}", (unsigned long)point);
}

static void write_escaped(FILE *out, const char *bytes, size_t length, const char *also)
{
    const unsigned char *s = (const unsigned char *)bytes;
    for (size_t i = 0, used; i < length; i += used) {
        long point = decode(s + i, length - i, &used);
        if (point < 0)
            fprintf(out, "\\x%02x", s[i]);
        else if (is_hostile(point))
            escape(out, point);
        else if (point < 0x80 && strchr(also, (int)point))
            fprintf(out, "\\%c", (int)point);
        else
            fwrite(s + i, 1, used, out);
    }
}

void plain_write(FILE *out, const char *bytes, size_t length)
{
    write_escaped(out, bytes, length, "");
}

void plain_text(FILE *out, const char *text)
{
    plain_write(out, text, strlen(text));
}

void plain_quoted(FILE *out, struct smx_str string)
{
    putc('"', out);
    write_escaped(out, string.at, string.length, "\"\\");
    putc('"', out);
}

void plain_error(const char *detail, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s: ", program_invocation_short_name);
    vfprintf(stderr, format, args);
    va_end(args);
    plain_text(stderr, detail);
    putc('\n', stderr);
}
