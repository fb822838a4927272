/* SPDX-License-Identifier: MIT
 *
 * 40-number.c - numbers as text: golden spellings, and random values that must read back.
 */
#include "support/tap.h"

#include "agent/encode/number.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static const char *finish(char *text, char *end)
{
    assert_true(end - text <= NUMBER_MAX);
    *end = '\0';
    return text;
}

static void integers_are_decimal_without_a_point(void **state)
{
    (void)state;
    char text[NUMBER_MAX + 1];
    assert_string_equal(finish(text, number_u64(text, 0)), "0");
    assert_string_equal(finish(text, number_u64(text, UINT64_MAX)), "18446744073709551615");
    assert_string_equal(finish(text, number_i64(text, INT64_MIN)), "-9223372036854775808");
    assert_string_equal(finish(text, number_i64(text, -1)), "-1");
}

static void integers_of_every_length_agree_with_printf(void **state)
{
    (void)state;
    char text[NUMBER_MAX + 1], expected[NUMBER_MAX + 1];
    uint64_t power = 1;
    for (int digits = 1; digits <= 20; digits++) {
        for (uint64_t value = power - 1; value <= power + 1; value++) {
            snprintf(expected, sizeof expected, "%" PRIu64, value);
            assert_string_equal(finish(text, number_u64(text, value)), expected);
        }
        power *= 10;
    }
}

static void ticks_are_shifted_exactly(void **state)
{
    (void)state;
    static const struct {
        uint64_t ticks;
        unsigned digits;
        const char *text;
    } cases[] = {
        {0, 9, "0.0"},
        {1, 9, "0.000000001"},
        {1500000000, 9, "1.5"},
        {2000000000, 9, "2.0"},
        {10, 1, "1.0"},
        {105, 2, "1.05"},
        {7, 0, "7"},
        {UINT64_MAX, 9, "18446744073.709551615"},
        {9007199254740993, 3, "9007199254740.993"},
    };
    char text[NUMBER_MAX + 1];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(finish(text, number_decimal(text, cases[i].ticks, cases[i].digits)),
                            cases[i].text);
}

/* What strconv.FormatFloat(v, 'g', -1, 64) gives, plus ".0" where Prometheus adds it. */
static void bounds_are_spelled_as_prometheus_spells_them(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {1, "1.0"},
        {0.5, "0.5"},
        {0.005, "0.005"},
        {2.5, "2.5"},
        {0, "0.0"},
        {-1, "-1.0"},
        {10, "10.0"},
        {100000, "100000.0"},
        {123456, "123456.0"},
        {1e6, "1e+06"},
        {1048576, "1.048576e+06"},
        {4294967296, "4.294967296e+09"},
        {1e21, "1e+21"},
        {0.0001, "0.0001"},
        {0.00001, "1e-05"},
        {9.5367431640625e-07, "9.5367431640625e-07"},
        {0.1 + 0.2, "0.30000000000000004"},
        {2.0 / 3, "0.6666666666666666"},
        {1.189207115002721, "1.189207115002721"},
        {1.7976931348623157e308, "1.7976931348623157e+308"},
        {5e-324, "5e-324"},
        {INFINITY, "+Inf"},
    };
    char text[NUMBER_MAX + 1];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(finish(text, number_bound(text, cases[i].value)), cases[i].text);
}

static void values_have_a_point_and_are_plain_up_to_17_digits(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {3, "3.0"},
        {-0.0, "-0.0"},
        {1048576, "1048576.0"},
        {1795255483.123456, "1795255483.123456"},
        {1e16, "10000000000000000.0"},
        {1e17, "1e+17"},
        {-1e-7, "-1e-07"},
        {123.456, "123.456"},
        {NAN, "NaN"},
        {-NAN, "NaN"},
        {INFINITY, "+Inf"},
        {-INFINITY, "-Inf"},
    };
    char text[NUMBER_MAX + 1];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(finish(text, number_real(text, cases[i].value)), cases[i].text);
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static unsigned significant_digits(const char *text)
{
    unsigned n = 0, zeros = 0;
    for (; *text && *text != 'e'; text++) {
        if (*text < '0' || *text > '9' || (n == 0 && *text == '0'))
            continue;
        zeros = *text == '0' ? zeros + 1 : 0;
        n++;
    }
    return n - zeros;
}

static void assert_shortest(const char *text, double value)
{
    assert_true(strtod(text, NULL) == value);
    assert_true(strpbrk(text, ".e") != NULL);
    unsigned n = significant_digits(text);
    if (n > 1) {
        char shorter[64];
        snprintf(shorter, sizeof shorter, "%.*e", (int)n - 2, value);
        assert_true(strtod(shorter, NULL) != value);
    }
}

static void random_doubles_read_back_and_no_shorter_text_does(void **state)
{
    (void)state;
    uint64_t random = 88172645463325252u;
    char text[NUMBER_MAX + 1];
    for (int i = 0; i < 200000; i++) {
        uint64_t bits = next_random(&random);
        double value;
        memcpy(&value, &bits, sizeof value);
        if (i % 2) /* what is really measured: few digits, moderate size */
            value = (double)(int64_t)(bits % 2000000000) / (i % 4 == 1 ? 1e6 : 1024.0);
        if (!isfinite(value))
            continue;
        assert_shortest(finish(text, number_real(text, value)), value);
        assert_shortest(finish(text, number_bound(text, value)), value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_decimal_without_a_point),
        cmocka_unit_test(integers_of_every_length_agree_with_printf),
        cmocka_unit_test(ticks_are_shifted_exactly),
        cmocka_unit_test(bounds_are_spelled_as_prometheus_spells_them),
        cmocka_unit_test(values_have_a_point_and_are_plain_up_to_17_digits),
        cmocka_unit_test(random_doubles_read_back_and_no_shorter_text_does),
    };
    return RUN_TESTS(tests);
}
