/* SPDX-License-Identifier: MIT
 *
 * 00-format.c - the byte table is read three times: by libshm/layout.h, by the segment writer of
 * the tests, and by the table of fields that the tests spoil; the last two know nothing of libshm.
 * Here the readings meet: bytes that one wrote are looked at through the structures of the other.
 */
#include "support/tap.h"

#include "libshm/layout.h"
#include "libshm/metric/check.h"
#include "libshm/metric/seal.h"
#include "support/bytetable.h"
#include "support/segwriter.h"

#include <smx/smx.h>
#include <string.h>

static struct segwriter *writer;

static void copy_out(uint64_t at, void *to, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((unsigned char *)to)[i] = (unsigned char)segwriter_get(writer, at + i, 1);
}

static int setup(void **state)
{
    static const char *const labels[] = {"region", "eu", NULL};
    (void)state;
    writer = segwriter_new(&(struct segwriter_options){.app = "shop",
                                                       .instance = "blue",
                                                       .labels = labels,
                                                       .rows = 3,
                                                       .counter_stripes = 4,
                                                       .hist_stripes = 2,
                                                       .slots = 5,
                                                       .n_buckets = 32,
                                                       .capacity = 1 << 19});
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    segwriter_free(writer);
    return 0;
}

static void test_identity(void **state)
{
    struct smx__header h;
    (void)state;
    copy_out(0, &h, sizeof h);
    assert_int_equal(h.magic, SMX__MAGIC);
    assert_int_equal(h.byte_order, SMX__BYTE_ORDER);
    assert_int_equal(h.major, SMX__MAJOR);
    assert_int_equal(h.minor, SMX__MINOR);
    assert_int_equal(h.header_size, sizeof h);
    assert_int_equal(h.record_size, sizeof(struct smx__record));
    assert_int_equal(h.family_size, sizeof(struct smx__family));
    assert_int_equal(h.series_size, sizeof(struct smx__series));
    assert_int_equal(h.hist_size, sizeof(struct smx_hist));
    assert_int_equal(h.slot_size, sizeof(struct smx__slot));
}

static void test_geometry(void **state)
{
    struct smx__header h;
    (void)state;
    copy_out(0, &h, sizeof h);
    assert_int_equal(h.kind, SMX__KIND_PERCPU);
    assert_int_equal(h.rows, 3);
    assert_int_equal(h.counter_stripes, 4);
    assert_int_equal(h.hist_stripes, 2);
    assert_int_equal(h.slots, 5);
    assert_int_equal(h.capacity, 1 << 19);
    assert_int_equal(h.max_bytes, 1 << 19);
    assert_int_equal(h.n_buckets, 32);
    assert_int_equal(h.max_series, 2000);
    assert_int_equal(h.n_sections, 0);
    assert_true(h.buckets_at >= SMX__PAGE && h.slots_at > h.buckets_at);
    assert_int_equal(h.allocated, h.slots_at + 5 * sizeof(struct smx__slot));
    assert_true(h.reserved_to >= h.allocated);
}

static void test_texts(void **state)
{
    static const unsigned char labels[] = {6, 0, 'r', 'e', 'g', 'i', 'o', 'n', 2, 0, 'e', 'u'};
    struct smx__header h;
    (void)state;
    segwriter_lost(writer, SMX_LOST_NEGATIVE, 77);
    copy_out(0, &h, sizeof h);
    assert_string_equal(h.app, "shop");
    assert_string_equal(h.instance, "blue");
    assert_int_equal(h.labels_len, sizeof labels);
    assert_memory_equal(h.labels, labels, sizeof labels);
    assert_int_equal(h.lost[SMX_LOST_NEGATIVE], 77);
}

