/* SPDX-License-Identifier: MIT
 *
 * 30-space.c - hosts on a tmpfs that is full to any degree, at any moment, and under every limit
 * that a process can have. No signal, no output; what does not fit is counted; and when there is
 * room again, new series work without a restart. Each test has a small tmpfs of its own, in a mount
 * namespace of its own.
 */
#include "support/cells.h"
#include "support/host.h"
#include "support/process.h"
#include "support/scratch.h"
#include "support/tap.h"
#include "support/worker.h"

#include <smx/reader.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/vfs.h>
#include <unistd.h>

#define MIB (UINT64_C(1) << 20)

enum { PAGE = 4096, GUARD = 4321 };

static char directory[SCRATCH_SIZE];
static struct host_tally *tally; /* shared */
static uint32_t slots = 8;

/* What the fallocate() below does, and how often it was called. */
static uint64_t signal_above = UINT64_MAX;
static unsigned reservations;

/* Stands in for libc's, which libshm.a calls. As Linux up to 6.10 does while signals come faster
 * than so many bytes are had. */
int fallocate(int fd, int mode, off_t at, off_t length)
{
    reservations++;
    if ((uint64_t)length > signal_above) {
        errno = EINTR;
        return -1;
    }
    return (int)syscall(SYS_fallocate, fd, mode, at, length);
}

static int mount_small(const char *options)
{
    CHECK(unshare(CLONE_NEWNS) == 0);
    CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    CHECK(mount("none", directory, "tmpfs", 0, options) == 0);
    return 0;
}

static uint64_t pages_free(void)
{
    struct statfs fs;
    return statfs(directory, &fs) == 0 ? fs.f_bfree : 0;
}

/* Fill the file system by another file, but for so many pages. */
static int fill_but(uint64_t pages)
{
    char path[64];
    snprintf(path, sizeof path, "%s/filler", directory);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    uint64_t fill = pages_free() - pages;
    CHECK(fill == 0 || fallocate(fd, 0, 0, (off_t)(fill * PAGE)) == 0);
    CHECK(pages_free() == pages);
    close(fd);
    return 0;
}

static int make_room(void)
{
    char path[64];
    snprintf(path, sizeof path, "%s/filler", directory);
    CHECK(unlink(path) == 0);
    return 0;
}

static const struct smx_options *options_with(unsigned flags)
{
    static struct smx_options options;
    options = (struct smx_options){.app = "space",
                                   .directory = directory,
                                   .slots = slots,
                                   .rows = 2,
                                   .max_bytes = 2 * MIB,
                                   .flags = flags};
    return &options;
}

static smx_segment *open_with(unsigned flags)
{
    smx_segment *segment = NULL;
    errno = GUARD;
    int error = smx_open(options_with(flags), &segment, NULL);
    return errno == GUARD && (error == 0) == (segment != NULL) ? segment : NULL;
}

/* Run a body on a tmpfs of 4 MiB of its own. */
static void on_tmpfs(int (*body)(void *), void *argument)
{
    if (geteuid() != 0) {
        print_message("# not root: nothing can be mounted\n");
        return;
    }
    *tally = (struct host_tally){0};
    assert_int_equal(worker_run(body, argument), 0);
}

/* With so many free pages: whatever can be had is used; later there is room. */
static int use_with_pages(void *argument)
{
    const unsigned *pages = argument;
    CHECK(mount_small("size=4m") == 0 && fill_but(*pages) == 0);
    smx_segment *segment = open_with(0);
    CHECK(host_use(segment, tally) == 0 && host_use_in_child(segment, tally) == 0);
    bool complete = segment && tally->refused == 0;
    CHECK(make_room() == 0);
    smx_segment *again = open_with(0);
    CHECK(again && (!segment || segment == again));
    CHECK(host_recovers(again, tally) == 0);
    CHECK(host_compare(again, tally) == 0);
    *(unsigned *)argument = complete ? UINT32_MAX : *pages;
    return 0;
}

static void any_number_of_free_pages(void **state)
{
    (void)state;
    enum { MOST = 400 };
    unsigned *pages = worker_shared(sizeof *pages);
    assert_non_null(pages);
    unsigned incomplete = 0;
    slots = 1024;
    for (unsigned n = 0; n < MOST && *pages != UINT32_MAX; n++) {
        *pages = n;
        on_tmpfs(use_with_pages, pages);
        incomplete += *pages == n;
    }
    slots = 8;
    print_message("# from 0 to %u free pages\n", incomplete);
    assert_true(geteuid() != 0 || (incomplete > 50 && incomplete < MOST));
}

