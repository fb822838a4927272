/* SPDX-License-Identifier: MIT
 *
 * 30-announce.c - what a process leaves behind that is killed before it has told the readers of a
 * series or a family: whoever comes to use it next tells them. tests/models/announce.pml shows it
 * for any number of kills; here one lookup is killed at each of its instructions, with a reader
 * that looks as soon as it is told.
 */
#include "support/cells.h"
#include "support/scratch.h"
#include "support/tap.h"
#include "support/worker.h"

#include <smx/reader.h>

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

/* Built with ASan an operation is several times as many instructions. */
#if defined(__SANITIZE_ADDRESS__)
enum { STRIDE = 17 };
#else
enum { STRIDE = 1 };
#endif

static char directory[SCRATCH_SIZE];
static smx_segment *segment;
static smx_reader *reader;

/* Every test has a segment, and its reader, of its own. */
static void open_app(const char *app)
{
    struct smx_options options = {.app = app, .directory = directory, .slots = 8, .rows = 2};
    assert_int_equal(smx_open(&options, &segment, NULL), 0);
    assert_int_equal(smx_reader_open(smx_path(segment), &reader, NULL), 0);
    assert_int_equal(smx_reader_update(reader, NULL), 0);
}

static smx_family family_of(uint32_t max_series)
{
    struct smx_metric metric = {.name = "c_total", .labels = {"l"}, .max_series = max_series};
    return smx_counter_family(segment, &metric, NULL);
}

/* The series that the reader shows, with those that have no value yet. */
static size_t shown(void)
{
    assert_int_equal(smx_reader_update(reader, NULL), 0);
    const struct smx_family_info *family = smx_reader_family(reader, 0);
    size_t n = 0;
    for (size_t i = 0; family && i < family->n_series; i++)
        n += family->series[i].present;
    return n;
}

static int look_up(void *argument)
{
    const smx_family *family = argument;
    CHECK(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0);
    CHECK(raise(SIGSTOP) == 0);
    (void)smx_counter_with(*family, SMX_VALUES("x"));
    CHECK(raise(SIGSTOP) == 0);
    return 0;
}

/* Kill a lookup of a hidden series after n instructions. False if it was over before. */
static bool kill_after(unsigned n, smx_family family)
{
    int status = 0;
    pid_t pid = worker_start(look_up, &family);
    assert_true(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
    uint64_t looked_at = segment->header->published;
    bool over = false;
    for (unsigned i = 0; i < n && !over; i++) {
        assert_int_equal(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
        assert_true(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
        over = WSTOPSIG(status) == SIGSTOP;
        if (segment->header->published != looked_at) {
            looked_at = segment->header->published;
            (void)shown();
        }
    }
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(worker_wait(pid), -SIGKILL);
    return !over;
}

static void a_lookup_killed_anywhere_leaves_no_series_hidden(void **state)
{
    (void)state;
    open_app("killed");
    smx_family family = family_of(0);
    smx_counter counter = smx_counter_with(family, SMX_VALUES("x"));
    unsigned n = 1;
    do {
        assert_int_equal(smx_series_remove(family, SMX_VALUES("x")), 0);
        assert_int_equal(shown(), 0);
        n += STRIDE;
    } while (kill_after(n, family) &&
             smx_counter_with(family, SMX_VALUES("x")).base == counter.base && shown() == 1);
    assert_int_equal(shown(), 1); /* by the lookup that was not killed */
    print_message("# killed after up to %u instructions\n", n);
    assert_true(n > 30);
    smx_reader_close(reader);
}

static void an_overflow_series_tells_of_its_family_in_place_of_a_killed_maker(void **state)
{
    (void)state;
    open_app("overflow");
    struct smx__header *h = segment->header;
    uint64_t before = h->published;
    smx_family family = family_of(1);
    h->published = before; /* the maker did not come so far */
    ((struct smx__family *)(uintptr_t)family.record)->n_series = 1; /* and another, with a series */
    smx_counter_inc(smx_counter_with(family, SMX_VALUES("x")));
    assert_int_equal(cells_lost(segment, SMX_LOST_SERIES_CAP), 1);
    assert_int_equal(shown(), 1);
    uint64_t after = h->published;
    smx_counter_inc(smx_counter_with(family, SMX_VALUES("x")));
    assert_true(h->published == after); /* said once */
    smx_reader_close(reader);
}

int main(void)
{
    if (scratch_make(directory) != 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lookup_killed_anywhere_leaves_no_series_hidden),
        cmocka_unit_test(an_overflow_series_tells_of_its_family_in_place_of_a_killed_maker),
    };
    int status = RUN_TESTS(tests);
    scratch_remove(directory);
    return status;
}
