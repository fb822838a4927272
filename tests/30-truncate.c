/* SPDX-License-Identifier: MIT
 *
 * 30-truncate.c - the owner of a segment can cut it at any time. A reader that has it open says so
 * and keeps its snapshot; one that opens it refuses. No signal, at whatever moment it happens. And
 * where the file has holes, reading them takes no memory. That a mapping would give that signal and
 * take that memory is shown, too.
 */
#include "support/tap.h"

#include "support/scratch.h"
#include "support/segwriter.h"
#include "support/soundness.h"
#include "support/worker.h"

#include <smx/reader.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CAPACITY = 1 << 18, SERIES = 700, ROWS = 3 };

static char directory[SCRATCH_SIZE];
static char path[SEGWRITER_PATH_SIZE];
static struct segwriter *writer;
static uint64_t first_series;
static smx_reader *reader;
static struct smx_diag diag;

/* The file is cut to cut_to when this counts down to 0. */
static int preads_left = -1;
static off_t cut_to;

/* Reads of the file that gave less than was asked for; and that gave some of it. */
static unsigned short_reads, partial_reads;

/* Stands in for libc's, which libshm.a calls: cuts the file between two system calls. */
ssize_t pread(int fd, void *to, size_t size, off_t at);
ssize_t pread(int fd, void *to, size_t size, off_t at)
{
    if (preads_left > 0 && --preads_left == 0)
        assert_int_equal(truncate(path, cut_to), 0);
    ssize_t n = syscall(SYS_pread64, fd, to, size, at);
    short_reads += n >= 0 && (size_t)n < size;
    partial_reads += n > 0 && (size_t)n < size;
    return n;
}

static int setup(void **state)
{
    (void)state;
    alarm(ALARM_S);
    writer = segwriter_new(&(struct segwriter_options){.app = "shop", .capacity = CAPACITY});
    uint64_t family = segwriter_family(
        writer,
        &(struct segwriter_family){.name = "a_total", .labels = {"n"}, .type = SEGWRITER_COUNTER});
    for (unsigned i = 0; i < SERIES; i++) {
        char value[16];
        snprintf(value, sizeof value, "%u", i);
        uint64_t series = segwriter_series(writer, family, (const char *const[]){value, NULL});
        segwriter_count(writer, series, i % ROWS, 1);
        first_series = i == 0 ? series : first_series;
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

/* Cut the file before a system call of an update that reads names and values. Returns: whether the
 * update came so far. */
static bool cut_before(int call, off_t length)
{
    segwriter_put(writer, 1088, 8, segwriter_get(writer, 1088, 8) + 1);
    assert_int_equal(segwriter_rewrite(writer, path), 0);
    unsigned before = short_reads;
    preads_left = call;
    cut_to = length;
    int result = smx_reader_update(reader, &diag);
    bool reached = preads_left == 0;
    preads_left = -1;
    /* An error if and only if a read has met the end. */
    assert_int_equal(result, short_reads > before ? -EIO : 0);
    assert_null(soundness_fault(reader));
    check_whole();
    return reached;
}

/* At every system call to every number of pages, and to half of one. */
static void test_between_calls(void **state)
{
    int call = 1;
    (void)state;
    short_reads = partial_reads = 0;
    for (bool reached = true; reached; call++)
        for (off_t length = 0; length < CAPACITY && reached; length += length % 4096 ? 2048 : 2049)
            reached = cut_before(call, length);
    print_message("# %d calls, %u short reads, %u of them of a part\n", call - 2, short_reads,
                  partial_reads);
    assert_true(call > 10 && short_reads > 100 && partial_reads > 0);
}

static int read_by_mapping(void *argument)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    const char *bytes = mmap(NULL, CAPACITY, PROT_READ, MAP_SHARED, fd, 0);
    CHECK(fd >= 0 && bytes != MAP_FAILED);
    if (argument)
        CHECK(ftruncate(fd, 4096) == 0);
    for (size_t i = 0; i < CAPACITY; i += 4096)
        (void)__atomic_load_n(&bytes[i], __ATOMIC_RELAXED);
    return 0;
}

static void test_control_signal(void **state)
{
    (void)state;
    assert_int_equal(worker_run(read_by_mapping, NULL), 0);
    assert_int_equal(worker_run(read_by_mapping, path), -SIGBUS);
}

static blkcnt_t blocks(void)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_blocks;
}

/* How many pages of the file are in memory, asked without touching one. */
static unsigned resident(void)
{
    unsigned char vector[CAPACITY / 4096];
    unsigned n = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    void *at = mmap(NULL, CAPACITY, PROT_READ, MAP_SHARED, fd, 0);
    assert_true(fd >= 0 && at != MAP_FAILED);
    assert_int_equal(mincore(at, CAPACITY, vector), 0);
    for (size_t i = 0; i < sizeof vector; i++)
        n += vector[i] & 1;
    munmap(at, CAPACITY);
    close(fd);
    return n;
}

static void test_holes(void **state)
{
    (void)state;
    smx_reader *fresh = NULL;
    uint64_t sum = 0;
    unsigned whole = resident();
    /* The cells of the first series, a page in each row. */
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                               (off_t)segwriter_cell(writer, first_series, 0), ROWS * (off_t)4096),
                     0);
    close(fd);
    blkcnt_t before = blocks();
    unsigned pages = resident();
    assert_int_equal(pages, whole - ROWS);
    for (int i = 0; i < 100; i++)
        assert_int_equal(smx_reader_update(reader, &diag), 0);
    assert_int_equal(smx_reader_open(path, &fresh, &diag), 0);
    assert_int_equal(smx_reader_update(fresh, &diag), 0);
    const struct smx_family_info *f = smx_reader_family(fresh, 0);
    for (size_t i = 0; i < f->n_series; i++)
        sum += f->series[i].count;
    smx_reader_close(fresh);
    assert_int_equal(sum, SERIES - 4096 / 8);
    assert_int_equal(blocks(), before);
    assert_int_equal(resident(), pages);
    /* That there was something to allocate. */
    assert_int_equal(worker_run(read_by_mapping, NULL), 0);
    assert_true(blocks() > before && resident() > pages);
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
        TEST(test_control_signal, "one that had it mapped would die of it"),
        TEST(test_holes, "reading holes allocates no page of the file, where a mapping would"),
    };
    return RUN_TESTS(tests);
}
