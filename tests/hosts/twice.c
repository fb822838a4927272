/* SPDX-License-Identifier: MIT
 *
 * twice.c - a host with two copies of libshm: its own, and one that a plug-in would bring. What the
 * second does and gives up must not end the first one's life, which hangs on a lock that any
 * close() of the file drops. Both count in one segment, each in a slot of its own; also in
 * children, where they claim at the same time. Usage: twice LIBSHM.SO.
 */
#include <smx/reader.h>
#include <smx/smx.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* The functions of the second copy. */
static struct {
    __typeof__(smx_open) *open;
    __typeof__(smx_reader_open) *reader_open;
    __typeof__(smx_reader_close) *reader_close;
    __typeof__(smx_counter_new) *counter_new;
    __typeof__(smx_gauge_new) *gauge_new;
    __typeof__(smx_gauge_add_fn) *gauge_add;
    __typeof__(smx_worker) *worker;
} second;

enum { ROUNDS = 300, ADDS = 1000 };

/* Each copy's own. */
static smx_segment *segment, *other;
static smx_counter counters[2];
static smx_gauge gauges[2];
static pthread_barrier_t together;

static void fail(const char *what)
{
    fprintf(stderr, "%s\n", what);
    exit(1);
}

static void *symbol(void *library, const char *name)
{
    void *at = dlsym(library, name);
    if (!at)
        fail(dlerror());
    return at;
}

static void load(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        fail(dlerror());
    *(void **)&second.open = symbol(library, "smx_open");
    *(void **)&second.reader_open = symbol(library, "smx_reader_open");
    *(void **)&second.reader_close = symbol(library, "smx_reader_close");
    *(void **)&second.counter_new = symbol(library, "smx_counter_new");
    *(void **)&second.gauge_new = symbol(library, "smx_gauge_new");
    *(void **)&second.gauge_add = symbol(library, "smx_gauge_add_fn");
    *(void **)&second.worker = symbol(library, "smx_worker");
    if (second.open == smx_open)
        fail("not a second copy");
}

static bool is_live(const char *path, pid_t pid)
{
    size_t n = 0;
    smx_reader *reader;
    struct smx_diag diag;
    if (smx_reader_open(path, &reader, &diag) != 0 || smx_reader_update(reader, &diag) != 0)
        fail(diag.text);
    const struct smx_process_info *info = smx_reader_processes(reader, &n);
    for (size_t i = 0; i < n; i++)
        if (info[i].pid == pid)
            return info[i].live;
    return false;
}

static size_t count_live(const char *path)
{
    smx_reader *reader;
    if (smx_reader_open(path, &reader, NULL) != 0 || smx_reader_update(reader, NULL) != 0)
        fail("the segment cannot be read");
    size_t n = smx_reader_info(reader)->n_live;
    smx_reader_close(reader);
    return n;
}

static void expect_success(pid_t child, const char *what)
{
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        fail(what);
}

/* As another process sees it. */
static void expect_life(const char *path, const char *after)
{
    pid_t host = getpid(), child = fork();
    if (child == 0)
        _exit(is_live(path, host) ? 0 : 1);
    expect_success(child, after);
}

/* An open that fails when the file is open already: no address space is left for the mapping. The
 * first one makes the copy's tables. */
static void open_in_vain(const struct smx_options *options)
{
    struct rlimit before;
    smx_segment *segment;
    if (second.open(&(struct smx_options){.app = "elsewhere"}, &segment, NULL) != 0)
        fail("the second copy cannot open another segment");
    getrlimit(RLIMIT_AS, &before);
    struct rlimit tight = {1u << 28, before.rlim_max};
    setrlimit(RLIMIT_AS, &tight);
    int error = second.open(options, &segment, NULL);
    setrlimit(RLIMIT_AS, &before);
    if (error == 0)
        fail("the second copy's smx_open() has not failed");
}

static void *write_by_the_second(void *argument)
{
    pthread_barrier_wait(&together);
    for (int i = 0; i < ADDS; i++)
        second.gauge_add(gauges[1], 1);
    return argument;
}

/* In a child where no fork handler has claimed: each copy in a thread of its own. */
static void claim_together(void)
{
    pthread_t thread;
    pthread_barrier_init(&together, NULL, 2);
    if (pthread_create(&thread, NULL, write_by_the_second, NULL) != 0)
        fail("no thread");
    pthread_barrier_wait(&together);
    for (int i = 0; i < ADDS; i++)
        smx_gauge_inc(gauges[0]);
    pthread_join(thread, NULL);
    if (smx_worker(segment) < 0 || second.worker(other) < 0)
        fail("a copy has no slot");
    if (smx_worker(segment) == second.worker(other))
        fail("both copies have one slot");
    if (smx_gauge_value(gauges[0]) != ADDS || smx_gauge_value(gauges[1]) != ADDS)
        fail("adds were lost");
    if (count_live(smx_path(segment)) != 4)
        fail("not both copies of both processes live");
}

static void update_both(void)
{
    const struct smx_metric counter = {.name = "c_total"}, gauge = {.name = "g"};
    counters[0] = smx_counter_new(segment, &counter, NULL);
    counters[1] = second.counter_new(other, &counter, NULL);
    gauges[0] = smx_gauge_new(segment, &gauge, NULL);
    gauges[1] = second.gauge_new(other, &gauge, NULL);
    for (int i = 0; i < ADDS; i++) {
        smx_counter_inc(counters[0]);
        smx_counter_inc(counters[1]);
    }
    if (smx_counter_value(counters[0]) != 2 * ADDS || smx_counter_value(counters[1]) != 2 * ADDS)
        fail("counts were lost");
    /* A handle that one copy has made and the other, which does not know its slot, is given. */
    smx_gauge_add(gauges[1], 5);
    if (smx_gauge_value(gauges[1]) != 5)
        fail("a handle of the other copy does not write");
    for (int i = 0; i < ROUNDS; i++) {
        pid_t child = i % 10 ? _Fork() : fork();
        if (child == 0) {
            claim_together();
            _exit(0);
        }
        expect_success(child, "a child of both copies failed");
    }
}

int main(int argc, char **argv)
{
    smx_reader *reader;
    struct smx_diag diag = {0, ""};
    struct smx_options options = {.app = "twice"};
    load(argc > 1 ? argv[1] : "");
    if (smx_open(&options, &segment, &diag) != 0)
        fail(diag.text);
    open_in_vain(&options);
    expect_life(smx_path(segment), "dead after the second copy failed to open");
    if (second.reader_open(smx_path(segment), &reader, &diag) != 0)
        fail(diag.text);
    second.reader_close(reader);
    expect_life(smx_path(segment), "dead after the second copy's reader was closed");
    if (second.open(&options, &other, &diag) != 0 || other == segment)
        fail("the second copy cannot open");
    expect_life(smx_path(segment), "dead after the second copy opened");
    update_both();
    expect_life(smx_path(segment), "dead after both have updated");
    puts("alive");
    return 0;
}
