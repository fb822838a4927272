/* SPDX-License-Identifier: MIT
 *
 * 30-upgrade.c - two versions of a program, or of the format, meet in one segment. The other
 * format's bytes are the segment writer's; what binaries of different ages do is 60-upgrade.bats.
 */
#include "libshm/layout.h"
#include "support/family.h"
#include "support/scratch.h"
#include "support/segwriter.h"
#include "support/tap.h"
#include "support/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <smx/reader.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { UPDATES = 1000, NEWER_KIND = 9, NEWER_SECTION = 77 };

static char directory[SCRATCH_SIZE];

/* Old and new take turns: each waits for its number. */
static uint32_t *turn;

static smx_segment *open_app(const char *app, unsigned flags, struct smx_diag *diag)
{
    smx_segment *segment;
    struct smx_options options = {
        .app = app, .directory = directory, .flags = flags, .slots = 8, .rows = 2};
    (void)smx_open(&options, &segment, diag);
    return segment;
}

static smx_reader *read_app(const char *app)
{
    char path[128];
    smx_reader *reader = NULL;
    struct smx_diag diag = {0};
    snprintf(path, sizeof path, "%s/%s.v1.smx", directory, app);
    if (smx_reader_open(path, &reader, &diag) != 0 || smx_reader_update(reader, &diag) != 0)
        fprintf(stderr, "# %s\n", diag.text);
    return reader;
}

static uint64_t count_of(const smx_reader *reader, const char *name)
{
    const struct smx_family_info *family = family_named(reader, name);
    return family && family->n_series ? family->series[0].count : UINT64_MAX;
}

/* What both versions have, but for its help. */
static smx_counter jobs(smx_segment *segment, const char *help, struct smx_diag *diag)
{
    return smx_counter_new(segment, &(struct smx_metric){.name = "jobs_total", .help = help}, diag);
}

static smx_histogram latency(smx_segment *segment, const double *bounds, struct smx_diag *diag)
{
    return smx_histogram_new(
        segment,
        &(struct smx_metric){.name = "latency", .help = "Waits.", .bounds = bounds, .n_bounds = 2},
        diag);
}

static int be_the_old_one(void *argument)
{
    (void)argument;
    static const double bounds[] = {1, 2};
    smx_segment *segment = open_app("shop", 0, NULL);
    CHECK(segment);
    struct smx_diag diag = {0};
    smx_counter done = jobs(segment, "Jobs done.", &diag);
    smx_histogram waits = latency(segment, bounds, &diag);
    smx_gauge depth =
        smx_gauge_new(segment, &(struct smx_metric){.name = "depth", .help = "Queue."}, &diag);
    CHECK(diag.code == 0);
    smx_gauge_set(depth, 3);
    worker_arrive(turn);
    for (int i = 0; i < UPDATES; i++) {
        smx_counter_inc(done);
        smx_histogram_observe(waits, 1.5);
    }
    CHECK(worker_reach(turn, 2));
    smx_counter_inc(done);
    worker_arrive(turn);
    CHECK(worker_reach(turn, 4));
    return 0;
}

static int be_the_new_one(void *argument)
{
    (void)argument;
    static const double bounds[] = {1, 4};
    smx_segment *segment = open_app("shop", 0, NULL);
    CHECK(segment);
    struct smx_diag diag = {0};
    smx_counter done = jobs(segment, "Jobs done, since the start.", &diag);
    smx_counter more = smx_counter_new(
        segment, &(struct smx_metric){.name = "retries_total", .help = "New."}, &diag);
    CHECK(diag.code == 0);
    smx_histogram waits = latency(segment, bounds, &diag);
    CHECK(diag.code == -EEXIST && strstr(diag.text, "latency") && strstr(diag.text, "buckets"));
    diag = (struct smx_diag){0};
    smx_counter depth =
        smx_counter_new(segment, &(struct smx_metric){.name = "depth", .help = "Queue."}, &diag);
    CHECK(diag.code == -EEXIST && strstr(diag.text, "depth") && strstr(diag.text, "type"));
    for (int i = 0; i < UPDATES; i++) {
        smx_counter_inc(done);
        smx_counter_inc(more);
        smx_histogram_observe(waits, 1.5);
        smx_counter_inc(depth);
    }
    return 0;
}