static void test_family(void **state)
{
    struct smx__family f;
    char text[sizeof "jobs_bytesbyteshelp\4\0kind"];
    (void)state;
    uint64_t at = segwriter_family(writer, &(struct segwriter_family){.name = "jobs_bytes",
                                                                      .unit = "bytes",
                                                                      .help = "help",
                                                                      .labels = {"kind"},
                                                                      .type = SEGWRITER_GAUGE,
                                                                      .mode = SEGWRITER_AVG,
                                                                      .is_double = 1,
                                                                      .digits = 3});
    copy_out(at, &f, sizeof f);
    assert_int_equal(f.record.kind, SMX__RECORD_FAMILY);
    assert_int_equal(f.record.size, (sizeof f + sizeof text - 1 + 7) / 8 * 8);
    assert_int_equal(f.type, SMX_GAUGE);
    assert_int_equal(f.mode, SMX_AVG);
    assert_int_equal(f.is_double, 1);
    assert_int_equal(f.digits, 3);
    assert_int_equal(f.n_labels, 1);
    assert_int_equal(f.name_len, 10);
    assert_int_equal(f.unit_len, 5);
    assert_int_equal(f.help_len, 4);
    copy_out(at + sizeof f, text, sizeof text - 1);
    assert_memory_equal(text, "jobs_bytesbyteshelp\4\0kind", sizeof text - 1);
}

static void test_series(void **state)
{
    struct smx__series s;
    struct smx__family f;
    (void)state;
    uint64_t family = segwriter_family(
        writer, &(struct segwriter_family){.name = "a", .type = SEGWRITER_COUNTER});
    uint64_t before = segwriter_get(writer, offsetof(struct smx__header, published), 8);
    uint64_t at = segwriter_series(writer, family, NULL);
    uint64_t overflow = segwriter_overflow(writer, family);
    segwriter_hide(writer, at, 1);
    copy_out(at, &s, sizeof s);
    copy_out(family, &f, sizeof f);
    assert_int_equal(s.record.kind, SMX__RECORD_SERIES);
    assert_int_equal(s.family * UINT64_C(8), family);
    assert_int_equal(s.state, SMX__HIDDEN);
    assert_int_equal(s.cell % SMX__PAGE, 0);
    assert_int_equal(f.n_series, 1);
    assert_int_equal(f.overflow, overflow);
    assert_int_equal(segwriter_get(writer, offsetof(struct smx__header, published), 8), before + 3);
}

/* Every record hangs on the chain that its hash names. */
static void test_chains(void **state)
{
    struct smx__header h;
    unsigned found = 0;
    (void)state;
    for (char name[] = "a0"; name[1] <= '9'; name[1]++)
        segwriter_family(writer,
                         &(struct segwriter_family){.name = name, .type = SEGWRITER_COUNTER});
    copy_out(0, &h, sizeof h);
    for (uint32_t i = 0; i < h.n_buckets; i++) {
        struct smx__record r;
        for (uint64_t at = segwriter_get(writer, h.buckets_at + 4 * i, 4) * 8; at;
             at = (uint64_t)r.next * 8) {
            copy_out(at, &r, sizeof r);
            assert_int_equal(r.hash & (h.n_buckets - 1), i);
            found++;
        }
    }
    assert_int_equal(found, 10);
}

static void test_histogram(void **state)
{
    static const double bounds[] = {0.1, 0.5, 2};
    struct smx__family f;
    struct smx_hist d;
    double stored[3];
    (void)state;
    uint64_t at = segwriter_family(writer, &(struct segwriter_family){.name = "h",
                                                                      .type = SEGWRITER_HISTOGRAM,
                                                                      .digits = 1,
                                                                      .bounds = bounds,
                                                                      .n_bounds = 3});
    copy_out(at, &f, sizeof f);
    copy_out(f.hist, &d, sizeof d);
    copy_out(f.hist_bounds, stored, sizeof stored);
    assert_int_equal(f.exponential, 0);
    assert_int_equal(f.n_bounds, 3);
    assert_memory_equal(stored, bounds, sizeof bounds);
    assert_int_equal(d.rows, 3);
    assert_int_equal(d.mask, 1);
    assert_int_equal(d.n_buckets, 4);
    assert_int_equal(d.stride, 128);
    /* The thresholds follow: 1, 5 and 20 ticks of a tenth. */
    assert_int_equal(segwriter_get(writer, f.hist + sizeof d + 8, 8), 5);
    assert_int_equal(segwriter_get(writer, f.hist + sizeof d + 24, 8), UINT64_MAX);
}

