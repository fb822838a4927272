/* SPDX-License-Identifier: MIT
 *
 * 10-reader-processes.c - gauges and the processes whose values they are. Liveness is tried with
 * real record locks: forked children hold them and are killed. The segments are written without
 * libshm.
 */
#include "support/tap.h"

#include "support/scratch.h"
#include "support/segwriter.h"

#include <smx/reader.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* cmocka compares floats, not doubles. */
#define assert_near(a, b, tolerance) assert_true(fabs((a) - (b)) <= (tolerance))

enum { SLOTS = 8, CHILDREN = 3 };

static char directory[SCRATCH_SIZE];
static char path[SEGWRITER_PATH_SIZE];
static struct segwriter *writer;
static smx_reader *reader;
static struct smx_diag diag;
static pid_t children[CHILDREN];
static uint64_t words[CHILDREN];

static uint64_t own_namespace(void)
{
    struct stat st;
    assert_int_equal(stat("/proc/self/ns/pid", &st), 0);
    return st.st_ino;
}

/* Fork a child that locks byte SEGWRITER_LOCK_AT + slot of the file and says so. how: F_SETLK, or
 * F_OFD_SETLK for a lock that belongs to no process. */
static pid_t lock_in_child_by(int how, int slot, int type)
{
    int ready[2];
    char byte = 0;
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct flock lock = {.l_type = (short)type,
                             .l_whence = SEEK_SET,
                             .l_start = SEGWRITER_LOCK_AT + slot,
                             .l_len = 1};
        int fd = open(path, O_RDWR | O_CLOEXEC);
        byte = fd >= 0 && fcntl(fd, how, &lock) == 0;
        (void)!write(ready[1], &byte, 1);
        for (;;)
            pause();
    }
    assert_true(pid > 0);
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 1);
    close(ready[0]);
    return pid;
}

static pid_t lock_in_child(int slot, int type)
{
    return lock_in_child_by(F_SETLK, slot, type);
}

static void end_child(pid_t *pid)
{
    if (*pid > 0) {
        kill(*pid, SIGKILL);
        waitpid(*pid, NULL, 0);
    }
    *pid = 0;
}

static int setup(void **state)
{
    (void)state;
    writer = segwriter_new(&(struct segwriter_options){.app = "shop", .slots = SLOTS});
    if (scratch_make(directory) != 0)
        return -1;
    return segwriter_save(writer, directory, path);
}

static int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < CHILDREN; i++)
        end_child(&children[i]);
    smx_reader_close(reader);
    reader = NULL;
    segwriter_free(writer);
    scratch_remove(directory);
    return 0;
}

/* Children in slots 1, 2 and 3; slot 0 is LIVE in name only. */
static void start_children(void)
{
    segwriter_process(
        writer, 0,
        &(struct segwriter_process){
            .pid = 1, .phase = SEGWRITER_LIVE, .pid_ns = own_namespace(), .role = "ghost"});
    for (unsigned i = 0; i < CHILDREN; i++) {
        children[i] = lock_in_child((int)i + 1, F_WRLCK);
        words[i] = segwriter_process(writer, i + 1,
                                     &(struct segwriter_process){.generation = 5 + i,
                                                                 .pid = (uint32_t)children[i],
                                                                 .phase = SEGWRITER_LIVE,
                                                                 .pid_ns = own_namespace(),
                                                                 .start = 1000 + i,
                                                                 .heartbeat = 17,
                                                                 .role = "worker"});
    }
}

static void take(void)
{
    assert_int_equal(segwriter_rewrite(writer, path), 0);
    if (!reader)
        assert_int_equal(smx_reader_open(path, &reader, &diag), 0);
    assert_int_equal(smx_reader_update(reader, &diag), 0);
    assert_int_equal(smx_reader_info(reader)->errors, 0);
}

static uint64_t gauge(const char *name, uint8_t mode, uint8_t is_double)
{
    uint64_t family = segwriter_family(
        writer, &(struct segwriter_family){
                    .name = name, .type = SEGWRITER_GAUGE, .mode = mode, .is_double = is_double});
    return segwriter_series(writer, family, NULL);
}

static const struct smx_series_info *only(size_t family)
{
    const struct smx_family_info *f = smx_reader_family(reader, family);
    assert_non_null(f);
    assert_int_equal(f->n_series, 1);
    return f->series;
}

