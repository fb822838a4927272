/* SPDX-License-Identifier: MIT
 *
 * 30-corrupt.c - the segment is untrusted input. Every byte of the header, the tables and the
 * records is spoilt in turn, then many at once; whatever comes out must be an error code or a
 * snapshot that keeps the promises of <smx/reader.h>. A loop without end is ended by alarm(2),
 * which fails the program; wild pointers are for the asan preset to see. Damage with a name is in
 * 30-corrupt-records.c, truncation in 30-truncate.c.
 */
#include "support/tap.h"

#include "support/scratch.h"
#include "support/segwriter.h"
#include "support/soundness.h"

#include <smx/reader.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { HEADER = 4096, CAPACITY = 40, ALLOCATED = 1024, PUBLISHED = 1088 };

static char directory[SCRATCH_SIZE];
static char path[SEGWRITER_PATH_SIZE];
static struct segwriter *writer;
static smx_reader *reader;
static int file = -1;
static uint64_t structure_end; /* the tables and records lie below */
static size_t sound_series;

static uint64_t family(const char *name, uint8_t type, uint8_t mode)
{
    static const double bounds[] = {0.5, 1, 2};
    return segwriter_family(writer, &(struct segwriter_family){.name = name,
                                                               .unit = "",
                                                               .help = "What it is.",
                                                               .labels = {"code"},
                                                               .type = type,
                                                               .mode = mode,
                                                               .bounds = bounds,
                                                               .n_bounds = 3});
}

/* Everything a segment can hold, with the records first where possible: small, so that each of its
 * bytes can be spoilt in several ways. */
static void write_segment(void)
{
    static const char *const labels[] = {"region", "eu", NULL};
    static const char *const names[] = {"g_sum", "g_min", "g_max", "g_avg", "g_last", "g_each"};
    writer = segwriter_new(&(struct segwriter_options){
        .app = "shop", .instance = "blue", .labels = labels, .slots = 4, .n_buckets = 4});
    uint64_t histogram = family("h", SEGWRITER_HISTOGRAM, 0);
    uint64_t exponential = segwriter_family(
        writer, &(struct segwriter_family){
                    .name = "e", .type = SEGWRITER_HISTOGRAM, .schema = 1, .n_exponential = 6});
    uint64_t gauges[6], counter = family("c_total", SEGWRITER_COUNTER, 0);
    for (uint8_t mode = 0; mode < 6; mode++)
        gauges[mode] = family(names[mode], SEGWRITER_GAUGE, mode);
    uint64_t word = segwriter_process(
        writer, 1,
        &(struct segwriter_process){.pid = 7, .phase = SEGWRITER_LIVE, .role = "worker"});
    static const char *const values[2][2] = {{"200", NULL}, {"500", NULL}};
    for (unsigned i = 0; i < 2; i++) {
        for (unsigned mode = 0; mode < 6; mode++)
            segwriter_gauge(writer, segwriter_series(writer, gauges[mode], values[i]), 0,
                            SEGWRITER_SHARED_WORD, (int64_t)word);
        segwriter_bucket(writer, segwriter_series(writer, histogram, values[i]), 0, 2, 9);
        segwriter_count(writer, segwriter_series(writer, counter, values[i]), 1, 4);
    }
    segwriter_bucket(writer, segwriter_series(writer, exponential, NULL), 2, 3, 5);
    segwriter_overflow(writer, counter);
    structure_end = segwriter_allocated(writer);
}

static int setup(void **state)
{
    struct smx_diag diag;
    (void)state;
    alarm(ALARM_S);
    write_segment();
    if (scratch_make(directory) != 0 || segwriter_save(writer, directory, path) != 0 ||
        smx_reader_open(path, &reader, &diag) != 0 || smx_reader_update(reader, &diag) != 0)
        return -1;
    sound_series = smx_reader_info(reader)->n_series;
    file = open(path, O_RDWR | O_CLOEXEC);
    return file >= 0 && smx_reader_info(reader)->errors == 0 ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    close(file);
    smx_reader_close(reader);
    reader = NULL;
    segwriter_free(writer);
    scratch_remove(directory);
    return 0;
}

static void put(uint64_t at, const void *bytes, size_t size)
{
    assert_int_equal(pwrite(file, bytes, size, (off_t)at), size);
}

/* Move `published`, so that the next update reads the names again. */
static void publish(void)
{
    static uint64_t moves;
    moves++;
    put(PUBLISHED, &moves, sizeof moves);
}

/* Put back what the segment writer holds. */
static void restore(uint64_t at, size_t size)
{
    uint8_t sound[8];
    for (size_t i = 0; i < size; i++)
        sound[i] = (uint8_t)segwriter_get(writer, at + i, 1);
    put(at, sound, size);
}

static bool is_clear_error(int result)
{
    return result == -EPROTO || result == -EPROTONOSUPPORT || result == -EBADMSG || result == -EIO;
}

