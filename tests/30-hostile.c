/* SPDX-License-Identifier: MIT
 *
 * 30-hostile.c - every field of every structure, spoilt in every bit and by the values that break
 * programs, one at a time. What a reader serves then is in the file, what it leaves out it counts
 * by a reason that fits the field, and nothing but what hangs on the field is lost. Damage of many
 * bytes at once is in 30-corrupt.c, what a reader may read and take for it in 30-appetite.c.
 */
#include "support/tap.h"

#include "support/scratch.h"
#include "support/victim.h"

#include <string.h>
#include <unistd.h>

static char directory[SCRATCH_SIZE];
static struct victim victim;
static smx_reader *reader;
static unsigned tried;

static int setup(void **state)
{
    struct smx_diag diag;
    (void)state;
    alarm(ALARM_S);
    if (scratch_make(directory) != 0)
        return -1;
    victim_make(&victim, directory);
    if (smx_reader_open(victim.path, &reader, &diag) != 0 || smx_reader_update(reader, &diag) != 0)
        return -1;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    smx_reader_close(reader);
    reader = NULL;
    victim_end(&victim);
    scratch_remove(directory);
    return 0;
}

static _Noreturn void complain(const struct victim_target *t, const struct byte_field *f,
                               const char *what)
{
    fail_msg("%s.%s at %#jx, which is %#jx instead of %#jx: %s", t->table->name, f->name,
             (uintmax_t)victim.at, (uintmax_t)segwriter_get(victim.w, victim.at, victim.size),
             (uintmax_t)victim.sound, what);
    abort();
}

/* Fields whose damage cannot show: an end of a chain is an end, and a series may be hidden. */
static bool may_hide(const struct victim_target *t, const struct byte_field *f)
{
    static const char *const silent[] = {"head",           "family.next", "series.next",
                                         "exemplars.next", "check.next",  "state",
                                         "n_buckets",      "buckets_at",  "family.overflow"};
    for (size_t i = 0; i < sizeof silent / sizeof *silent; i++)
        if (strcmp(f->name, silent[i]) == 0 && t->table != &byte_slot)
            return true;
    return strcmp(f->name, "overflow") == 0;
}

/* Look at the segment with one damage in it. */
static void look(const struct victim_target *t, const struct byte_field *f)
{
    struct smx_diag diag = {0};
    const struct smx_segment_info *info = smx_reader_info(reader);
    int result = smx_reader_update(reader, &diag);
    tried++;
    if (result != 0) {
        if (!victim_allows(f, victim_reason(result)))
            complain(t, f, diag.text);
        if (!strstr(diag.text, victim.path))
            complain(t, f, "the error does not name the file");
        return;
    }
    const char *fault = victim_fault(&victim, reader);
    if (fault)
        complain(t, f, fault);
    for (unsigned i = 0; i < SMX_UNSOUND_COUNT; i++)
        if (info->unsound[i] && !victim_allows(f, smx_unsound_name(i)))
            complain(t, f, smx_unsound_name(i));
    bool lost = info->n_series < victim.n_series || info->n_families < victim.n_families ||
                info->n_checks < victim.n_checks;
    if (lost && info->errors == 0 && !may_hide(t, f))
        complain(t, f, "something was left out and not counted");
    /* A record takes along its own series, and what it comes to lie on, which is counted. */
    if (t->table != &byte_header && t->table != &byte_buckets && !may_hide(t, f) &&
        (info->n_series + 4 + info->unsound[SMX_UNSOUND_OVERLAP] < victim.n_series ||
         info->n_families + 2 < victim.n_families || info->n_checks + 1 < victim.n_checks))
        complain(t, f, "more was left out than hangs on it");
}

static void spoil(const struct victim_target *t, const struct byte_field *f, uint64_t at,
                  unsigned size, uint64_t value)
{
    victim_spoil(&victim, at, size, value);
    look(t, f);
    victim_restore(&victim);
}

static void flip(const struct victim_target *t, const struct byte_field *f, uint64_t at)
{
    uint64_t sound = segwriter_get(victim.w, at, 1);
    for (unsigned bit = 0; bit < 8; bit++)
        spoil(t, f, at, 1, sound ^ 1u << bit);
}