/* The descriptor that the segment writer computed sends values where libshm's update path says. */
static void test_histogram_index(void **state)
{
    static const double bounds[] = {1, 2, 3, 10, 1000, 1e6};
    static const uint64_t values[] = {0, 1, 2, 3, 4, 10, 11, 1000, 1001, 1000000, 1000001};
    static const uint32_t buckets[] = {0, 0, 1, 2, 3, 3, 4, 4, 5, 5, 6};
    static uint64_t descriptor[512];
    (void)state;
    uint64_t at = segwriter_family(
        writer, &(struct segwriter_family){
                    .name = "h", .type = SEGWRITER_HISTOGRAM, .bounds = bounds, .n_bounds = 6});
    uint64_t hist = segwriter_get(writer, at + offsetof(struct smx__family, hist), 8);
    copy_out(hist, descriptor, 64 + 7 * 8 + 2 * 520);
    const struct smx_hist *d = (const struct smx_hist *)descriptor;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        assert_int_equal(smx__histogram_index(d, values[i]), buckets[i]);
    assert_int_equal(smx__histogram_index(d, UINT64_MAX), 6);
}

static void test_slot(void **state)
{
    struct smx__header h;
    struct smx__slot s;
    (void)state;
    uint64_t word = segwriter_process(writer, 2,
                                      &(struct segwriter_process){.generation = 7,
                                                                  .pid = 4194303,
                                                                  .phase = SEGWRITER_LIVE,
                                                                  .pid_ns = 11,
                                                                  .start = 12,
                                                                  .heartbeat = 13,
                                                                  .role = "worker"});
    copy_out(0, &h, sizeof h);
    copy_out(h.slots_at + 2 * sizeof s, &s, sizeof s);
    assert_int_equal(s.state, UINT64_C(7) << 32 | UINT64_C(4194303) << 8 | SMX__SLOT_LIVE);
    assert_int_equal(s.pid_ns, 11);
    assert_int_equal(s.start, 12);
    assert_int_equal(s.heartbeat, 13);
    assert_string_equal(s.role, "worker");
    assert_int_equal(word, UINT64_C(7) << 32 | 3);
    assert_int_equal(SEGWRITER_LOCK_AT, SMX__LOCK_AT);
    assert_int_equal(SEGWRITER_SHARED_WORD, SMX__SHARED_WORD);
}

/* The fields of a table lie one behind the other, from the first byte to the last. */
static void check_table(const struct byte_table *table, size_t size)
{
    size_t end = 0;
    for (size_t i = 0; i < table->n; i++) {
        if (table->fields[i].at != end || table->fields[i].size == 0)
            fail_msg("%s: a gap, or an overlap, at %s", table->name, table->fields[i].name);
        end += table->fields[i].size;
    }
    assert_int_equal(end, table->size);
    assert_int_equal(end, size);
}

static void test_tables(void **state)
{
    (void)state;
    check_table(&byte_header, sizeof(struct smx__header));
    check_table(&byte_family, sizeof(struct smx__family));
    check_table(&byte_series, sizeof(struct smx__series));
    check_table(&byte_hist, sizeof(struct smx_hist));
    check_table(&byte_slot, sizeof(struct smx__slot));
    check_table(&byte_exemplars, sizeof(struct smx__exemplars));
    check_table(&byte_exemplar, sizeof(struct smx__exemplar));
    check_table(&byte_check, sizeof(struct smx__check));
    check_table(&byte_report, sizeof(struct smx__report));
    check_table(&byte_buckets, 4 * sizeof(uint32_t));
}

