/* SPDX-License-Identifier: MIT
 *
 * 40-faults.c - a scrape in which any one system call or allocation fails, or every one from there
 * on, of an agent that has just started and of one that knows its segments: what is missing then
 * is counted or said, and the next scrape is complete, with nothing leaked.
 */
#include "agent/encode/openmetrics.h"
#include "agent/encode/text.h"
#include "agent/segments/segments.h"
#include "shim/faults.h"
#include "support/process.h"
#include "support/scrape.h"
#include "support/tap.h"
#include "support/worker.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static const int errors[] = {ENOMEM, EMFILE, EIO, EINTR, ENFILE, EACCES};
enum { ERRORS = sizeof errors / sizeof errors[0] };

/* The parts of an agent that make a scrape. The readers in `scrape` are not used. */
struct parts {
    struct segments *segments;
    struct scrape scrape;
};

static struct scrape shop; /* its directory */
static struct log quiet = {.fd = -1, .level = LOG_LEVEL_ERROR};
static uint32_t *ready;
static char *reference; /* what a complete scrape says of the applications */

static int be_applications(void *argument)
{
    (void)argument;
    scrape_shop(&shop);
    worker_arrive(ready);
    return pause(); /* it dies with the test */
}

static void forget_reader(void *context, smx_reader *reader)
{
    gather_forget(((struct parts *)context)->scrape.gather, reader);
}

static int make_parts(struct parts *p)
{
    const char *directory = shop.directory;
    struct segments_options options = {.directories = &directory,
                                       .n_directories = 1,
                                       .log = &quiet,
                                       .closing = forget_reader,
                                       .context = p};
    *p = (struct parts){.scrape.self = {.version = "0.1.0"}};
    int rc = gather_new(&p->scrape.gather);
    return rc < 0 ? rc : segments_new(&options, &p->segments);
}

static void free_parts(struct parts *p)
{
    segments_free(p->segments);
    gather_free(p->scrape.gather);
    buffer_fini(&p->scrape.text);
    buffer_fini(&p->scrape.openmetrics);
    buffer_fini(&p->scrape.part);
}

/* As the agent does. */
static int scrape(struct parts *p)
{
    struct scrape *s = &p->scrape;
    const struct snapshot *snapshot;
    size_t n;
    segments_update(p->segments);
    const struct segment *list = segments_list(p->segments, &n);
    s->n = 0;
    for (size_t i = 0; i < n; i++)
        if (list[i].state == SEGMENT_SERVED)
            s->sources[s->n++].reader = list[i].reader;
    s->self.errors = segments_errors(p->segments, &s->self.n_errors);
    self_measure(&s->self.process);
    int rc = gather_run(s->gather, s->sources, s->n, &s->self, &snapshot);
    s->text.length = s->openmetrics.length = 0;
    s->text.failed = s->openmetrics.failed = false;
    if (rc == 0)
        rc = text_encode(snapshot, &s->text);
    return rc < 0 ? rc : openmetrics_encode(snapshot, &s->openmetrics);
}

static bool is_complete(struct parts *p)
{
    return strcmp(scrape_only(&p->scrape, &p->scrape.text, NULL), reference) == 0;
}

static uint64_t errors_counted(const struct parts *p)
{
    size_t n;
    uint64_t sum = 0;
    const struct self_count *counts = segments_errors(p->segments, &n);
    for (size_t i = 0; i < n; i++)
        sum += counts[i].n;
    return sum;
}

/* In the metrics; a directory that is not readable is in /health, too. */
static bool is_said(const struct parts *p, uint64_t before)
{
    size_t n;
    return errors_counted(p) > before ||
           segments_directories(p->segments, &n)->state == DIRECTORY_REFUSED;
}

/* As an application does that registers something. */
static void move_names(void)
{
    static const char *const names[] = {"shop", "shop@b"};
    for (int i = 0; i < 2; i++) {
        char path[64];
        uint64_t published;
        snprintf(path, sizeof path, "%s/%s.v1.smx", shop.directory, names[i]);
        int fd = open(path, O_RDWR | O_CLOEXEC);
        assert_int_equal(pread(fd, &published, sizeof published, 1088), sizeof published);
        published++;
        assert_int_equal(pwrite(fd, &published, sizeof published, 1088), sizeof published);
        close(fd);
    }
}