static void a_new_program_beside_the_old_one_loses_only_what_contradicts(void **state)
{
    (void)state;
    *turn = 0;
    pid_t old = worker_start(be_the_old_one, NULL);
    assert_true(worker_reach(turn, 1));
    int new = worker_run(be_the_new_one, NULL);
    worker_arrive(turn);
    assert_true(worker_reach(turn, 3));
    smx_reader *reader = read_app("shop");
    assert_non_null(reader);
    const struct smx_segment_info *info = smx_reader_info(reader);
    uint64_t jobs_total = count_of(reader, "jobs_total");
    uint64_t retries = count_of(reader, "retries_total");
    char help[32];
    snprintf(help, sizeof help, "%s", family_named(reader, "jobs_total")->help.at);
    uint64_t waits = family_named(reader, "latency")->series[0].histogram->count;
    int64_t depth = family_named(reader, "depth")->series[0].integer;
    uint64_t conflicts = info->lost[SMX_LOST_CONFLICT], errors = info->errors;
    smx_reader_close(reader);
    worker_arrive(turn);
    assert_int_equal(worker_wait(old), 0);
    assert_int_equal(new, 0);
    assert_int_equal(jobs_total, 2 * UPDATES + 1);
    assert_int_equal(retries, UPDATES);
    assert_string_equal(help, "Jobs done.");
    assert_int_equal(waits, UPDATES);
    assert_int_equal(depth, 3);
    assert_int_equal(conflicts, 2);
    assert_int_equal(errors, 0);
}

/* A segment as a newer minor version may leave it: sections and records of unknown kinds, in the
 * one chain with all others, and words in reserved places. */
static struct segwriter *write_newer_minor(const char *app)
{
    struct segwriter *w = segwriter_new(&(struct segwriter_options){.app = app, .n_buckets = 1});
    static const uint64_t reserved[] = {116, 312, 448, 1016, 1040, 1312, 2040};
    segwriter_put(w, 14, 2, 7);
    segwriter_put(w, 112, 4, 1);
    segwriter_put(w, 120, 4, NEWER_SECTION);
    segwriter_put(w, 124, 4, UINT32_MAX);
    segwriter_put(w, 128, 8, segwriter_allocated(w));
    segwriter_put(w, 136, 8, 4096);
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++)
        segwriter_put(w, reserved[i], 4, UINT32_MAX);
    segwriter_record(w, NEWER_KIND, 4096);
    uint64_t family = segwriter_family(w, &(struct segwriter_family){.name = "jobs_total",
                                                                     .help = "Jobs done.",
                                                                     .type = SEGWRITER_COUNTER});
    segwriter_record(w, NEWER_KIND, 0);
    segwriter_count(w, segwriter_series(w, family, NULL), 0, 41);
    segwriter_record(w, UINT16_MAX, 8);
    return w;
}

static void save(struct segwriter *w)
{
    char path[SEGWRITER_PATH_SIZE];
    assert_int_equal(segwriter_save(w, directory, path), 0);
    segwriter_free(w);
}

static void a_newer_minor_is_read_without_what_is_unknown(void **state)
{
    (void)state;
    save(write_newer_minor("newer"));
    smx_reader *reader = read_app("newer");
    assert_non_null(reader);
    const struct smx_segment_info *info = smx_reader_info(reader);
    assert_int_equal(info->minor, 7);
    assert_int_equal(info->n_families, 1);
    assert_int_equal(info->n_series, 1);
    assert_int_equal(info->errors, 0);
    assert_int_equal(count_of(reader, "jobs_total"), 41);
    smx_reader_close(reader);
}

