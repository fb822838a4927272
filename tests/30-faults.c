/* SPDX-License-Identifier: MIT
 *
 * 30-faults.c - a host in whose process any one system call that libshm makes fails, or every one
 * from there on: for each call, each error and each way that opening can go. The host goes on as if
 * nothing had happened, what is lost is counted, nothing leaks; and once the failure has ended,
 * everything works without a restart, and what had been counted is there.
 */
#include "support/cells.h"
#include "support/host.h"
#include "support/process.h"
#include "support/scratch.h"
#include "support/soundness.h"
#include "support/tap.h"
#include "support/worker.h"

#include "shim/faults.h"

#include <smx/reader.h>

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { GUARD = 4321 };

static char directory[SCRATCH_SIZE];

static const int errors[] = {ENOSPC, EIO,   EINTR,  EDQUOT, ENOMEM,
                             EMFILE, EPERM, EACCES, ENOLCK, ENFILE};
enum { ERRORS = sizeof errors / sizeof errors[0] };

/* What an opener finds. */
enum start { NOTHING, LEFT, LEFT_TO_CONTINUE, HELD, STARTS };

struct run {
    char app[24];
    enum start start;
    uint32_t first, last;
    int error;
};

/* What the host and its children have counted, and two words of the test. Shared by all. */
static struct shared {
    struct host_tally tally;
    uint32_t calls; /* that could have failed */
    uint32_t held;  /* 1: the holder lives */
} * shared;

static struct smx_options options_of(const struct run *run)
{
    return (struct smx_options){.app = run->app,
                                .directory = directory,
                                .slots = 8,
                                .rows = 2,
                                .max_bytes = 2 << 20,
                                .flags = run->start == LEFT_TO_CONTINUE ? SMX_CONTINUE : 0};
}

static int leave_a_segment(void *run)
{
    struct smx_options options = options_of(run);
    smx_segment *segment;
    CHECK(smx_open(&options, &segment, NULL) == 0);
    return 0;
}

static int hold_a_segment(void *run)
{
    CHECK(leave_a_segment(run) == 0);
    __atomic_store_n(&shared->held, 1, __ATOMIC_RELEASE);
    for (;;)
        pause();
}

/* Everything that a host does, and a reader in it. Whether it has worked shows afterwards. */
static int work(const struct run *run, smx_segment **out)
{
    struct smx_options options = options_of(run);
    smx_segment *again;
    smx_reader *reader;
    int error;
    errno = GUARD;
    error = smx_open(&options, out, NULL);
    CHECK((*out == NULL) == (error != 0) && errno == GUARD);
    CHECK(host_use(*out, &shared->tally) == 0);
    CHECK(host_use_in_child(*out, &shared->tally) == 0);
    options.flags |= SMX_RESERVE_NOW;
    error = smx_open(&options, &again, NULL);
    CHECK((again == NULL) == (error != 0) && errno == GUARD);
    if (!*out)
        *out = again;
    CHECK(!again || again == *out);
    if (!*out || smx_reader_open(smx_path(*out), &reader, NULL) != 0)
        return 0;
    if (smx_reader_update(reader, NULL) == 0)
        CHECK(soundness_fault(reader) == NULL);
    smx_reader_close(reader);
    return 0;
}

static unsigned entries(const char *path, const char *prefix)
{
    unsigned n = 0;
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        n += strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
    if (dir)
        closedir(dir);
    return n;
}

static unsigned mappings(void)
{
    char line[512];
    unsigned n = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps && fgets(line, sizeof line, maps))
        n += strstr(line, directory) != NULL;
    if (maps)
        fclose(maps);
    return n;
}

/* The failure has ended: nothing is missing. */
static int recover(const struct run *run, smx_segment *segment)
{
    struct smx_options options = options_of(run);
    smx_segment *opened;
    struct smx_diag diag = {0, ""};
    if (smx_open(&options, &opened, &diag) != 0)
        fprintf(stderr, "# %s\n", diag.text);
    CHECK(opened && (!segment || opened == segment));
    CHECK(host_recovers(opened, &shared->tally) == 0);
    CHECK(cells_live(opened) == (run->start == HELD ? 2 : 1));
    return host_compare(opened, &shared->tally);
}

static int host(const struct run *run)
{
    smx_segment *segment = NULL;
    unsigned fds = entries("/proc/self/fd", "");
    int out = dup(1), err = dup(2), said = memfd_create("said", MFD_CLOEXEC);
    CHECK(out >= 0 && err >= 0 && dup2(said, 1) == 1 && dup2(said, 2) == 2);
    faults_arm(run->first, run->last, run->error);
    int fault = work(run, &segment);
    shared->calls = faults_end();
    faults->later_s++;
    off_t length = lseek(said, 0, SEEK_END);
    CHECK(dup2(out, 1) == 1 && dup2(err, 2) == 2);
    close(out);
    close(err);
    close(said);
    CHECK(!fault && length == 0);
    CHECK(recover(run, segment) == 0);
    /* One descriptor and one mapping, and one file by its name. */
    CHECK(entries("/proc/self/fd", "") == fds + 1);
    CHECK(mappings() == 1);
    CHECK(entries(directory, run->app) == 1 && entries(directory, ".") == 2);
    return 0;
}