static int attach_and_use(void *argument)
{
    (void)argument;
    smx_segment *segment = open_with(0);
    CHECK(segment && smx_worker(segment) == 1);
    CHECK(host_use(segment, tally) == 0);
    return 0;
}

/* Registered before, used by another process, whose first writes they are. */
static int use_what_was_registered(void *argument)
{
    (void)argument;
    CHECK(mount_small("size=4m") == 0);
    smx_segment *segment = open_with(0);
    CHECK(segment && host_use(segment, tally) == 0);
    CHECK(fill_but(0) == 0);
    CHECK(worker_run(attach_and_use, NULL) == 0);
    CHECK(host_use_in_child(segment, tally) == 0);
    CHECK(tally->refused == 0 && tally->dropped == 0);
    return host_compare(segment, tally);
}

static void a_full_file_system_does_not_touch_what_was_registered(void **state)
{
    (void)state;
    on_tmpfs(use_what_was_registered, NULL);
}

static int fill_after_open(void *argument)
{
    (void)argument;
    CHECK(mount_small("size=4m") == 0);
    smx_segment *segment = open_with(0);
    CHECK(segment && fill_but(0) == 0);
    CHECK(host_use(segment, tally) == 0 && host_use_in_child(segment, tally) == 0);
    CHECK(tally->refused > 0 && smx_worker(segment) == 0);
    CHECK(make_room() == 0);
    CHECK(host_recovers(segment, tally) == 0);
    return host_compare(segment, tally);
}

static void a_file_system_that_fills_after_open_refuses_until_there_is_room(void **state)
{
    (void)state;
    on_tmpfs(fill_after_open, NULL);
}

/* What was handed out while there was no room stays what it is; asking again gives the series. */
static int ask_again(void *argument)
{
    struct smx_metric metric = {.name = "asked_total", .labels = {"of"}};
    (void)argument;
    CHECK(mount_small("size=4m") == 0);
    smx_segment *segment = open_with(0);
    smx_family family = smx_counter_family(segment, &metric, NULL);
    /* To the end of what is reserved, and of what the first cells serve. */
    CHECK(family.record && fill_but(0) == 0);
    char value[16];
    for (unsigned n = 0; cells_lost(segment, SMX_LOST_SPACE) == 0; n++) {
        snprintf(value, sizeof value, "%u", n);
        (void)smx_counter_with(family, SMX_VALUES(value));
    }
    smx_counter early = smx_counter_with(family, SMX_VALUES("new"));
    smx_counter other = smx_counter_with(family, SMX_VALUES("newer"));
    smx_counter nothing = smx_counter_new(segment, &(struct smx_metric){.name = "n_total"}, NULL);
    CHECK(early.base && early.base == other.base && !nothing.base);
    CHECK(make_room() == 0);
    smx_counter late = {0};
    for (uint64_t begin = now_ms(); !late.base || late.base == early.base;) {
        late = smx_counter_with(family, SMX_VALUES("new"));
        CHECK(now_ms() < begin + PATIENCE_MS);
    }
    smx_counter_inc(early);
    smx_counter_inc(nothing);
    CHECK(smx_counter_value(late) == 0 && smx_counter_value(early) == 1);
    CHECK(smx_counter_new(segment, &(struct smx_metric){.name = "n_total"}, NULL).base);
    return 0;
}

static void a_handle_made_without_room_is_not_revived_but_asking_again_is_answered(void **state)
{
    (void)state;
    on_tmpfs(ask_again, NULL);
}

static smx_family a_histogram_family(smx_segment *segment)
{
    return smx_histogram_family(
        segment, &(struct smx_metric){.name = "took_seconds", .unit = "seconds", .labels = {"of"}},
        NULL);
}