static void test_processes(void **state)
{
    size_t n;
    (void)state;
    start_children();
    take();
    const struct smx_process_info *p = smx_reader_processes(reader, &n);
    assert_int_equal(n, 4);
    assert_int_equal(smx_reader_info(reader)->n_live, 3);
    assert_false(p[0].live);
    assert_int_equal(p[0].holder, 0);
    assert_string_equal(p[0].role, "ghost");
    for (unsigned i = 1; i < 4; i++) {
        assert_int_equal(p[i].worker, i);
        assert_true(p[i].live);
        assert_int_equal(p[i].pid, children[i - 1]);
        assert_int_equal(p[i].holder, children[i - 1]);
        assert_int_equal(p[i].pid_ns, own_namespace());
        assert_int_equal(p[i].start, 999 + i);
        assert_int_equal(p[i].heartbeat_ns, 17);
        assert_string_equal(p[i].role, "worker");
    }
}

static void test_killed(void **state)
{
    size_t n;
    (void)state;
    start_children();
    take();
    end_child(&children[1]);
    take();
    const struct smx_process_info *p = smx_reader_processes(reader, &n);
    assert_int_equal(smx_reader_info(reader)->n_live, 2);
    assert_true(p[1].live && !p[2].live && p[3].live);
}

static void test_phases(void **state)
{
    size_t n;
    (void)state;
    children[0] = lock_in_child(1, F_WRLCK);
    struct segwriter_process process = {
        .pid = (uint32_t)children[0], .pid_ns = own_namespace(), .phase = SEGWRITER_CLAIMING};
    segwriter_process(writer, 1, &process);
    take();
    assert_int_equal(smx_reader_info(reader)->n_live, 0);
    process.phase = SEGWRITER_LIVE;
    segwriter_process(writer, 1, &process);
    take();
    assert_int_equal(smx_reader_info(reader)->n_live, 1);
    process.phase = SEGWRITER_FREE;
    segwriter_process(writer, 1, &process);
    take();
    assert_int_equal(smx_reader_info(reader)->n_live, 0);
    assert_false(smx_reader_processes(reader, &n)->live);
}

/* Anyone who may read the file can place a read lock; the wrong process may hold a write lock. */
static void test_impostors(void **state)
{
    (void)state;
    children[0] = lock_in_child(1, F_RDLCK);
    children[1] = lock_in_child(2, F_WRLCK);
    struct segwriter_process process = {
        .pid = (uint32_t)children[0], .pid_ns = own_namespace(), .phase = SEGWRITER_LIVE};
    segwriter_process(writer, 1, &process);
    segwriter_process(writer, 2, &process);
    take();
    assert_int_equal(smx_reader_info(reader)->n_live, 0);
    /* Pids of another namespace cannot be compared. */
    process.pid_ns = 1;
    segwriter_process(writer, 2, &process);
    take();
    assert_int_equal(smx_reader_info(reader)->n_live, 1);
}

/* What a slot says of its pid is the segment's word; the holder is the kernel's. */
static void test_holders(void **state)
{
    size_t n;
    (void)state;
    children[0] = lock_in_child(1, F_WRLCK);
    children[1] = lock_in_child_by(F_OFD_SETLK, 2, F_WRLCK);
    struct segwriter_process process = {.pid = 1, .pid_ns = 1, .phase = SEGWRITER_LIVE};
    segwriter_process(writer, 1, &process);
    process.pid_ns = own_namespace();
    segwriter_process(writer, 2, &process);
    take();
    const struct smx_process_info *p = smx_reader_processes(reader, &n);
    assert_int_equal(n, 2);
    assert_true(p[0].live && p[1].live);
    assert_int_equal(p[0].pid, 1);
    assert_int_equal(p[0].holder, children[0]);
    assert_int_equal(p[1].pid, 1);
    assert_int_equal(p[1].holder, 0);
}

static void test_slots_used(void **state)
{
    size_t n;
    (void)state;
    start_children();
    segwriter_put(writer, 1096, 4, 3);
    take();
    smx_reader_processes(reader, &n);
    assert_int_equal(n, 3);
    assert_int_equal(smx_reader_info(reader)->n_live, 2);
    segwriter_put(writer, 1096, 4, UINT32_MAX);
    take();
    smx_reader_processes(reader, &n);
    assert_int_equal(n, 4);
    assert_int_equal(smx_reader_info(reader)->n_live, 3);
}

