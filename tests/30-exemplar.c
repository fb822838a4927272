/* SPDX-License-Identifier: MIT
 *
 * 30-exemplar.c - exemplars under fire: processes keep them in the same place as fast as they can
 * and are killed at it. A reader shows one that somebody kept, as a whole, or none; and the dead
 * stand in nobody's way.
 */
#include "libshm/metric/exemplar.h"
#include "libshm/segment/process.h"
#include "support/process.h"
#include "support/scratch.h"
#include "support/tap.h"
#include "support/worker.h"

#include <smx/reader.h>

#include <limits.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WRITERS = 3, ROUNDS = 15, LOOKS = 300 };

static char directory[SCRATCH_SIZE];
static smx_segment *segment;
static smx_reader *reader;
static smx_counter counter;
static smx_histogram histogram;

/* The label that goes with a value: every length, every word another. */
static void spell(uint64_t value, char text[128])
{
    size_t length = value * 7 % 100 + 1;
    for (size_t i = 0; i < length; i++)
        text[i] = (char)('a' + (value >> i % 13) % 26);
    text[length] = '\0';
}

static int keep_all_the_time(void *argument)
{
    uint32_t *ready = argument;
    char text[128];
    for (uint64_t i = (uint64_t)getpid() << 20; i != 0; i++) {
        spell(i, text);
        smx_counter_add_exemplar(counter, i, SMX_VALUES("id", text));
        smx_histogram_record_exemplar(histogram, i, SMX_VALUES("id", text));
        if (i % 64 == 0)
            worker_arrive(ready);
    }
    return 0;
}

/* Check what a reader shows; how many there are. */
static size_t look(void)
{
    struct smx_diag diag;
    size_t n = 0;
    if (smx_reader_update(reader, &diag) != 0)
        fail_msg("%s", diag.text);
    assert_int_equal(smx_reader_info(reader)->errors, 0);
    for (size_t i = 0; i < smx_reader_info(reader)->n_families; i++) {
        const struct smx_family_info *f = smx_reader_family(reader, i);
        for (size_t k = 0; k < f->n_exemplars; k++, n++) {
            const struct smx_exemplar *e = &f->exemplars[k];
            char text[128];
            spell(e->value, text);
            assert_int_equal(e->n_labels, 1);
            assert_string_equal(e->labels[0].value.at, text);
        }
    }
    return n;
}

static void a_reader_never_sees_half_of_one_and_the_killed_block_nobody(void **state)
{
    (void)state;
    uint32_t *ready = worker_shared(sizeof *ready);
    size_t rounds = scaled(ROUNDS), seen = 0;
    for (size_t round = 0; round < rounds; round++) {
        pid_t pids[WRITERS];
        *ready = 0;
        for (int i = 0; i < WRITERS; i++)
            pids[i] = worker_start(keep_all_the_time, ready);
        assert_true(worker_reach(ready, WRITERS));
        for (int i = 0; i < LOOKS; i++)
            seen += look();
        for (int i = 0; i < WRITERS; i++)
            assert_int_equal(kill(pids[i], SIGKILL), 0);
        for (int i = 0; i < WRITERS; i++)
            assert_int_equal(worker_wait(pids[i]), -SIGKILL);
        char text[128];
        spell(round, text);
        smx_counter_add_exemplar(counter, round, SMX_VALUES("id", text));
        (void)look();
        const struct smx_family_info *f = smx_reader_family(reader, 0);
        assert_int_equal(f->n_exemplars, 1);
        assert_int_equal(f->exemplars[0].value, round);
    }
    print_message("# %zu looks saw %zu exemplars\n", rounds * LOOKS, seen);
    assert_true(seen > 0);
}

/* A child that is traced from its start keeps one. */
static pid_t start_traced(void)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    char text[128];
    spell(14, text);
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        _exit(1);
    raise(SIGSTOP);
    smx_counter_add_exemplar(counter, 14, SMX_VALUES("id", text));
    raise(SIGKILL); /* a short way, that was gone before: nothing is bound on it */
    _exit(1);
}

/* Where it keeps it: behind the name of the label of one that is there now, whose text is known. */
static const struct smx__exemplar *place_of(const char *text)
{
    char labels[3 + 128] = "id";
    memcpy(labels + 3, text, strlen(text) + 1);
    const char *found =
        memmem(segment->header, segment->header->allocated, labels, 3 + strlen(text));
    assert_non_null(found);
    return (const void *)(found - offsetof(struct smx__exemplar, labels));
}

