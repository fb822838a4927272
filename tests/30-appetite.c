/* SPDX-License-Identifier: MIT
 *
 * 30-appetite.c - what a segment can make a reader do is bounded by what is allocated in it: bytes
 * read, system calls, questions about locks, memory. Segments are built to ask for as much as
 * possible, and the work is counted, not timed: pread(2) and fcntl(2) pass by here on their way to
 * the kernel. RssAnon is the kernel's word on memory.
 */
#include "support/tap.h"

#include "support/scratch.h"
#include "support/segwriter.h"
#include "support/soundness.h"

#include <smx/reader.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, MIB = 1 << 20, SLOT_SIZE = 128, PUBLISHED = 1088, SLOTS_USED = 1096 };

static char directory[SCRATCH_SIZE];
static char path[SEGWRITER_PATH_SIZE];
static struct segwriter *writer;
static struct smx_diag diag;

/* What a reader has asked of the kernel. */
static struct {
    uint64_t bytes, reads, questions;
    uint64_t of_pages, slow; /* reads of more than a page; into memory that makes the copy slow */
    uint64_t question_ns;    /* that a question is said to take */
} work;

ssize_t pread(int fd, void *to, size_t size, off_t at);
ssize_t pread(int fd, void *to, size_t size, off_t at)
{
    work.reads++;
    work.bytes += size;
    uint64_t apart = ((uintptr_t)to - (uint64_t)at) % PAGE;
    work.of_pages += size > PAGE;
    work.slow += size > PAGE && apart > 0 && apart < 32;
    return syscall(SYS_pread64, fd, to, size, at);
}

int fcntl(int fd, int command, ...)
{
    va_list arguments;
    va_start(arguments, command);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    work.questions += command == F_OFD_GETLK;
    return (int)syscall(SYS_fcntl, fd, command, argument);
}

/* Time passes by questions alone. */
int clock_gettime(clockid_t clock, struct timespec *now)
{
    (void)clock;
    uint64_t ns = UINT64_C(1700000000000000000) + work.questions * work.question_ns;
    *now =
        (struct timespec){.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)};
    return 0;
}

static uint64_t anonymous_bytes(void)
{
    char line[128];
    unsigned long kib = 0;
    FILE *file = fopen("/proc/self/status", "re");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) && sscanf(line, "RssAnon: %lu", &kib) != 1)
        ;
    fclose(file);
    return (uint64_t)kib * 1024;
}

static int set_up(void **state)
{
    (void)state;
    alarm(ALARM_S);
    work.question_ns = 0;
    return scratch_make(directory);
}

static int tear_down(void **state)
{
    (void)state;
    segwriter_free(writer);
    writer = NULL;
    scratch_remove(directory);
    return 0;
}

/* All that is allocated, as the header says it. */
static void allocate_all(uint64_t bytes)
{
    segwriter_put(writer, 1024, 8, bytes);
    segwriter_put(writer, 1032, 8, bytes);
}

/* Take two snapshots, of names and values and of values alone, and hold them to what they may read
 * and keep: multiples of what is allocated. Returns what is kept. */
static uint64_t expect_bounded(uint64_t calls_a_mib)
{
    smx_reader *reader;
    uint64_t allocated = segwriter_allocated(writer);
    assert_int_equal(segwriter_save(writer, directory, path), 0);
    uint64_t before = anonymous_bytes();
    assert_int_equal(smx_reader_open(path, &reader, &diag), 0);
    for (int i = 0; i < 2; i++) {
        work.bytes = work.reads = 0;
        assert_int_equal(smx_reader_update(reader, &diag), 0);
        print_message("# %ju KiB allocated: %ju KiB by %ju calls\n", (uintmax_t)allocated / 1024,
                      (uintmax_t)work.bytes / 1024, (uintmax_t)work.reads);
        /* Unsound names are read a second time; values are read once. */
        assert_in_range(work.bytes, 1, 4 * allocated + MIB);
        assert_in_range(work.reads, 1, calls_a_mib * (allocated / MIB + 1));
    }
    assert_null(soundness_fault(reader));
    uint64_t kept = anonymous_bytes() - before;
    print_message("# %ju KiB in memory\n", (uintmax_t)kept / 1024);
#if !defined(__SANITIZE_ADDRESS__)
    assert_in_range(kept, 0, 6 * allocated + 2 * MIB);
#endif
    smx_reader_close(reader);
    return kept;
}

/* A chain that goes to and fro between two places: what lies between does not fit where blocks that
 * were read are kept, if that is of a fixed size. */