/* Tries that fail leave nothing behind, and are few. */
static int try_in_vain(void *argument)
{
    enum { TRIES = 20000 };
    (void)argument;
    CHECK(mount_small("size=4m") == 0);
    smx_segment *segment = open_with(0);
    CHECK(segment && fill_but(2) == 0);
    uint64_t begin = now_ms();
    uint64_t before = segment->header->allocated;
    reservations = 0;
    for (unsigned i = 0; i < TRIES; i++)
        CHECK(a_histogram_family(segment).record == NULL);
    /* Each try, if it is one, is of much and then of less; one more than periods have begun. */
    CHECK(reservations <= 2 * ((now_ms() - begin) / 10 + 2));
    CHECK(segment->header->allocated - before < 64);
    CHECK(cells_lost(segment, SMX_LOST_SPACE) == TRIES);
    CHECK(make_room() == 0);
    while (!a_histogram_family(segment).record)
        CHECK(now_ms() < begin + PATIENCE_MS);
    return 0;
}

static void what_is_tried_in_vain_takes_nothing_and_seldom_asks(void **state)
{
    (void)state;
    on_tmpfs(try_in_vain, NULL);
}

/* The tail of a file system that is too small for one thing still serves a smaller one. */
static int try_smaller(void *argument)
{
    (void)argument;
    CHECK(mount_small("size=4m") == 0);
    smx_segment *segment = open_with(0);
    CHECK(segment && fill_but(5) == 0);
    CHECK(!smx_counter_new(segment, &(struct smx_metric){.name = "large_total"}, NULL).base);
    CHECK(a_histogram_family(segment).record);
    return 0;
}

static void what_is_too_large_does_not_keep_out_what_is_small(void **state)
{
    (void)state;
    on_tmpfs(try_smaller, NULL);
}

/* Series until the segment has no room. */
static unsigned register_all(smx_segment *segment)
{
    unsigned n = 0;
    smx_family family = smx_counter_family(
        segment,
        &(struct smx_metric){.name = "many_total", .labels = {"of"}, .max_series = 1 << 20}, NULL);
    while (family.record && cells_lost(segment, SMX_LOST_SPACE) == 0) {
        char value[16];
        snprintf(value, sizeof value, "%u", n++);
        smx_counter_inc(smx_counter_with(family, SMX_VALUES(value)));
    }
    return n;
}

/* Reserved at open: all of the budget is there, though nothing else is. */
static int reserve_then_fill(void *argument)
{
    unsigned *n = argument;
    CHECK(mount_small("size=4m") == 0);
    smx_segment *segment = open_with(SMX_RESERVE_NOW);
    CHECK(segment && fill_but(0) == 0);
    reservations = 0;
    *n = register_all(segment);
    CHECK(reservations == 0);
    return 0;
}

static int register_with_room(void *argument)
{
    unsigned *n = argument;
    CHECK(mount_small("size=4m") == 0);
    *n = register_all(open_with(0));
    return 0;
}

static void what_is_reserved_at_open_outlasts_a_full_file_system(void **state)
{
    (void)state;
    unsigned *n = worker_shared(2 * sizeof *n);
    assert_non_null(n);
    on_tmpfs(register_with_room, &n[0]);
    on_tmpfs(reserve_then_fill, &n[1]);
    assert_int_equal(n[0], n[1]);
    assert_true(geteuid() != 0 || n[0] > 1000);
}

/* It cannot be had: then not a part of it either. */
static int reserve_in_vain(void *argument)
{
    smx_segment *segment;
    (void)argument;
    CHECK(mount_small("size=4m") == 0 && fill_but(300) == 0);
    CHECK(smx_open(options_with(SMX_RESERVE_NOW), &segment, NULL) == -ENOSPC);
    CHECK(pages_free() == 300);
    CHECK(open_with(0));
    uint64_t left = pages_free();
    CHECK(smx_open(options_with(SMX_RESERVE_NOW), &segment, NULL) == -ENOSPC);
    CHECK(pages_free() == left && make_room() == 0);
    CHECK(open_with(SMX_RESERVE_NOW));
    return 0;
}

static void a_budget_that_does_not_fit_is_not_reserved_in_part(void **state)
{
    (void)state;
    on_tmpfs(reserve_in_vain, NULL);
}

static int use_without_inodes(void *argument)
{
    smx_segment *segment;
    (void)argument;
    CHECK(mount_small("size=4m,nr_inodes=2") == 0 && fill_but(1000) == 0);
    CHECK(smx_open(options_with(0), &segment, NULL) == -ENOSPC && segment == NULL);
    CHECK(host_use(NULL, tally) == 0 && make_room() == 0);
    segment = open_with(0);
    CHECK(segment && host_recovers(segment, tally) == 0);
    return host_compare(segment, tally);
}

