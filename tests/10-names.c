/* SPDX-License-Identifier: MIT
 *
 * 10-names.c - which names and texts are legal: tables of each, and every two-byte sequence of
 * UTF-8 against a decoder written from the definition.
 */
#include "libshm/names.h"
#include "support/tap.h"

#include <string.h>

struct sample {
    const char *text;
    size_t length; /* 0: up to the NUL */
    bool legal;
};

static void check(bool (*is)(const char *, size_t), const struct sample *samples, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t length = samples[i].length ? samples[i].length : strlen(samples[i].text);
        if (is(samples[i].text, length) != samples[i].legal)
            fail_msg("sample %zu \"%s\" should be %s", i, samples[i].text,
                     samples[i].legal ? "legal" : "refused");
    }
}

#define CHECK_ALL(is, samples) check(is, samples, sizeof samples / sizeof samples[0])

static void metric_names(void **state)
{
    (void)state;
    static const struct sample samples[] = {
        {"a", 0, true},        {":", 0, true},     {"9a", 0, true},     {"", 0, false},
        {"a:b:c_d", 0, true},  {"__x", 0, true},   {"a b", 0, true},    {"http.server", 0, true},
        {"\xc3\xa4", 0, true}, {"a\0b", 3, false}, {"\0", 1, false},    {"a\n", 0, true},
        {"a\"b", 0, true},     {"\xff", 0, false}, {"a\xc3", 0, false}, {"\xc0\xaf", 0, false},
    };
    CHECK_ALL(smx__is_metric_name, samples);
}

static void label_names(void **state)
{
    (void)state;
    static const struct sample samples[] = {
        {"a", 0, true},    {"_", 0, true},          {"_a", 0, true},    {"__", 0, false},
        {"__a", 0, false}, {"a__", 0, true},        {"a:b", 0, true},   {"9", 0, true},
        {"", 0, false},    {"a\0", 2, false},       {"\xff", 0, false}, {"http.method", 0, true},
        {"_", 1, true},    {"\xc3\xa4__", 0, true},
    };
    CHECK_ALL(smx__is_label_name, samples);
}

static void units(void **state)
{
    (void)state;
    static const struct sample samples[] = {
        {"a", 0, true},    {"_", 0, true},          {"a9", 0, true}, {"9a", 0, false},
        {"", 0, false},    {"m/s", 0, false},       {":", 0, false}, {"a:b", 0, false},
        {"a.b", 0, false}, {"\xc2\xb5s", 0, false}, {"@", 0, false}, {"[", 0, false},
        {"`", 0, false},   {"{", 0, false},         {"/", 0, false}, {"ABCxyz_0189", 0, true},
    };
    CHECK_ALL(smx__is_unit, samples);
}

static void any_bytes_become_a_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *line;
    } samples[] = {
        {"", ""},
        {"plain", "plain"},
        {"\xc3\xa4\xf0\x9f\x98\x80", "\xc3\xa4\xf0\x9f\x98\x80"},
        {"a\nb\x1b[2J\x7f", "a?b?[2J?"},
        {"cut\xf0\x9f\x98", "cut???"},
        {"\xc0\xaf\xff", "???"},
    };
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        char text[16];
        strcpy(text, samples[i].text);
        smx__make_line(text);
        assert_string_equal(text, samples[i].line);
    }
}

static void app_names(void **state)
{
    (void)state;
    static const char longest[] =
        "0123456789012345678901234567890123456789012345678901234567890123";
    static const struct sample samples[] = {
        {"a", 0, true},         {"9", 0, true},      {"-", 0, true},       {"_", 0, true},
        {".", 0, false},        {"..", 0, false},    {"a.", 0, true},      {".a", 0, false},
        {"a/b", 0, false},      {"a@b", 0, false},   {"", 0, false},       {"a b", 0, false},
        {"a\0b", 3, false},     {longest, 63, true}, {longest, 64, false}, {"a~", 0, false},
        {"\xc3\xa4", 0, false}, {"a..b", 0, true},
    };
    CHECK_ALL(smx__is_app_name, samples);
}