static unsigned open_fds(void)
{
    unsigned n = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

/* Scrape while the calls from `first` to `last` fail, and once more. p: NULL for an agent that has
 * just started. Returns: the calls there were. */
static uint32_t try(struct parts *known, uint32_t first, uint32_t last, int error)
{
    struct parts fresh, *p = known ? known : &fresh;
    int rc = 0;
    faults_arm(first, last, error);
    if (!known)
        rc = make_parts(&fresh);
    uint64_t before = rc == 0 ? errors_counted(p) : 0;
    if (rc == 0)
        rc = scrape(p);
    uint32_t calls = faults_end();
    if (!p->segments) {
        free_parts(&fresh);
        return calls;
    }
    if (rc == 0 && !is_complete(p) && !is_said(p, before))
        fail_msg("calls %u to %u fail with %s (%s): nothing says so", first, last,
                 strerrorname_np(error), faults->name);
    rc = scrape(p);
    if (rc != 0 || !is_complete(p))
        fail_msg("calls %u to %u fail with %s (%s): the next scrape is not complete: %d", first,
                 last, strerrorname_np(error), faults->name, rc);
    if (!known)
        free_parts(&fresh);
    return calls;
}

static void sweep(bool is_known, bool lasting)
{
    static size_t turn;
    struct parts known;
    assert_int_equal(make_parts(&known), 0);
    assert_int_equal(scrape(&known), 0);
    unsigned fds = open_fds();
    size_t runs = 0, each = scaled(3) < ERRORS ? scaled(3) : ERRORS;
    move_names();
    uint32_t calls = try(is_known ? &known : NULL, UINT32_MAX, UINT32_MAX, EIO);
    assert_in_range(calls, 20, 2000);
    for (uint32_t n = 1; n <= calls; n++)
        for (size_t i = 0; i < each; i++) {
            move_names();
            (void)try(is_known ? &known : NULL, n, lasting ? FAULTS_FOR_EVER : n,
                      errors[turn++ % ERRORS]);
            assert_int_equal(open_fds(), fds);
            runs++;
        }
    turn++;
    print_message("# %u calls, %zu runs\n", calls, runs);
    free_parts(&known);
}

static void any_one_call_of_the_first_scrape_can_fail(void **state)
{
    (void)state;
    sweep(false, false);
}

static void all_calls_from_any_on_of_the_first_scrape_can_fail(void **state)
{
    (void)state;
    sweep(false, true);
}

static void any_one_call_of_a_later_scrape_can_fail(void **state)
{
    (void)state;
    sweep(true, false);
}

static void all_calls_from_any_on_of_a_later_scrape_can_fail(void **state)
{
    (void)state;
    sweep(true, true);
}

static void what_is_open_is_served_while_the_directory_cannot_be_looked_at(void **state)
{
    static const char *const calls[] = {"open", "fdopendir", "readdir", "fstatat"};
    struct parts known;
    (void)state;
    assert_int_equal(make_parts(&known), 0);
    assert_int_equal(scrape(&known), 0);
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        snprintf(faults->only, sizeof faults->only, "%s", calls[i]);
        faults_arm(1, FAULTS_FOR_EVER, EMFILE);
        int rc = scrape(&known);
        assert_true(faults_end() > 0);
        assert_true(rc == 0 && is_complete(&known));
    }
    faults->only[0] = '\0';
    free_parts(&known);
}

static int set_up(void **state)
{
    struct parts p;
    (void)state;
    scrape_start(&shop);
    assert_true(worker_start(be_applications, NULL) > 0);
    assert_true(worker_reach(ready, 1));
    assert_int_equal(make_parts(&p), 0);
    assert_int_equal(scrape(&p), 0);
    reference = strdup(scrape_only(&p.scrape, &p.scrape.text, NULL));
    assert_non_null(strstr(reference, "wait_seconds_bucket"));
    free_parts(&p);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(reference);
    scrape_end(&shop);
    return 0;
}

int main(void)
{
    ready = worker_shared(sizeof *ready);
    faults = worker_shared(sizeof *faults);
    if (!ready || !faults)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_one_call_of_the_first_scrape_can_fail),
        cmocka_unit_test(all_calls_from_any_on_of_the_first_scrape_can_fail),
        cmocka_unit_test(any_one_call_of_a_later_scrape_can_fail),
        cmocka_unit_test(all_calls_from_any_on_of_a_later_scrape_can_fail),
        cmocka_unit_test(what_is_open_is_served_while_the_directory_cannot_be_looked_at),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, set_up, tear_down) ? 1 : 0;
}