static void test_to_and_fro(void **state)
{
    const uint64_t apart = UINT64_C(128) * MIB, capacity = apart + UINT64_C(4) * MIB;
    (void)state;
    writer = segwriter_new(&(struct segwriter_options){.app = "shop", .capacity = capacity});
    uint64_t link = segwriter_get(writer, 88, 8);
    for (uint64_t at = MIB; apart + at + 16 < capacity; at += 16)
        for (unsigned i = 0; i < 2; i++) {
            segwriter_put(writer, link, 4, (at + i * apart) / 8);
            link = at + i * apart;
            segwriter_put(writer, link + 8, 2, 9);
            segwriter_put(writer, link + 12, 4, 16);
        }
    allocate_all(capacity);
    expect_bounded(1024);
}

/* Gauges of a segment with one slot: little lies together. */
static void test_scattered_gauges(void **state)
{
    enum { GAUGES = 30000 };
    (void)state;
    writer =
        segwriter_new(&(struct segwriter_options){.app = "shop", .slots = 1, .capacity = 8 * MIB});
    uint64_t family = segwriter_family(
        writer, &(struct segwriter_family){.name = "g", .type = SEGWRITER_GAUGE, .labels = {"n"}});
    for (unsigned i = 0; i < GAUGES; i++) {
        char value[16];
        snprintf(value, sizeof value, "%u", i);
        segwriter_series(writer, family, (const char *const[]){value, NULL});
    }
    expect_bounded(8192);
}

/* Sixteen labels without a name to speak of and without a value: what is made of each is larger
 * than what it was. */
static void test_empty_labels(void **state)
{
    enum { SERIES = 20000 };
    static const char *const values[] = {"", "", "", "", "", "", "", "",
                                         "", "", "", "", "", "", "", NULL};
    struct segwriter_family f = {.name = "c_total", .type = SEGWRITER_COUNTER};
    char names[16][2];
    (void)state;
    writer = segwriter_new(&(struct segwriter_options){.app = "shop", .capacity = 16 * MIB});
    for (unsigned i = 0; i < 16; i++) {
        names[i][0] = (char)('a' + i);
        names[i][1] = 0;
        f.labels[i] = names[i];
    }
    uint64_t family = segwriter_family(writer, &f);
    for (unsigned i = 0; i < SERIES; i++) {
        const char *all[17] = {0};
        char last[8];
        snprintf(last, sizeof last, "%u", i);
        memcpy(all, values, 15 * sizeof *all);
        all[15] = last;
        segwriter_series(writer, family, all);
    }
    expect_bounded(1024);
}

/* Histograms with a row as far from the next as can be, and next to nothing in it. */
static void test_long_strides(void **state)
{
    (void)state;
    writer =
        segwriter_new(&(struct segwriter_options){.app = "shop", .rows = 7, .capacity = 33 * MIB});
    uint64_t family = segwriter_family(
        writer, &(struct segwriter_family){
                    .name = "h", .labels = {"n"}, .type = SEGWRITER_HISTOGRAM, .n_exponential = 3});
    uint64_t hist = segwriter_get(writer, family + 32, 8);
    uint64_t series[4000];
    for (unsigned i = 0; i < 4000; i++) {
        char value[16];
        snprintf(value, sizeof value, "%u", i);
        series[i] = segwriter_series(writer, family, (const char *const[]){value, NULL});
    }
    /* Their rows overlap as combs do. */
    segwriter_put(writer, hist + 8, 4, MIB);
    for (unsigned i = 0; i < 4000; i++)
        segwriter_put(writer, series[i] + 24, 8, 16 * MIB + 72 * i);
    allocate_all(33 * MIB);
    expect_bounded(1024);
}

/* Where memory lies up to 31 bytes behind what a page of the file begins with, processors whose
 * kernel copies by rep movsb (Zen 3) take three times as long. */
static void test_pages_into_pages(void **state)
{
    smx_reader *reader;
    (void)state;
    writer = segwriter_new(&(struct segwriter_options){.app = "shop", .rows = 7, .capacity = MIB});
    uint64_t family = segwriter_family(
        writer, &(struct segwriter_family){.name = "c_total", .type = SEGWRITER_COUNTER});
    segwriter_count(writer, segwriter_series(writer, family, NULL), 0, 5);
    assert_int_equal(segwriter_save(writer, directory, path), 0);
    assert_int_equal(smx_reader_open(path, &reader, &diag), 0);
    work.of_pages = work.slow = 0;
    assert_int_equal(smx_reader_update(reader, &diag), 0);
    assert_int_equal(smx_reader_family(reader, 0)->series[0].count, 5);
    assert_true(work.of_pages > 0);
    assert_int_equal(work.slow, 0);
    smx_reader_close(reader);
}