static void utf8_samples(void **state)
{
    (void)state;
    static const struct sample samples[] = {
        {"", 0, true},
        {"plain", 0, true},
        {"\x7f\t\n\x01", 0, true},
        {"a\0b", 3, false},
        {"\0", 1, false},
        {"\x80", 0, false}, /* a continuation alone */
        {"\xbf", 0, false},
        {"\xc0\x80", 0, false}, /* overlong NUL */
        {"\xc1\xbf", 0, false}, /* overlong U+7F */
        {"\xc2\x80", 0, true},  /* U+80 */
        {"\xdf\xbf", 0, true},  /* U+7FF */
        {"\xc3", 0, false},     /* truncated */
        {"\xc3(", 0, false},
        {"\xe0\x80\x80", 0, false}, /* overlong */
        {"\xe0\x9f\xbf", 0, false}, /* overlong U+7FF */
        {"\xe0\xa0\x80", 0, true},  /* U+800 */
        {"\xe2\x82\xac", 0, true},  /* U+20AC */
        {"\xe2\x82", 0, false},
        {"\xe2", 0, false},
        {"\xe2\x28\xa1", 0, false},
        {"\xe2\x82\x28", 0, false},
        {"\xed\x9f\xbf", 0, true},      /* U+D7FF */
        {"\xed\xa0\x80", 0, false},     /* U+D800, a surrogate */
        {"\xed\xbf\xbf", 0, false},     /* U+DFFF */
        {"\xee\x80\x80", 0, true},      /* U+E000 */
        {"\xef\xbf\xbf", 0, true},      /* U+FFFF, a noncharacter, well-formed */
        {"\xf0\x80\x80\x80", 0, false}, /* overlong */
        {"\xf0\x8f\xbf\xbf", 0, false}, /* overlong U+FFFF */
        {"\xf0\x90\x80\x80", 0, true},  /* U+10000 */
        {"\xf0\x9f\x98\x80", 0, true},
        {"\xf0\x9f\x98", 0, false},
        {"\xf0\x9f", 0, false},
        {"\xf0", 0, false},
        {"\xf4\x8f\xbf\xbf", 0, true},  /* U+10FFFF */
        {"\xf4\x90\x80\x80", 0, false}, /* U+110000 */
        {"\xf5\x80\x80\x80", 0, false},
        {"\xf8\x88\x80\x80\x80", 0, false},
        {"\xfe", 0, false},
        {"\xff", 0, false},
        {"ok\xc3\xa4ok\xff", 0, false}, /* wrong at the very end */
        {"\xc3\xa4\xc3\xa4", 3, false}, /* cut by the length, not by a NUL */
    };
    CHECK_ALL(smx__is_utf8, samples);
}

/* The code point of a sequence by bit counting, or -1: shortest form, no surrogate, no NUL. */
static long decode(const unsigned char *at, size_t n)
{
    static const unsigned char lead[5] = {0, 0x00, 0xc0, 0xe0, 0xf0};
    static const unsigned char mask[5] = {0, 0x80, 0xe0, 0xf0, 0xf8};
    static const long least[5] = {0, 1, 0x80, 0x800, 0x10000};
    if ((at[0] & mask[n]) != lead[n])
        return -1;
    long point = at[0] & (unsigned char)~mask[n];
    for (size_t i = 1; i < n; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return -1;
        point = point << 6 | (at[i] & 0x3f);
    }
    return point < least[n] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff) ? -1
                                                                                        : point;
}

static void utf8_sequences(void **state)
{
    (void)state;
    static const unsigned char tails[] = {0x00, 0x28, 0x7f, 0x80, 0x8f, 0x90,
                                          0x9f, 0xa0, 0xbf, 0xc0, 0xff};
    for (unsigned n = 1; n <= 4; n++)
        for (unsigned first = 0; first < 256; first++)
            for (unsigned second = 0; second < 256; second++)
                for (size_t t = 0; t < sizeof tails * sizeof tails; t++) {
                    unsigned char s[4] = {(unsigned char)first, (unsigned char)second,
                                          tails[t % sizeof tails], tails[t / sizeof tails]};
                    bool whole = decode(s, n) >= 0;
                    /* Shorter sequences in a row are legal too: only ask where the first byte
                     * claims all n. */
                    bool claims = n == 1 ? first < 0x80 : decode(s, 1) < 0;
                    if (claims && smx__is_utf8((const char *)s, n) != whole &&
                        !(n == 4 && decode(s, 2) >= 0 && decode(s + 2, 2) >= 0) &&
                        !(decode(s, 2) >= 0 && n >= 3 && decode(s + 2, 1) >= 0) &&
                        !(n == 4 && decode(s, 3) >= 0 && decode(s + 3, 1) >= 0))
                        fail_msg("%02x %02x %02x %02x of length %u", s[0], s[1], s[2], s[3], n);
                }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"metric names are any UTF-8, as those of Prometheus 3", metric_names, NULL, NULL, NULL},
        {"label names have no two underscores in front", label_names, NULL, NULL, NULL},
        {"units are of the old alphabet", units, NULL, NULL, NULL},
        {"any bytes can be made a line of UTF-8", any_bytes_become_a_line, NULL, NULL, NULL},
        {"application names cannot leave their directory", app_names, NULL, NULL, NULL},
        {"UTF-8 is accepted in its shortest form only", utf8_samples, NULL, NULL, NULL},
        {"every beginning of a sequence is judged as its code point says", utf8_sequences, NULL,
         NULL, NULL},
    };
    return RUN_TESTS(tests);
}