static int start_or_go_on(void *argument)
{
    (void)argument;
    struct smx_diag diag = {0};
    smx_segment *segment = open_app("older", SMX_CONTINUE, &diag);
    CHECK(segment);
    smx_counter done = jobs(segment, "Jobs done.", &diag);
    smx_family kinds = smx_counter_family(
        segment, &(struct smx_metric){.name = "by_kind_total", .help = "", .labels = {"kind"}},
        &diag);
    CHECK(diag.code == 0);
    for (int i = 0; i < UPDATES; i++) {
        smx_counter_inc(done);
        smx_counter_inc(smx_counter_with(kinds, SMX_VALUES(i % 2 ? "odd" : "even")));
    }
    smx_counter more =
        smx_counter_new(segment, &(struct smx_metric){.name = "retries_total", .help = ""}, &diag);
    smx_counter_inc(more);
    CHECK(diag.code == 0);
    return 0;
}

/* Put at the head of every chain a record of an unknown kind, else like the one behind it. Returns
 * how many. */
static unsigned add_unknown_records(unsigned char *file)
{
    struct smx__header *h = (struct smx__header *)(void *)file;
    uint32_t *heads = (uint32_t *)(void *)(file + h->buckets_at);
    unsigned n = 0;
    for (uint32_t i = 0; i < h->n_buckets; i++) {
        if (heads[i] == 0)
            continue;
        const struct smx__record *first = (void *)(file + (uint64_t)heads[i] * 8);
        struct smx__record *record = (void *)(file + h->allocated);
        memcpy(record, first, first->size);
        record->next = heads[i];
        record->kind = NEWER_KIND;
        heads[i] = (uint32_t)(h->allocated / 8);
        h->allocated += first->size;
        n++;
    }
    return n;
}

/* What libshm wrote becomes what a newer minor version would have written. Its records take what
 * was reserved but not handed out. */
static void make_newer(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    unsigned char *file = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(file != MAP_FAILED);
    struct smx__header *h = (struct smx__header *)(void *)file;
    h->minor = 7;
    h->n_sections = 1;
    h->sections[0] = (struct smx__section){.type = NEWER_SECTION, .flags = 1, .at = 4096};
    h->reserved1 = h->reserved2[5] = h->reserved5[3] = UINT64_MAX;
    h->allocated = (h->allocated + 63) & ~UINT64_C(63);
    assert_true(h->reserved_to - h->allocated >= 4096);
    assert_true(add_unknown_records(file) >= 3);
    h->published++;
    munmap(file, (size_t)st.st_size);
    close(fd);
}

static void a_newer_minor_is_continued_past_what_is_unknown(void **state)
{
    (void)state;
    char path[128];
    struct stat before, after;
    snprintf(path, sizeof path, "%s/older.v1.smx", directory);
    assert_int_equal(worker_run(start_or_go_on, NULL), 0);
    assert_int_equal(stat(path, &before), 0);
    make_newer(path);
    assert_int_equal(worker_run(start_or_go_on, NULL), 0);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    smx_reader *reader = read_app("older");
    assert_non_null(reader);
    assert_int_equal(smx_reader_info(reader)->errors, 0);
    assert_int_equal(smx_reader_info(reader)->minor, 7);
    assert_int_equal(smx_reader_info(reader)->n_families, 3);
    assert_int_equal(count_of(reader, "jobs_total"), 2 * UPDATES);
    assert_int_equal(count_of(reader, "retries_total"), 2);
    const struct smx_family_info *kinds = family_named(reader, "by_kind_total");
    uint64_t sum = 0;
    for (size_t i = 0; i < kinds->n_series; i++)
        sum += kinds->series[i].count;
    assert_int_equal(kinds->n_series, 3); /* one is for overflow */
    assert_int_equal(sum, 2 * UPDATES);
    smx_reader_close(reader);
}

/* Structures that have grown are another layout, whatever the minor says: refused, not called
 * damaged, and left alone. */