/* Read the damaged file with an old reader and with a new one. */
static void read_damaged(uint64_t at)
{
    struct smx_diag diag = {0};
    smx_reader *fresh = NULL;
    const char *fault = NULL;
    int result = smx_reader_update(reader, &diag);
    if (result != 0 && (!is_clear_error(result) || !strstr(diag.text, path)))
        fault = "the error is not clear";
    if (!fault)
        fault = soundness_fault(reader);
    result = smx_reader_open(path, &fresh, &diag);
    if (result == 0) {
        result = smx_reader_update(fresh, &diag);
        if (!fault && result == 0)
            fault = soundness_fault(fresh);
        smx_reader_close(fresh);
    }
    if (!fault && result != 0 && !is_clear_error(result))
        fault = "a new reader's error is not clear";
    if (fault)
        fail_msg("offset %llu: %s", (unsigned long long)at, fault);
}

/* Once the damage is undone everything is there again. */
static void check_recovered(void)
{
    struct smx_diag diag;
    publish();
    assert_int_equal(smx_reader_update(reader, &diag), 0);
    assert_int_equal(smx_reader_info(reader)->n_series, sound_series);
    assert_int_equal(smx_reader_info(reader)->errors, 0);
}

static void spoil_bytes(uint64_t from, uint64_t to)
{
    for (uint64_t at = from; at < to; at++) {
        uint8_t sound = (uint8_t)segwriter_get(writer, at, 1);
        const uint8_t spoilt[] = {0, 0xff, sound ^ 1, sound ^ 0x80, (uint8_t)(sound + 1)};
        for (size_t i = 0; i < sizeof spoilt; i++) {
            publish();
            put(at, &spoilt[i], 1);
            read_damaged(at);
        }
        restore(at, 1);
    }
    check_recovered();
}

static void spoil_words(uint64_t from, uint64_t to)
{
    static const uint64_t words[] = {UINT64_MAX, INT64_MAX,  UINT64_C(0xffffffff00000000),
                                     0xffffffff, 0x7fffffff, 4096};
    for (uint64_t at = from; at < to; at += 8) {
        for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
            publish();
            put(at, &words[i], sizeof words[i]);
            read_damaged(at);
        }
        restore(at, 8);
    }
    check_recovered();
}

static void test_header(void **state)
{
    (void)state;
    spoil_bytes(0, 448);
    spoil_bytes(1024, 1032);
    spoil_bytes(2048, 2080);
    spoil_words(0, HEADER);
}

static void test_structure(void **state)
{
    (void)state;
    /* The tables and records come before the first counters, whose extents begin on a page. */
    spoil_bytes(HEADER, 2 * HEADER);
    spoil_words(HEADER, structure_end);
}

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* Several bytes at once, mostly small changes of words that are not zero. */
static void test_random(void **state)
{
    enum { ROUNDS = 4000, WOUNDS = 6 };
    uint64_t seed = 0x736d78;
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t spoilt[WOUNDS];
        publish();
        for (int i = 0; i < WOUNDS; i++) {
            uint64_t at = next_random(&seed) % structure_end;
            for (int tries = 0; segwriter_get(writer, at, 1) == 0 && tries < 50; tries++)
                at = next_random(&seed) % structure_end;
            uint8_t byte = (uint8_t)next_random(&seed);
            put(at, &byte, 1);
            spoilt[i] = at;
        }
        read_damaged(spoilt[0]);
        for (int i = 0; i < WOUNDS; i++)
            restore(spoilt[i], 1);
    }
    check_recovered();
}

/* A file that says it is so long, and so much of it allocated. */
static int update_with(uint64_t capacity, uint64_t allocated)
{
    struct smx_diag diag;
    assert_int_equal(ftruncate(file, (off_t)capacity), 0);
    put(CAPACITY, &capacity, sizeof capacity);
    put(ALLOCATED, &allocated, sizeof allocated);
    publish();
    return smx_reader_update(reader, &diag);
}

/* Holes cost their writer nothing: a reader must not spend time and memory on gigabytes of them.
 * A sparse copy of a segment of the default budget is still read. */
static void test_holes(void **state)
{
    enum { MIB = 1 << 20 };
    (void)state;
    assert_int_equal(update_with(64 * MIB, 64 * MIB), 0);
    assert_int_equal(update_with(UINT64_C(4096) * MIB, UINT64_C(4096) * MIB), -EFBIG);
    assert_int_equal(update_with(66 * MIB, 65 * MIB), -EFBIG);
    assert_int_equal(fallocate(file, 0, 0, 66 * MIB), 0);
    assert_int_equal(update_with(66 * MIB, 65 * MIB), 0);
    assert_int_equal(smx_reader_info(reader)->n_series, sound_series);
}

#define TEST(function, name)                                                                       \
    {                                                                                              \
        name, function, setup, teardown, NULL                                                      \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_header, "no damaged byte or word of the header harms a reader"),
        TEST(test_structure, "no damaged byte or word of tables, records and cells harms a reader"),
        TEST(test_random, "no damage in several places at once harms a reader"),
        TEST(test_holes, "a reader refuses more than 64 MiB that are allocated and not there"),
    };
    return RUN_TESTS(tests);
}