static bool is_being_written(const struct smx__exemplar *place)
{
    return __atomic_load_n(&place->seal, __ATOMIC_RELAXED) == 0;
}

/* Let it take so many steps from when it begins to write. How many it took before it was done. */
static unsigned step(pid_t pid, const struct smx__exemplar *place, unsigned steps)
{
    int status;
    bool begun = false;
    unsigned n = 0;
    while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status)) {
        begun = begun || is_being_written(place);
        if (begun && (!is_being_written(place) || n++ == steps))
            break;
        ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL);
    }
    return n;
}

/* Let it go on to its end. */
static void let_go(pid_t pid)
{
    assert_int_equal(ptrace(PTRACE_CONT, pid, NULL, NULL), 0);
    assert_int_equal(worker_wait(pid), -SIGKILL);
}

/* The one that goes on in the middle of its writing finds words of the other behind it, and seals
 * what it had meant to write. */
static void a_writer_that_is_overtaken_at_any_step_leaves_nothing_half(void **state)
{
    (void)state;
    char text[128];
    size_t none = 0;
    spell(28, text); /* both are long */
    smx_counter_add_exemplar(counter, 28, SMX_VALUES("id", text));
    const struct smx__exemplar *place = place_of(text);
    pid_t pid = start_traced();
    unsigned all = step(pid, place, UINT_MAX), tried = (unsigned)scaled(29);
    let_go(pid);
    assert_true(all > 29);
    for (unsigned i = 0; i < tried; i++) {
        smx_counter_add_exemplar(counter, 28, SMX_VALUES("id", text));
        pid = start_traced();
        (void)step(pid, place, all * i / tried);
        assert_true(is_being_written(place));
        smx_counter_add_exemplar(counter, 28, SMX_VALUES("id", text));
        let_go(pid);
        none += look() == 0;
    }
    print_message("# of %u in %u steps, %zu times a mixture was left out\n", tried, all, none);
    assert_true(none > 0);
}

/* What a handler writes in the middle of another one's writing is a race with itself. */
static void interrupt(int signal)
{
    (void)signal;
    char text[128];
    spell(5, text);
    smx_counter_add_exemplar(counter, 5, SMX_VALUES("id", text));
}

static void a_signal_handler_may_keep_one_and_hurts_nobody(void **state)
{
    (void)state;
    const unsigned raised = 2000;
    uint64_t before = smx_counter_value(counter);
    assert_true(signal(SIGUSR1, interrupt) != SIG_ERR);
    pid_t self = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        for (unsigned i = 0; i < raised; i++)
            kill(self, SIGUSR1);
        _exit(0);
    }
    uint64_t kept = 0;
    char text[128];
    for (; waitpid(pid, NULL, WNOHANG) == 0; kept++) {
        spell(3, text);
        smx_counter_add_exemplar(counter, 3, SMX_VALUES("id", text));
        (void)look();
    }
    signal(SIGUSR1, SIG_DFL);
    (void)look();
    /* Signals that were pending at the same time are one. */
    uint64_t more = smx_counter_value(counter) - before - 3 * kept;
    assert_true(more > 0 && more % 5 == 0 && more <= 5 * raised);
}

int main(void)
{
    struct smx_options options = {.app = "exemplar", .directory = directory};
    alarm(ALARM_S);
    if (scratch_make(directory) != 0 || smx_open(&options, &segment, NULL) != 0 ||
        smx_reader_open(smx_path(segment), &reader, NULL) != 0)
        return 1;
    counter = smx_counter_new(segment, &(struct smx_metric){.name = "c_total"}, NULL);
    histogram = smx_histogram_new(segment, &(struct smx_metric){.name = "h"}, NULL);
    smx_counter_add_exemplar(counter, 0, SMX_VALUES("id", "a"));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_writer_that_is_overtaken_at_any_step_leaves_nothing_half),
        cmocka_unit_test(a_reader_never_sees_half_of_one_and_the_killed_block_nobody),
        cmocka_unit_test(a_signal_handler_may_keep_one_and_hurts_nobody),
    };
    int status = RUN_TESTS(tests);
    smx_reader_close(reader);
    scratch_remove(directory);
    return status;
}