static void grown_structures_are_refused_as_another_format(void **state)
{
    (void)state;
    for (uint64_t at = 16; at <= 26; at += 2) {
        char path[SEGWRITER_PATH_SIZE];
        struct segwriter *w = write_newer_minor("grown");
        segwriter_put(w, at, 2, segwriter_get(w, at, 2) + 8);
        assert_int_equal(segwriter_save(w, directory, path), 0);
        segwriter_free(w);
        struct stat before, after;
        struct smx_diag diag = {0};
        smx_reader *reader = NULL;
        assert_int_equal(stat(path, &before), 0);
        assert_int_equal(smx_reader_open(path, &reader, &diag), -EPROTONOSUPPORT);
        assert_non_null(strstr(diag.text, "format 1.7, this library reads 1."));
        assert_null(open_app("grown", 0, &diag));
        assert_int_equal(diag.code, -EPROTONOSUPPORT);
        assert_non_null(strstr(diag.text, path));
        assert_non_null(strstr(diag.text, "format 1.7, this library writes 1."));
        assert_int_equal(stat(path, &after), 0);
        assert_int_equal(before.st_ino, after.st_ino);
    }
}

static int start_beside_another_major(void *argument)
{
    (void)argument;
    struct smx_diag diag = {0};
    smx_segment *segment = open_app("major", 0, &diag);
    CHECK(segment && strstr(smx_path(segment), "/major.v1.smx"));
    smx_counter done = jobs(segment, "Jobs done.", &diag);
    smx_counter_inc(done);
    CHECK(diag.code == 0 && smx_counter_value(done) == 1);
    return 0;
}

/* The major is in the file's name: an old program and a new one have a file each. */
static void another_major_is_another_file(void **state)
{
    (void)state;
    char path[SEGWRITER_PATH_SIZE], newer[128];
    struct segwriter *w = segwriter_new(&(struct segwriter_options){.app = "major"});
    segwriter_put(w, 12, 2, 2);
    assert_int_equal(segwriter_save(w, directory, path), 0);
    segwriter_free(w);
    snprintf(newer, sizeof newer, "%s/major.v2.smx", directory);
    assert_int_equal(rename(path, newer), 0);
    assert_int_equal(worker_run(start_beside_another_major, NULL), 0);
    assert_int_equal(access(newer, F_OK), 0);
    struct smx_diag diag = {0};
    smx_reader *reader = NULL;
    assert_int_equal(smx_reader_open(newer, &reader, &diag), -EPROTONOSUPPORT);
    assert_non_null(strstr(diag.text, "major.v2.smx: format 2.1, this library reads 1."));
}

/* By a program, too, that goes on with what it finds of this boot. */
static void a_segment_of_a_boot_before_is_discarded(void **state)
{
    (void)state;
    char path[128];
    static const unsigned char other[16] = {0x5a};
    snprintf(path, sizeof path, "%s/older.v1.smx", directory);
    for (int turns = 0; turns < 2; turns++) {
        unlink(path);
        assert_int_equal(worker_run(start_or_go_on, NULL), 0);
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        if (turns == 1)
            assert_int_equal(pwrite(fd, other, sizeof other, offsetof(struct smx__header, boot_id)),
                             16);
        close(fd);
        assert_int_equal(worker_run(start_or_go_on, NULL), 0);
        smx_reader *reader = read_app("older");
        assert_non_null(reader);
        uint64_t count = count_of(reader, "jobs_total");
        smx_reader_close(reader);
        assert_int_equal(count, turns == 1 ? UPDATES : 2 * UPDATES);
    }
}

int main(void)
{
    turn = worker_shared(sizeof *turn);
    if (!turn || scratch_make(directory) != 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_program_beside_the_old_one_loses_only_what_contradicts),
        cmocka_unit_test(a_newer_minor_is_read_without_what_is_unknown),
        cmocka_unit_test(a_newer_minor_is_continued_past_what_is_unknown),
        cmocka_unit_test(grown_structures_are_refused_as_another_format),
        cmocka_unit_test(another_major_is_another_file),
        cmocka_unit_test(a_segment_of_a_boot_before_is_discarded),
    };
    int status = RUN_TESTS(tests);
    scratch_remove(directory);
    return status;
}