static int hold_it(void *argument)
{
    smx_segment *segment = open_with(0);
    CHECK(host_use(segment, tally) == 0);
    worker_arrive(argument);
    return pause();
}

static int attach_once(void *unused)
{
    (void)unused;
    return open_with(0) ? 0 : 1;
}

static uint64_t blocks_of(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 ? (uint64_t)st.st_blocks : 0;
}

/* Somebody takes pages away: of the hash table, and of what is reserved and not used yet. */
static int punch_and_attach(void *held)
{
    char path[64];
    struct smx__header h;
    pid_t holder = worker_start(hold_it, held);
    CHECK(worker_reach(held, 1));
    snprintf(path, sizeof path, "%s/space.v1.smx", directory);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    CHECK(pread(fd, &h, sizeof h, 0) == sizeof h);
    const uint64_t at[] = {h.buckets_at / PAGE * PAGE, h.reserved_to - PAGE};
    uint64_t blocks = blocks_of(fd);
    for (unsigned i = 0; i < 2; i++) {
        CHECK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at[i], PAGE) == 0);
        CHECK(blocks_of(fd) < blocks);
        CHECK(worker_run(attach_once, NULL) == 0);
        CHECK(blocks_of(fd) == blocks);
    }
    close(fd);
    kill(holder, SIGKILL);
    return worker_wait(holder) == -SIGKILL ? 0 : 1;
}

static void who_comes_later_has_each_hole_filled(void **state)
{
    (void)state;
    uint32_t *held = worker_shared(sizeof *held);
    *tally = (struct host_tally){0};
    assert_int_equal(worker_run(punch_and_attach, held), 0);
}

static void a_file_system_without_inodes_refuses(void **state)
{
    (void)state;
    on_tmpfs(use_without_inodes, NULL);
}

static void on_signal(int signal)
{
    (void)signal;
}

/* Signals that come faster than the whole budget can be reserved. */
static int reserve_among_signals(void *argument)
{
    struct sigaction action = {.sa_handler = on_signal};
    struct itimerval often = {{0, 200}, {0, 200}};
    (void)argument;
    CHECK(mount_small("size=4m") == 0);
    CHECK(sigaction(SIGALRM, &action, NULL) == 0 && setitimer(ITIMER_REAL, &often, NULL) == 0);
    signal_above = 100000;
    smx_segment *segment = open_with(SMX_RESERVE_NOW);
    CHECK(segment && segment->header->reserved_to == 2 * MIB);
    CHECK(pages_free() == (4 - 2) * MIB / PAGE);
    for (int i = 0; i < 200; i++)
        CHECK(host_use(segment, tally) == 0);
    CHECK(tally->refused == 0 && tally->dropped == 0);
    return host_compare(segment, tally);
}

static int reserve_between_no_two_signals(void *argument)
{
    smx_segment *segment;
    (void)argument;
    CHECK(mount_small("size=4m") == 0);
    signal_above = 0;
    CHECK(smx_open(options_with(0), &segment, NULL) == -EINTR && reservations < 1000);
    return 0;
}

static void a_rain_of_signals_keeps_nobody_from_reserving(void **state)
{
    (void)state;
    on_tmpfs(reserve_among_signals, NULL);
    on_tmpfs(reserve_between_no_two_signals, NULL);
}

int main(void)
{
    tally = worker_shared(sizeof *tally);
    if (!tally || scratch_make(directory) != 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_number_of_free_pages),
        cmocka_unit_test(a_full_file_system_does_not_touch_what_was_registered),
        cmocka_unit_test(a_file_system_that_fills_after_open_refuses_until_there_is_room),
        cmocka_unit_test(a_handle_made_without_room_is_not_revived_but_asking_again_is_answered),
        cmocka_unit_test(what_is_tried_in_vain_takes_nothing_and_seldom_asks),
        cmocka_unit_test(what_is_too_large_does_not_keep_out_what_is_small),
        cmocka_unit_test(what_is_reserved_at_open_outlasts_a_full_file_system),
        cmocka_unit_test(a_budget_that_does_not_fit_is_not_reserved_in_part),
        cmocka_unit_test(who_comes_later_has_each_hole_filled),
        cmocka_unit_test(a_file_system_without_inodes_refuses),
        cmocka_unit_test(a_rain_of_signals_keeps_nobody_from_reserving),
    };
    int status = RUN_TESTS(tests);
    scratch_remove(directory);
    return status;
}
