/* SPDX-License-Identifier: MIT
 *
 * 10-value.c - a series is found by the bytes of its label values, wherever they lie: before an
 * unmapped page, among other bytes, or where nothing is read behind a string; and by all of them.
 */
#include "support/scratch.h"
#include "support/tap.h"

#include "libshm/layout.h"
#include "libshm/metric/value.h"

#include <smx/smx.h>

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { LONGEST = 40 };

static char directory[SCRATCH_SIZE];
static smx_family family;
static char *page_end; /* what follows cannot be read */

/* A value of this length; different for each length and for each `at` below it. */
static void fill(char *to, size_t length, size_t at)
{
    for (size_t i = 0; i < length; i++)
        to[i] = (char)('a' + i % 20);
    if (at < length)
        to[at] = 'z';
    to[length] = '\0';
}

static void a_value_is_the_same_wherever_it_lies(void **state)
{
    (void)state;
    for (size_t length = 0; length <= LONGEST; length++) {
        char around[LONGEST + 64];
        memset(around, 'x', sizeof around);
        fill(around, length, length);
        const uint64_t *cell = smx_counter_with(family, SMX_VALUES(around, "y")).base;
        assert_non_null(cell);
        for (size_t shift = 0; shift < 16; shift++) {
            memset(around, (int)shift, sizeof around);
            fill(around + shift, length, length);
            assert_ptr_equal(smx_counter_with(family, SMX_VALUES(around + shift, "y")).base, cell);
            char *last = page_end - length - 1 - shift;
            fill(last, length, length);
            assert_ptr_equal(smx_counter_with(family, SMX_VALUES(last, "y")).base, cell);
        }
    }
}

static void a_value_that_differs_in_one_byte_is_another(void **state)
{
    (void)state;
    for (size_t length = 1; length <= LONGEST; length++) {
        char text[LONGEST + 1];
        fill(text, length, length);
        const uint64_t *plain = smx_counter_with(family, SMX_VALUES(text, "")).base;
        for (size_t at = 0; at < length; at++) {
            fill(text, length, at);
            const uint64_t *other = smx_counter_with(family, SMX_VALUES(text, "")).base;
            assert_non_null(other);
            assert_ptr_not_equal(other, plain);
            assert_ptr_equal(smx_counter_with(family, SMX_VALUES(text, "")).base, other);
        }
    }
}

static void words_and_bytes_give_one_hash(void **state)
{
    (void)state;
    for (size_t length = 0; length <= LONGEST; length++) {
        char text[LONGEST + 64] = "";
        const char *const values[] = {text, "end"};
        struct smx__words words;
        fill(text, length, length);
        memset(text + length + 1, '\x80', sizeof text - length - 1);
        assert_true(smx__words_of(&words, 7, values, 2));
        assert_int_equal(words.n, length / 8 + 2);
        assert_memory_equal(words.word, text, length + 1);
        assert_int_equal(words.hash, smx__mixed(smx__mix_string(smx__mix_string(7, text), "end")));
    }
}

static void as_many_words_as_are_kept_are_kept(void **state)
{
    enum { LONG_WORDS = SMX__KEY_WORDS - SMX_LABELS_MAX };
    char text[(LONG_WORDS + 2) * 8] = "";
    const char *values[SMX_LABELS_MAX];
    struct smx__words words;
    (void)state;
    for (unsigned i = 0; i < SMX_LABELS_MAX; i++)
        values[i] = i == 0 ? text : "";
    memset(text, 'w', (size_t)LONG_WORDS * 8);
    assert_true(smx__words_of(&words, 7, values, SMX_LABELS_MAX));
    assert_int_equal(words.n, SMX__KEY_WORDS);
    memset(text, 'w', (size_t)LONG_WORDS * 8 + 8);
    assert_false(smx__words_of(&words, 7, values, SMX_LABELS_MAX));
}

/* The words that are kept end long before these values do. */
static void long_values_that_differ_at_their_end_are_others(void **state)
{
    enum { LENGTH = 1000 };
    static char one[LENGTH + 1], two[LENGTH + 1];
    (void)state;
    memset(one, 'l', LENGTH);
    memset(two, 'l', LENGTH);
    two[LENGTH - 1] = 'k';
    const uint64_t *first = smx_counter_with(family, SMX_VALUES(one, one)).base;
    assert_non_null(first);
    assert_ptr_equal(smx_counter_with(family, SMX_VALUES(one, one)).base, first);
    assert_ptr_not_equal(smx_counter_with(family, SMX_VALUES(two, one)).base, first);
    assert_ptr_not_equal(smx_counter_with(family, SMX_VALUES(one, two)).base, first);
    assert_ptr_not_equal(smx_counter_with(family, SMX_VALUES(two, one)).base,
                         smx_counter_with(family, SMX_VALUES(one, two)).base);
}

static bool set_up(void)
{
    smx_segment *segment;
    struct smx_options options = {.app = "value", .directory = directory, .rows = 2};
    struct smx_metric metric = {.name = "values_total", .labels = {"one", "two"}};
    char *pages =
        mmap(NULL, 2 * SMX__PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED || smx_open(&options, &segment, NULL) != 0)
        return false;
    family = smx_counter_family(segment, &metric, NULL);
    page_end = pages + SMX__PAGE;
    return family.record && mprotect(page_end, SMX__PAGE, PROT_NONE) == 0;
}

int main(void)
{
    if (scratch_make(directory) != 0 || !set_up())
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_is_the_same_wherever_it_lies),
        cmocka_unit_test(a_value_that_differs_in_one_byte_is_another),
        cmocka_unit_test(words_and_bytes_give_one_hash),
        cmocka_unit_test(as_many_words_as_are_kept_are_kept),
        cmocka_unit_test(long_values_that_differ_at_their_end_are_others),
    };
    int status = RUN_TESTS(tests);
    scratch_remove(directory);
    return status;
}