/* A long field is spoilt by words, as far as it is in use. */
static void spoil_field(const struct victim_target *t, const struct byte_field *f)
{
    static const unsigned used = 64;
    uint64_t values[BYTE_VALUES];
    unsigned length = f->size < used ? f->size : used;
    for (unsigned i = 0; i < length; i++)
        flip(t, f, t->at + f->at + i);
    for (unsigned i = 0; i < length; i += 8) {
        unsigned size = length - i < 8 ? length - i : 8;
        uint64_t at = t->at + f->at + i;
        size_t n = victim_values(&victim, at, size, values);
        for (size_t k = 0; k < n; k++)
            spoil(t, f, at, size, values[k]);
    }
}

static void check_recovered(void)
{
    struct smx_diag diag;
    assert_int_equal(smx_reader_update(reader, &diag), 0);
    assert_null(victim_fault(&victim, reader));
    assert_int_equal(smx_reader_info(reader)->n_series, victim.n_series);
    assert_int_equal(smx_reader_info(reader)->n_families, victim.n_families);
    assert_int_equal(smx_reader_info(reader)->n_checks, victim.n_checks);
    assert_int_equal(smx_reader_info(reader)->errors, 0);
    assert_int_equal(smx_reader_info(reader)->n_live, 1);
    assert_string_equal(smx_reader_check(reader, 0)->messages[SMX_CHECK_FAILED].text.at,
                        "no route to \xe2\x82\xac");
}

static void spoil_all(const struct byte_table *table)
{
    check_recovered();
    tried = 0;
    for (size_t i = 0; i < victim.n_targets; i++)
        for (size_t k = 0; victim.targets[i].table == table && k < table->n; k++)
            spoil_field(&victim.targets[i], &table->fields[k]);
    check_recovered();
    print_message("# %s: %u damages\n", table->name, tried);
}

static void test_header(void **state)
{
    (void)state;
    spoil_all(&byte_header);
}

static void test_buckets(void **state)
{
    (void)state;
    spoil_all(&byte_buckets);
}

static void test_families(void **state)
{
    (void)state;
    spoil_all(&byte_family);
}

static void test_series(void **state)
{
    (void)state;
    spoil_all(&byte_series);
}

static void test_hist(void **state)
{
    (void)state;
    spoil_all(&byte_hist);
}

static void test_exemplars(void **state)
{
    (void)state;
    spoil_all(&byte_exemplars);
    spoil_all(&byte_exemplar);
}

static void test_checks(void **state)
{
    (void)state;
    spoil_all(&byte_check);
    spoil_all(&byte_report);
}

static void test_slot(void **state)
{
    (void)state;
    spoil_all(&byte_slot);
}

/* Lengths, texts and padding behind the records' fields. */
static void test_texts(void **state)
{
    static const struct byte_field text = {0, 1, "texts", "text orphan duplicate check"};
    (void)state;
    check_recovered();
    tried = 0;
    for (size_t i = 0; i < victim.n_targets; i++) {
        const struct victim_target *t = &victim.targets[i];
        if (t->table != &byte_family && t->table != &byte_series && t->table != &byte_check)
            continue;
        uint64_t end = t->at + segwriter_get(victim.w, t->at + 12, 4);
        for (uint64_t at = t->at + t->table->size; at < end; at++) {
            flip(t, &text, at);
            spoil(t, &text, at, 1, 0);
            spoil(t, &text, at, 1, 0xff);
        }
    }
    check_recovered();
    print_message("# texts: %u damages\n", tried);
}

#define TEST(function, name)                                                                       \
    {                                                                                              \
        name, function, setup, teardown, NULL                                                      \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_header, "no field of the header misleads a reader"),
        TEST(test_buckets, "no ref of the hash table misleads a reader"),
        TEST(test_families, "no field of a family misleads a reader"),
        TEST(test_series, "no field of a series misleads a reader"),
        TEST(test_hist, "no field of a histogram's descriptor misleads a reader"),
        TEST(test_exemplars, "no field of an exemplar or of its record misleads a reader"),
        TEST(test_checks, "no field of a check or of what is said of it misleads a reader"),
        TEST(test_slot, "no field of a process slot misleads a reader"),
        TEST(test_texts, "no length, text or padding of a record misleads a reader"),
    };
    return RUN_TESTS(tests);
}
