/* SPDX-License-Identifier: MIT
 *
 * 30-truncate.c - the owner of a segment can cut it at any time. A reader that has it open says so
 * and keeps its snapshot; one that opens it refuses. No signal, at whatever moment it happens.
 */
#include "support/tap.h"

#include "support/scratch.h"
#include "support/segwriter.h"
#include "support/soundness.h"

#include <smx/reader.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CAPACITY = 1 << 18, SERIES = 700 };

static char directory[SCRATCH_SIZE];
static char path[SEGWRITER_PATH_SIZE];
static struct segwriter *writer;
static smx_reader *reader;
static struct smx_diag diag;

/* The file is cut to cut_to when this counts down to 0. */
static int preads_left = -1;
static off_t cut_to;

/* Stands in for libc's, which libshm.a calls: cuts the file between two system calls. */
ssize_t pread(int fd, void *to, size_t size, off_t at);
ssize_t pread(int fd, void *to, size_t size, off_t at)
{
    if (preads_left > 0 && --preads_left == 0)
        assert_int_equal(truncate(path, cut_to), 0);
    return syscall(SYS_pread64, fd, to, size, at);
}

static int setup(void **state)
{
    (void)state;
    alarm(120);
    writer = segwriter_new(&(struct segwriter_options){.app = "shop", .capacity = CAPACITY});
    uint64_t family = segwriter_family(
        writer,
        &(struct segwriter_family){.name = "a_total", .labels = {"n"}, .type = SEGWRITER_COUNTER});
    for (unsigned i = 0; i < SERIES; i++) {
        char value[16];
        snprintf(value, sizeof value, "%u", i);
        uint64_t series = segwriter_series(writer, family, (const char *const[]){value, NULL});
        segwriter_count(writer, series, i % 3, 1);
    }
    if (scratch_make(directory) != 0 || segwriter_save(writer, directory, path) != 0 ||
        smx_reader_open(path, &reader, &diag) != 0)
        return -1;
    return smx_reader_update(reader, &diag);
}

static int teardown(void **state)
{
    (void)state;
    smx_reader_close(reader);
    reader = NULL;
    segwriter_free(writer);
    scratch_remove(directory);
    return 0;
}

/* The snapshot is still, or again, the one of the whole file. */
static void check_whole(void)
{
    uint64_t sum = 0;
    const struct smx_family_info *f = smx_reader_family(reader, 0);
    assert_int_equal(f->n_series, SERIES);
    for (size_t i = 0; i < f->n_series; i++)
        sum += f->series[i].count;
    assert_int_equal(sum, SERIES);
}

static void test_every_page(void **state)
{
    (void)state;
    for (off_t length = CAPACITY - 1; length >= 0; length -= length % 4096 ? 4095 : 1) {
        smx_reader *fresh = NULL;
        assert_int_equal(truncate(path, length), 0);
        assert_int_equal(smx_reader_update(reader, &diag), -EIO);
        assert_non_null(strstr(diag.text, path));
        check_whole();
        int result = smx_reader_open(path, &fresh, &diag);
        assert_int_equal(result, length < 4096 ? -EPROTO : -EIO);
        assert_null(fresh);
    }
}

static void test_comes_back(void **state)
{
    (void)state;
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(smx_reader_update(reader, &diag), -EIO);
    assert_int_equal(truncate(path, CAPACITY), 0);
    assert_int_equal(smx_reader_update(reader, &diag), -EPROTO);
    check_whole();
    assert_int_equal(segwriter_rewrite(writer, path), 0);
    assert_int_equal(smx_reader_update(reader, &diag), 0);
    check_whole();
}

/* Cut the file at every system call of an update that reads names and values. */
static void test_between_calls(void **state)
{
    int failed = 0;
    (void)state;
    for (int call = 1; call < 100 && preads_left < 1; call++) {
        segwriter_put(writer, 1088, 8, segwriter_get(writer, 1088, 8) + 1);
        assert_int_equal(segwriter_rewrite(writer, path), 0);
        preads_left = call;
        cut_to = call % 2 ? 0 : 8192;
        int result = smx_reader_update(reader, &diag);
        assert_true(result == 0 || result == -EIO);
        failed += result == -EIO;
        assert_null(soundness_fault(reader));
        check_whole();
    }
    preads_left = -1;
    assert_true(failed >= 4);
}

/* A child cuts and restores the file while this process reads it: the cut falls between any two
 * system calls of an update. */
static void test_at_any_moment(void **state)
{
    enum { UPDATES = 3000 };
    (void)state;
    pid_t child = fork();
    if (child == 0)
        for (off_t length = 0;; length = (length + 4096) % CAPACITY)
            if (truncate(path, length) != 0 || segwriter_rewrite(writer, path) != 0)
                _exit(1);
    assert_true(child > 0);
    const char *fault = NULL;
    for (int i = 0; i < UPDATES && !fault; i++) {
        int result = smx_reader_update(reader, &diag);
        if (result != 0 && result != -EIO && result != -EPROTO && result != -EBADMSG)
            fault = "the error is not one of a cut file";
        if (!fault)
            fault = soundness_fault(reader);
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    if (fault)
        fail_msg("%s", fault);
    segwriter_put(writer, 1088, 8, UINT64_C(1) << 40);
    assert_int_equal(segwriter_rewrite(writer, path), 0);
    assert_int_equal(smx_reader_update(reader, &diag), 0);
    check_whole();
}

#define TEST(function, name)                                                                       \
    {                                                                                              \
        name, function, setup, teardown, NULL                                                      \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_every_page, "a file cut at any page is an error, and the snapshot stays"),
        TEST(test_comes_back, "a reader goes on once the file is whole again"),
        TEST(test_between_calls, "a file cut between two system calls of an update is an error"),
        TEST(test_at_any_moment, "a file cut at any moment never harms a reader"),
    };
    return RUN_TESTS(tests);
}
