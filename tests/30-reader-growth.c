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

enum { FAMILIES = 300, SERIES = 60 };

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

static _Noreturn void grow(smx_segment *segment)
{
    for (int f = 0; f < FAMILIES; f++) {
        char name[32], value[32];
        snprintf(name, sizeof name, "family_%d_total", f);
        smx_family family = smx_counter_family(
            segment, &(struct smx_metric){.name = name, .labels = {"series"}}, NULL);
        for (int s = 0; s < SERIES; s++) {
            snprintf(value, sizeof value, "%d", s);
            smx_counter_inc(smx_counter_with(family, SMX_VALUES(value)));
        }
    }
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_reader_finds_a_growing_registry_sound, set_up, tear_down),
    };
    return RUN_TESTS(tests);
}
