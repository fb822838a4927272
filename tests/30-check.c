/* SPDX-License-Identifier: MIT
 *
 * 30-check.c - checks under fire: processes report into the same check as fast as they can and are
 * killed at it. What a reader shows is what somebody who lives has said, in the state that he is
 * in, or nothing; the dead vouch for nothing and stand in nobody's way.
 */
#include "support/process.h"
#include "support/scratch.h"
#include "support/tap.h"
#include "support/worker.h"

#include <smx/reader.h>

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { REPORTERS = 3, ROUNDS = 15, LOOKS = 300 };

static char directory[SCRATCH_SIZE];
static smx_segment *segment;
static smx_reader *reader;
static smx_check check;

/* What a process says in a state: every length, and all of it of one letter. */
static void spell(unsigned number, enum smx_check_state state, char text[256])
{
    size_t length = number * 7 % SMX_CHECK_MESSAGE_MAX + 1;
    memset(text, (int)('a' + number % 8 * 3 + (unsigned)state - 1), length);
    text[length] = '\0';
}

static int report_all_the_time(void *argument)
{
    uint32_t *ready = argument;
    char text[256];
    for (unsigned i = 0;; i++) {
        enum smx_check_state state = (enum smx_check_state)(SMX_CHECK_OK + i % 3);
        spell(i, state, text);
        smx_check_report(check, state, text);
        if (smx_check_reported(check) != state)
            return 1;
        if (i % 64 == 63)
            worker_arrive(ready);
    }
}

static bool is_of_state(const char *text, enum smx_check_state state)
{
    for (const char *c = text; *c; c++)
        if (*c != *text)
            return false;
    return (unsigned)(*text - 'a') % 3 == (unsigned)state - 1;
}

/* Check what a reader shows; how many messages there are. */
static size_t look(size_t most)
{
    struct smx_diag diag;
    size_t n = 0;
    if (smx_reader_update(reader, &diag) != 0)
        fail_msg("%s", diag.text);
    assert_int_equal(smx_reader_info(reader)->errors, 0);
    const struct smx_check_info *c = smx_reader_check(reader, 0);
    assert_true(c->n_reports <= most);
    for (unsigned s = SMX_CHECK_OK; s <= SMX_CHECK_FAILED; s++) {
        const struct smx_check_message *m = &c->messages[s];
        if (m->text.length && !is_of_state(m->text.at, (enum smx_check_state)s))
            fail_msg("state %u: %s", s, m->text.at);
        n += m->text.length != 0;
    }
    return n;
}

static void a_reader_never_sees_half_a_message_and_the_killed_vouch_for_nothing(void **state)
{
    (void)state;
    uint32_t *ready = worker_shared(sizeof *ready);
    size_t rounds = scaled(ROUNDS), seen = 0;
    for (size_t round = 0; round < rounds; round++) {
        pid_t pids[REPORTERS];
        *ready = 0;
        for (int i = 0; i < REPORTERS; i++)
            pids[i] = worker_start(report_all_the_time, ready);
        assert_true(worker_reach(ready, REPORTERS));
        for (int i = 0; i < LOOKS; i++)
            seen += look(REPORTERS);
        for (int i = 0; i < REPORTERS; i++)
            assert_int_equal(kill(pids[i], SIGKILL), 0);
        for (int i = 0; i < REPORTERS; i++)
            assert_int_equal(worker_wait(pids[i]), -SIGKILL);
        assert_int_equal(look(0), 0);
        assert_int_equal(smx_check_combine(smx_reader_check(reader, 0), worker_now_ns()).state,
                         SMX_CHECK_SILENT);
    }
    print_message("# %zu looks saw %zu messages\n", rounds * LOOKS, seen);
    assert_true(seen > 0);
}

/* What a handler reports in the middle of another report is a race with itself: the state is that
 * of one of the two, the words may be missing. */
static void interrupt(int signal)
{
    char text[256];
    (void)signal;
    spell(5, SMX_CHECK_DEGRADED, text);
    smx_check_report(check, SMX_CHECK_DEGRADED, text);
}

static void a_signal_handler_may_report(void **state)
{
    (void)state;
    char text[256];
    assert_true(signal(SIGUSR1, interrupt) != SIG_ERR);
    pid_t self = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        for (unsigned i = 0; i < 2000; i++)
            kill(self, SIGUSR1);
        _exit(0);
    }
    spell(3, SMX_CHECK_FAILED, text);
    while (waitpid(pid, NULL, WNOHANG) == 0) {
        smx_check_report(check, SMX_CHECK_FAILED, text);
        (void)look(1);
        assert_int_equal(smx_reader_check(reader, 0)->n_reports, 1);
    }
    raise(SIGUSR1);
    assert_true(look(1) > 0);
    assert_int_equal(smx_check_reported(check), SMX_CHECK_DEGRADED);
    signal(SIGUSR1, SIG_DFL);
    smx_check_report(check, SMX_CHECK_FAILED, text);
    assert_int_equal(look(1), 1);
}

static int report_in_a_child(void *argument)
{
    (void)argument;
    CHECK(smx_check_reported(check) == SMX_CHECK_SILENT);
    smx_check_report(check, SMX_CHECK_OK, NULL);
    CHECK(smx_check_reported(check) == SMX_CHECK_OK);
    kill(getpid(), SIGKILL);
    return 1;
}

static void a_child_reports_for_itself_and_its_death_takes_nothing_of_its_parents(void **state)
{
    (void)state;
    smx_check_report(check, SMX_CHECK_FAILED, "c");
    for (int i = 0; i < 50; i++)
        assert_int_equal(worker_run(report_in_a_child, NULL), -SIGKILL);
    (void)look(1);
    const struct smx_check_info *c = smx_reader_check(reader, 0);
    assert_int_equal(c->n_reports, 1);
    assert_int_equal(c->reports[0].state, SMX_CHECK_FAILED);
}

int main(void)
{
    struct smx_options options = {.app = "check", .directory = directory};
    alarm(ALARM_S);
    if (scratch_make(directory) != 0 || smx_open(&options, &segment, NULL) != 0 ||
        smx_reader_open(smx_path(segment), &reader, NULL) != 0)
        return 1;
    check = smx_check_new(segment, &(struct smx_check_options){.name = "fire"}, NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reader_never_sees_half_a_message_and_the_killed_vouch_for_nothing),
        cmocka_unit_test(a_signal_handler_may_report),
        cmocka_unit_test(a_child_reports_for_itself_and_its_death_takes_nothing_of_its_parents),
    };
    int status = RUN_TESTS(tests);
    smx_reader_close(reader);
    scratch_remove(directory);
    return status;
}