/* A bound of the caller's: what is allocated must be there, and not be more. */
static void test_bound(void **state)
{
    smx_reader *reader;
    struct stat st;
    (void)state;
    writer = segwriter_new(&(struct segwriter_options){.app = "shop", .capacity = 8 * MIB});
    uint64_t family = segwriter_family(
        writer, &(struct segwriter_family){.name = "c_total", .type = SEGWRITER_COUNTER});
    segwriter_count(writer, segwriter_series(writer, family, NULL), 0, 1);
    uint64_t allocated = segwriter_allocated(writer);
    assert_int_equal(segwriter_save(writer, directory, path), 0);
    assert_int_equal(smx_reader_open(path, &reader, &diag), 0);
    smx_reader_bound(reader, allocated);
    assert_int_equal(smx_reader_update(reader, &diag), 0);
    smx_reader_bound(reader, allocated - 1);
    assert_int_equal(smx_reader_update(reader, &diag), -E2BIG);
    assert_non_null(strstr(diag.text, path));
    assert_int_equal(smx_reader_family(reader, 0)->series[0].count, 1);
    smx_reader_bound(reader, 8 * MIB);
    allocate_all(4 * MIB);
    assert_int_equal(segwriter_rewrite_header(writer, path), 0);
    assert_int_equal(smx_reader_update(reader, &diag), 0);
    allocate_all(5 * MIB);
    assert_int_equal(segwriter_rewrite_header(writer, path), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_true((uint64_t)st.st_blocks * 512 < 5 * MIB);
    assert_int_equal(smx_reader_update(reader, &diag), -EFBIG);
    smx_reader_bound(reader, 0);
    assert_int_equal(smx_reader_update(reader, &diag), 0);
    smx_reader_close(reader);
}

/* Each slot says that a process lives in it, and each question takes a millisecond, as behind many
 * locks. */
static void test_questions(void **state)
{
    enum { SLOTS = 65536, MOST = 100 };
    smx_reader *reader;
    (void)state;
    writer = segwriter_new(
        &(struct segwriter_options){.app = "shop", .slots = SLOTS, .capacity = 16 * MIB});
    for (unsigned i = 0; i < SLOTS; i++)
        (void)segwriter_process(writer, i, &(struct segwriter_process){.phase = SEGWRITER_LIVE});
    uint64_t family = segwriter_family(
        writer, &(struct segwriter_family){.name = "c_total", .type = SEGWRITER_COUNTER});
    segwriter_count(writer, segwriter_series(writer, family, NULL), 0, 5);
    assert_int_equal(segwriter_save(writer, directory, path), 0);
    assert_int_equal(smx_reader_open(path, &reader, &diag), 0);
    work.questions = 0;
    assert_int_equal(smx_reader_update(reader, &diag), 0);
    assert_int_equal(work.questions, SLOTS);
    assert_int_equal(smx_reader_info(reader)->errors, 0);
    work.question_ns = 1000000;
    work.questions = 0;
    assert_int_equal(smx_reader_update(reader, &diag), 0);
    assert_in_range(work.questions, MOST, MOST + 1);
    assert_int_equal(smx_reader_info(reader)->unsound[SMX_UNSOUND_PROCESS], SLOTS - work.questions);
    assert_int_equal(smx_reader_info(reader)->errors, SLOTS - work.questions);
    assert_int_equal(smx_reader_family(reader, 0)->series[0].count, 5);
    smx_reader_close(reader);
}

#define TEST(function, name)                                                                       \
    {                                                                                              \
        name, function, set_up, tear_down, NULL                                                    \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* The first: later on a malloc() may return anything. */
        TEST(test_pages_into_pages, "pages are read into pages"),
        TEST(test_to_and_fro, "a chain that goes to and fro has no byte read twice"),
        TEST(test_scattered_gauges, "gauges that lie apart take few calls"),
        TEST(test_empty_labels, "empty labels take little memory"),
        TEST(test_long_strides, "rows that lie far apart are not read many times"),
        TEST(test_bound, "a reader keeps to a bound"),
        TEST(test_questions, "locks that take too long to ask about are given up"),
    };
    return RUN_TESTS(tests);
}
