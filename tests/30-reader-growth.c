/* SPDX-License-Identifier: MIT
 *
 * 30-reader-growth.c - a reader beside a process that registers families and series all the while:
 * whatever it sees is sound, and of what was there before nothing is missing.
 */
#include "support/process.h"
#include "support/scratch.h"
#include "support/tap.h"

#include <smx/reader.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FAMILIES = 300, SERIES = 60, STEP_BYTES = 65536 };

static int set_up(void **state)
{
    char *directory = malloc(SCRATCH_SIZE);
    *state = directory;
    return directory ? scratch_make(directory) : -1;
}

static int tear_down(void **state)
{
    scratch_remove(*state);
    free(*state);
    return 0;
}

/* Family number f, with so many series. */
static void register_family(smx_segment *segment, int f, int n)
{
    char name[32], value[32];
    snprintf(name, sizeof name, "family_%d_total", f);
    smx_family family =
        smx_counter_family(segment, &(struct smx_metric){.name = name, .labels = {"series"}}, NULL);
    for (int s = 0; s < n; s++) {
        snprintf(value, sizeof value, "%d", s);
        smx_counter_inc(smx_counter_with(family, SMX_VALUES(value)));
    }
}

static _Noreturn void grow(smx_segment *segment)
{
    for (int f = 0; f < FAMILIES; f++)
        register_family(segment, f, SERIES);
    _exit(0);
}

static void a_reader_finds_a_growing_registry_sound(void **state)
{
    smx_segment *segment;
    struct smx_diag diag = {0};
    const struct smx_options options = {.app = "growth", .directory = *state};
    assert_int_equal(smx_open(&options, &segment, &diag), 0);
    smx_reader *reader;
    assert_int_equal(smx_reader_open(smx_path(segment), &reader, &diag), 0);

    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        grow(segment);
    size_t families = 0, series = 0, updates = 0;
    int status = -1;
    for (bool ended = false; !ended; updates++) {
        ended = waitpid(pid, &status, WNOHANG) == pid;
        if (smx_reader_update(reader, &diag) != 0)
            fail_msg("%s", diag.text);
        const struct smx_segment_info *info = smx_reader_info(reader);
        assert_int_equal(info->errors, 0);
        assert_true(info->n_families >= families && info->n_series >= series);
        families = info->n_families;
        series = info->n_series;
    }
    assert_int_equal(status, 0);
    assert_int_equal(families, FAMILIES);
    print_message("# %zu updates while %zu series came\n", updates, series);
    smx_reader_close(reader);
}

/* However long that goes on: it never stands still while the names are read. */
static void what_comes_between_two_steps_is_later_and_not_unsound(void **state)
{
    smx_segment *segment;
    smx_reader *reader;
    const struct smx_options options = {.app = "steps", .directory = *state};
    assert_int_equal(smx_open(&options, &segment, NULL), 0);
    int f = 0;
    while (f < FAMILIES)
        register_family(segment, f++, SERIES);
    assert_int_equal(smx_reader_open(smx_path(segment), &reader, NULL), 0);
    assert_int_equal(smx_reader_begin(reader, NULL), 0);
    for (int more = 1; more > 0; f++) {
        register_family(segment, f, 1);
        more = smx_reader_step(reader, STEP_BYTES, NULL);
        assert_true(more >= 0);
    }
    print_message("# %d families came meanwhile\n", f - FAMILIES);
    assert_int_equal(smx_reader_update(reader, NULL), 0);
    const struct smx_segment_info *info = smx_reader_info(reader);
    assert_int_equal(info->errors, 0);
    assert_true(info->n_families >= FAMILIES && info->n_families < (size_t)f);
    /* The next look has all. */
    assert_int_equal(smx_reader_update(reader, NULL), 0);
    info = smx_reader_info(reader);
    assert_int_equal(info->errors, 0);
    assert_int_equal(info->n_families, f);
    smx_reader_close(reader);
    smx_close(segment);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_reader_finds_a_growing_registry_sound, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_comes_between_two_steps_is_later_and_not_unsound,
                                        set_up, tear_down),
    };
    return RUN_TESTS(tests);
}