static void test_integer_modes(void **state)
{
    static const int64_t values[CHILDREN] = {-4, 10, 3};
    static const char *const names[] = {"sum", "min", "max", "avg"};
    uint64_t series[4];
    (void)state;
    start_children();
    for (uint8_t mode = 0; mode < 4; mode++) {
        series[mode] = gauge(names[mode], mode, 0);
        for (uint32_t i = 0; i < CHILDREN; i++)
            segwriter_gauge(writer, series[mode], i + 2, words[i], values[i]);
    }
    take();
    assert_int_equal(only(SEGWRITER_SUM)->integer, 9);
    assert_int_equal(only(SEGWRITER_MIN)->integer, -4);
    assert_int_equal(only(SEGWRITER_MAX)->integer, 10);
    assert_true(smx_reader_family(reader, SEGWRITER_AVG)->is_double);
    assert_near(only(SEGWRITER_AVG)->real, 3, 1e-12);
    for (uint8_t mode = 0; mode < 4; mode++)
        segwriter_gauge(writer, series[mode], 0, SEGWRITER_SHARED_WORD, 100);
    take();
    assert_int_equal(only(SEGWRITER_SUM)->integer, 109);
    assert_int_equal(only(SEGWRITER_MIN)->integer, -4);
    assert_int_equal(only(SEGWRITER_MAX)->integer, 100);
    assert_near(only(SEGWRITER_AVG)->real, 109.0 / 4, 1e-12);
}

static void test_double_modes(void **state)
{
    static const double values[CHILDREN] = {-0.5, 2.25, 0.25};
    static const char *const names[] = {"sum", "min", "max", "avg"};
    (void)state;
    start_children();
    for (uint8_t mode = 0; mode < 4; mode++) {
        uint64_t series = gauge(names[mode], mode, 1);
        for (uint32_t i = 0; i < CHILDREN; i++)
            segwriter_fgauge(writer, series, i + 2, words[i], values[i]);
    }
    take();
    assert_near(only(SEGWRITER_SUM)->real, 2, 0);
    assert_near(only(SEGWRITER_MIN)->real, -0.5, 0);
    assert_near(only(SEGWRITER_MAX)->real, 2.25, 0);
    assert_near(only(SEGWRITER_AVG)->real, 2.0 / 3, 1e-12);
}

static void test_each(void **state)
{
    (void)state;
    start_children();
    uint64_t other = gauge("other", SEGWRITER_EACH, 0);
    uint64_t series = gauge("each", SEGWRITER_EACH, 1);
    segwriter_gauge(writer, other, 3, words[1], 5);
    segwriter_fgauge(writer, series, 2, words[0], 1.5);
    segwriter_fgauge(writer, series, 4, words[2], 2.5);
    segwriter_fgauge(writer, series, 0, SEGWRITER_SHARED_WORD, 9);
    take();
    const struct smx_each_list *list = &only(1)->each;
    assert_int_equal(list->n, 2);
    assert_int_equal(list->at[0].worker, 1);
    assert_near(list->at[0].value.real, 1.5, 0);
    assert_int_equal(list->at[1].worker, 3);
    assert_near(list->at[1].value.real, 2.5, 0);
    assert_int_equal(only(0)->each.n, 1);
    assert_int_equal(only(0)->each.at[0].value.integer, 5);
}

static void test_last(void **state)
{
    (void)state;
    uint64_t series = gauge("last", SEGWRITER_LAST, 0);
    uint64_t unset = gauge("unset", SEGWRITER_LAST, 0);
    segwriter_gauge(writer, series, 0, SEGWRITER_SHARED_WORD, 12);
    segwriter_gauge(writer, unset, 0, 0, 12);
    take();
    assert_true(only(0)->present);
    assert_int_equal(only(0)->integer, 12);
    assert_false(only(1)->present);
}

static void test_generations(void **state)
{
    (void)state;
    start_children();
    uint64_t series = gauge("sum", SEGWRITER_SUM, 0);
    uint64_t former = words[1] - (UINT64_C(1) << 32);
    segwriter_gauge(writer, series, 2, words[0], 1);
    segwriter_gauge(writer, series, 3, former, 10);
    segwriter_gauge(writer, series, 1, UINT64_C(2) << 32 | 1, 100);
    take();
    assert_int_equal(only(0)->integer, 1);
    end_child(&children[0]);
    take();
    assert_false(only(0)->present);
    assert_int_equal(only(0)->integer, 0);
}

#define TEST(function, name)                                                                       \
    {                                                                                              \
        name, function, setup, teardown, NULL                                                      \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_processes, "slots are listed, live while their lock is held"),
        TEST(test_killed, "a process killed by SIGKILL is dead at the next update"),
        TEST(test_phases, "a slot is live only in phase LIVE"),
        TEST(test_impostors, "read locks and other processes' locks make nobody live"),
        TEST(test_holders,
             "the holder of a lock is who the kernel says, whatever pid the slot names"),
        TEST(test_slots_used, "slots at or above slots_used are not read, nor any past the table"),
        TEST(test_integer_modes, "integer gauges combine by mode, with the spill row"),
        TEST(test_double_modes, "double gauges combine by mode"),
        TEST(test_each, "mode each lists live processes, not the spill row"),
        TEST(test_last, "mode last shows the one shared cell, with nobody alive"),
        TEST(test_generations, "values of the dead and of former occupants do not count"),
    };
    return RUN_TESTS(tests);
}
