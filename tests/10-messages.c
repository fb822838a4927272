/* SPDX-License-Identifier: MIT
 *
 * 10-messages.c - the tests' own parser of messages, which the fuzzers ask, names every kind of
 * fault. That it takes what the agent writes, the fuzzers show.
 */
#include "support/messages.h"
#include "support/tap.h"

#include <string.h>

/* Fields, short ones: their tags and lengths are a byte each. */
#define NAME  "\x0a\x01x"
#define TYPE  "\x18\x01"
#define VALUE "\x09\0\0\0\0\0\0\0\0"
#define GAUGE "\x22\x0b\x12\x09" VALUE
/* A double below zero, then infinity. */
#define BUCKET(count)   "\x1a\x0b\x08" count "\x11\0\0\0\0\0\0\xf0\xbf"
#define INFINITE(count) "\x1a\x0b\x08" count "\x11\0\0\0\0\0\0\xf0\x7f"

/* Put a family around fields. */
#define CASE(fields, fault)                                                                        \
    {                                                                                              \
        fields, sizeof(fields) - 1, fault                                                          \
    }

struct message {
    const char *fields;
    size_t length;
    const char *fault;
};

/* A Metric, with a Histogram of these fields, in a family. */
static size_t wrap_histogram(char *to, const struct message *m)
{
    char *at = to;
    memcpy(at, NAME TYPE, sizeof NAME TYPE - 1);
    at += sizeof NAME TYPE - 1;
    *at++ = '\x22';
    *at++ = (char)(m->length + 2);
    *at++ = '\x3a';
    *at++ = (char)m->length;
    memcpy(at, m->fields, m->length);
    return (size_t)(at - to) + m->length;
}

static void assert_fault(const char *fields, size_t length, const char *expected)
{
    char body[256];
    size_t at;
    assert_true(length < 128);
    body[0] = (char)length;
    memcpy(body + 1, fields, length);
    const char *fault = messages_fault(body, length + 1, &at);
    if (!expected && fault)
        fail_msg("%s", fault);
    if (expected && (!fault || !strstr(fault, expected)))
        fail_msg("%s, not %s", fault ? fault : "no fault", expected);
}

static void a_familys_faults_are_named(void **state)
{
    static const struct message cases[] = {
        CASE(NAME TYPE GAUGE, NULL),
        CASE(NAME TYPE GAUGE GAUGE, NULL),
        CASE(NAME TYPE, "without a name"),
        CASE(TYPE GAUGE, "without a name"),
        CASE(NAME GAUGE, "without a name"),
        CASE(NAME NAME TYPE GAUGE, "twice"),
        CASE(NAME TYPE GAUGE "\x30\x01", "there is not"),
        CASE(NAME TYPE GAUGE "\x10\x01", "there is not"),
        CASE(NAME TYPE "\x22\x0c\x12\x09" VALUE, "cut off"),
        CASE(NAME TYPE "\x22\x0a\x12\x09" VALUE, "cut off"),
        CASE(NAME TYPE GAUGE "\x2a", "cut off"),
        CASE(NAME TYPE GAUGE "\x2b", "cut off"),
        CASE(NAME TYPE GAUGE "\x2a\x01\xff", "UTF-8"),
        CASE(NAME TYPE "\x22\x05\x0a\x03\x0a\x01l", "without a value"),
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_fault(cases[i].fields, cases[i].length, cases[i].fault);
    size_t at;
    assert_non_null(strstr(messages_fault("\x02\x0a", 2, &at), "family that is cut off"));
}

static void a_histograms_faults_are_named(void **state)
{
    static const struct message cases[] = {
        CASE("\x08\x03" BUCKET("\x01") INFINITE("\x03"), NULL),
        CASE("\x08\x03" INFINITE("\x03") "\x28\x02\x38\x01\x62\x04\x08\x01\x10\x02\x6a\x02\x02\x00",
             NULL),
        CASE("\x08\x03" BUCKET("\x01"), "ascend"),
        CASE("\x08\x03" INFINITE("\x03") BUCKET("\x03"), "ascend"),
        CASE("\x08\x03" BUCKET("\x01") BUCKET("\x01") INFINITE("\x03"), "ascend"),
        CASE("\x08\x03" INFINITE("\x02"), "ascend"),
        CASE("\x08\x03" INFINITE("\x03") "\x28\x02\x38\x01", "add up"),
        CASE("\x08\x03" INFINITE("\x03") "\x28\x02\x38\x01\x62\x04\x08\x01\x10\x01\x6a\x02\x02\x00",
             "add up"),
        CASE("\x08\x03" INFINITE("\x03") "\x28\x02\x38\x01\x62\x04\x08\x01\x10\x02"
                                         "\x62\x04\x08\x01\x10\x00\x6a\x02\x02\x00",
             "ascend"),
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char family[200];
        assert_fault(family, wrap_histogram(family, &cases[i]), cases[i].fault);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_familys_faults_are_named),
        cmocka_unit_test(a_histograms_faults_are_named),
    };
    return RUN_TESTS(tests);
}