static void test_check(void **state)
{
    struct smx__check c;
    struct smx__report r;
    struct smx_cell cell;
    char texts[sizeof "redisCarts."];
    (void)state;
    uint64_t at = segwriter_check(
        writer, &(struct segwriter_check){
                    .name = "redis", .help = "Carts.", .interval_ms = 7, .critical = 1});
    uint64_t said = segwriter_report(writer, at,
                                     &(struct segwriter_report){.row = 2,
                                                                .owner = 9,
                                                                .time_ms = UINT64_C(1) << 41,
                                                                .state = SMX_CHECK_DEGRADED,
                                                                .message = "slow"});
    copy_out(at, &c, sizeof c);
    copy_out(at + sizeof c, texts, sizeof texts - 1);
    copy_out(said, &r, sizeof r);
    copy_out(c.cell + (2 << SMX_GAUGE_SHIFT), &cell, sizeof cell);
    assert_int_equal(c.record.kind, SMX__RECORD_CHECK);
    assert_int_equal(c.record.size, (sizeof c + sizeof texts - 1 + 7) / 8 * 8);
    assert_int_equal(c.name_len, 5);
    assert_int_equal(c.help_len, 6);
    assert_int_equal(c.announced, 1);
    assert_int_equal(c.terms, smx__check_terms(true, 7));
    assert_memory_equal(texts, "redisCarts.", sizeof texts - 1);
    assert_int_equal(said, at + offsetof(struct smx__check, reports) + sizeof r);
    assert_int_equal(cell.owner, 9);
    assert_int_equal(cell.value,
                     smx__check_value(SMX_CHECK_DEGRADED, (UINT64_C(1) << 41) * 1000000 + 999999));
    assert_int_equal(r.owner, 9);
    assert_int_equal(r.value, cell.value);
    assert_int_equal(r.length, 4);
    assert_memory_equal(r.text, "slow", 4);
    assert_int_equal(r.seal, smx__seal(&r, said));
}

static void test_rows(void **state)
{
    (void)state;
    uint64_t counters = segwriter_family(
        writer, &(struct segwriter_family){.name = "c", .type = SEGWRITER_COUNTER});
    uint64_t gauges =
        segwriter_family(writer, &(struct segwriter_family){.name = "g", .type = SEGWRITER_GAUGE});
    uint64_t counter = segwriter_series(writer, counters, NULL);
    uint64_t gauge = segwriter_series(writer, gauges, NULL);
    uint64_t first = segwriter_get(writer, counter + offsetof(struct smx__series, cell), 8);
    assert_int_equal(segwriter_cell(writer, counter, 6) - first, 6 << SMX_COUNTER_SHIFT);
    first = segwriter_get(writer, gauge + offsetof(struct smx__series, cell), 8);
    assert_int_equal(segwriter_cell(writer, gauge, 5) - first, 5 << SMX_GAUGE_SHIFT);
    segwriter_gauge(writer, gauge, 5, 21, -22);
    assert_int_equal(
        segwriter_get(writer, first + (5 << SMX_GAUGE_SHIFT) + offsetof(struct smx_cell, owner), 8),
        21);
    assert_int_equal(
        segwriter_get(writer, first + (5 << SMX_GAUGE_SHIFT) + offsetof(struct smx_cell, value), 8),
        (uint64_t)-22);
}

#define TEST(function, name)                                                                       \
    {                                                                                              \
        name, function, setup, teardown, NULL                                                      \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_identity, "the header says what it is and how large the structures are"),
        TEST(test_geometry, "the header's numbers lie where layout.h says"),
        TEST(test_texts, "names, constant labels and losses lie where layout.h says"),
        TEST(test_family, "a family's fields and strings lie where layout.h says"),
        TEST(test_series, "a series' fields lie where layout.h says"),
        TEST(test_chains, "every record hangs on the chain of its hash"),
        TEST(test_histogram, "a histogram's descriptor and bounds lie where layout.h says"),
        TEST(test_histogram_index, "a value goes to the bucket whose bounds hold it"),
        TEST(test_slot, "a process slot's fields lie where layout.h says"),
        TEST(test_check, "a check, a report and what goes with it lie where layout.h says"),
        TEST(test_tables, "the fields that tests spoil are every byte of every structure"),
        TEST(test_rows, "the rows of a cell lie where the update path goes"),
    };
    return RUN_TESTS(tests);
}