static int run_once(void *argument)
{
    struct run *run = argument;
    *shared = (struct shared){0};
    if (run->start == LEFT || run->start == LEFT_TO_CONTINUE)
        CHECK(worker_run(leave_a_segment, run) == 0);
    if (run->start == HELD) {
        /* It dies with this process. */
        CHECK(worker_start(hold_a_segment, run) > 0);
        CHECK(worker_reach(&shared->held, 1));
    }
    alarm(ALARM_S);
    return host(run);
}

static void go(struct run *run)
{
    static unsigned number;
    snprintf(run->app, sizeof run->app, "r%u", ++number);
    int status = worker_run(run_once, run);
    (void)faults_end();
    if (status != 0)
        fail_msg("start %d, calls %u to %u fail with %s (%s): status %d", run->start, run->first,
                 run->last, strerrorname_np(run->error), faults->name, status);
    char path[64];
    snprintf(path, sizeof path, "%s/%s.v1.smx", directory, run->app);
    unlink(path);
}

/* Each call, with an error in turn; with all of them in a run ten times as long as usual. */
static void sweep(enum start start, bool lasting)
{
    struct run run = {.start = start, .first = UINT32_MAX, .last = UINT32_MAX, .error = EIO};
    static size_t turn;
    size_t runs = 0, each = scaled(1) < ERRORS ? scaled(1) : ERRORS;
    go(&run);
    uint32_t calls = shared->calls;
    assert_in_range(calls, 40, 1000);
    for (uint32_t n = 1; n <= calls; n++)
        for (size_t i = 0; i < each; i++) {
            run.first = n;
            run.last = lasting ? FAULTS_FOR_EVER : n;
            run.error = errors[turn++ % ERRORS];
            go(&run);
            runs++;
        }
    turn++;
    print_message("# %u calls, %zu runs\n", calls, runs);
}

/* A lock may be refused for other reasons than that somebody has it. */
static void any_one_lock_can_be_refused_for_any_reason(void **state)
{
    (void)state;
    struct run run = {.first = UINT32_MAX, .last = UINT32_MAX, .error = EIO};
    size_t runs = 0;
    strcpy(faults->only, "fcntl");
    for (run.start = NOTHING; run.start < STARTS; run.start++) {
        run.first = run.last = UINT32_MAX;
        go(&run);
        uint32_t calls = shared->calls;
        assert_in_range(calls, 5, 100);
        for (uint32_t n = 1; n <= calls; n++)
            for (size_t i = 0; i < ERRORS; i++, runs++) {
                run.first = run.last = n;
                run.error = errors[i];
                go(&run);
            }
    }
    faults->only[0] = '\0';
    print_message("# %zu runs\n", runs);
}

#define SWEEP(name, start, lasting)                                                                \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        sweep(start, lasting);                                                                     \
    }

SWEEP(any_one_call_of_a_host_that_creates_can_fail, NOTHING, false)
SWEEP(any_one_call_of_a_host_that_replaces_can_fail, LEFT, false)
SWEEP(any_one_call_of_a_host_that_continues_can_fail, LEFT_TO_CONTINUE, false)
SWEEP(any_one_call_of_a_host_that_attaches_can_fail, HELD, false)
SWEEP(all_calls_from_any_on_of_a_host_that_creates_can_fail, NOTHING, true)
SWEEP(all_calls_from_any_on_of_a_host_that_replaces_can_fail, LEFT, true)
SWEEP(all_calls_from_any_on_of_a_host_that_continues_can_fail, LEFT_TO_CONTINUE, true)
SWEEP(all_calls_from_any_on_of_a_host_that_attaches_can_fail, HELD, true)

int main(void)
{
    shared = worker_shared(sizeof *shared);
    faults = worker_shared(sizeof *faults);
    if (!shared || !faults || scratch_make(directory) != 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_one_lock_can_be_refused_for_any_reason),
        cmocka_unit_test(any_one_call_of_a_host_that_creates_can_fail),
        cmocka_unit_test(any_one_call_of_a_host_that_replaces_can_fail),
        cmocka_unit_test(any_one_call_of_a_host_that_continues_can_fail),
        cmocka_unit_test(any_one_call_of_a_host_that_attaches_can_fail),
        cmocka_unit_test(all_calls_from_any_on_of_a_host_that_creates_can_fail),
        cmocka_unit_test(all_calls_from_any_on_of_a_host_that_replaces_can_fail),
        cmocka_unit_test(all_calls_from_any_on_of_a_host_that_continues_can_fail),
        cmocka_unit_test(all_calls_from_any_on_of_a_host_that_attaches_can_fail),
    };
    int status = RUN_TESTS(tests);
    scratch_remove(directory);
    return status;
}
