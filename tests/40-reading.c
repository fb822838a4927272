/* SPDX-License-Identifier: MIT
 *
 * 40-reading.c - segments that are read in pieces, and some of them only: what is read of which,
 * and what becomes of what is damaged or too large.
 */
#include "agent/loop/loop.h"
#include "agent/segments/segments.h"
#include "support/scratch.h"
#include "support/segwriter.h"
#include "support/tap.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static struct fixture {
    char directory[SCRATCH_SIZE];
    struct log log;
    struct segments *segments;
    unsigned closed;
} f;

static void count_closing(void *context, smx_reader *reader)
{
    (void)context;
    (void)reader;
    f.closed++;
}

static int set_up(void **state)
{
    (void)state;
    const char *const directories[] = {f.directory};
    f.closed = 0;
    f.log = (struct log){.fd = open("/dev/null", O_WRONLY | O_CLOEXEC)};
    assert_int_equal(scratch_make(f.directory), 0);
    const struct segments_options options = {.directories = directories,
                                             .n_directories = 1,
                                             .owner_bytes = 8 << 20,
                                             .log = &f.log,
                                             .closing = count_closing};
    return segments_new(&options, &f.segments);
}

static int tear_down(void **state)
{
    (void)state;
    segments_free(f.segments);
    scratch_remove(f.directory);
    close(f.log.fd);
    return 0;
}

/* Have so much allocated in a segment that is served, and names that moved. */
static void grow(const char *path, uint64_t allocated, uint64_t published)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    if (allocated <= 8 << 20)
        assert_int_equal(fallocate(fd, 0, 0, (off_t)allocated), 0);
    assert_int_equal(pwrite(fd, &allocated, sizeof allocated, 1024), sizeof allocated);
    assert_int_equal(pwrite(fd, &published, sizeof published, 1088), sizeof published);
    close(fd);
}

/* A segment of which so much is allocated; 0: no more than it needs. */
static void save(const char *app, uint64_t allocated, char path[SEGWRITER_PATH_SIZE])
{
    struct segwriter *w =
        segwriter_new(&(struct segwriter_options){.app = app, .capacity = 8 << 20});
    if (allocated)
        segwriter_put(w, 1024, 8, allocated);
    assert_int_equal(segwriter_save(w, f.directory, path), 0);
    segwriter_free(w);
}

static const struct segment *find(const char *app)
{
    size_t n;
    const struct segment *list = segments_list(f.segments, &n);
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i].app, app) == 0)
            return &list[i];
    fail_msg("%s is not there", app);
    return NULL;
}

static uint64_t counted(const char *reason)
{
    size_t n;
    const struct self_count *errors = segments_errors(f.segments, &n);
    for (size_t i = 0; i < n; i++)
        if (strcmp(errors[i].name, reason) == 0)
            return errors[i].n;
    fail_msg("no errors of %s", reason);
    return 0;
}

static bool is_that(const void *context, const char *app)
{
    return strcmp(context, app) == 0;
}

static struct segments_wish wish_for(const char *app)
{
    return (struct segments_wish){is_that, app, UINT64_MAX, UINT64_MAX};
}

static void step_all(const struct segments_wish *wish)
{
    while (segments_step(f.segments, wish))
        continue;
}

static void what_is_wanted_alone_is_opened_and_served(void **state)
{
    (void)state;
    char path[SEGWRITER_PATH_SIZE];
    save("a", 0, path);
    save("b", 0, path);
    segments_scan(f.segments);
    const struct segments_wish a = wish_for("a");
    step_all(&a);
    assert_int_equal(find("a")->state, SEGMENT_NEW);
    assert_non_null(find("a")->reader);
    assert_null(segment_info(find("a")));
    segments_read(f.segments, &a);
    assert_int_equal(find("a")->state, SEGMENT_SERVED);
    assert_int_equal(find("b")->state, SEGMENT_NEW);
    assert_null(find("b")->reader);
    assert_true(segment_ok(find("b")));
}

static void what_was_read_since_or_found_later_is_not_wanted(void **state)
{
    (void)state;
    char path[SEGWRITER_PATH_SIZE];
    struct segments_wish a = wish_for("a");
    save("a", 0, path);
    segments_update(f.segments);
    a.since_ns = find("a")->read_ns + 1;
    assert_true(segments_wanted(find("a"), &a));
    a.since_ns--;
    assert_false(segments_wanted(find("a"), &a));
    a = wish_for("a");
    a.found_ns = find("a")->found_ns;
    assert_true(segments_wanted(find("a"), &a));
    a.found_ns--;
    assert_false(segments_wanted(find("a"), &a));
    assert_true(segments_wanted(find("a"), NULL));
}

/* Nobody's share is exceeded by those that are being read at the same time. */
static void what_is_read_in_pieces_has_its_share_too(void **state)
{
    (void)state;
    char path[SEGWRITER_PATH_SIZE];
    save("a", 5 << 20, path);
    save("b", 5 << 20, path);
    segments_scan(f.segments);
    assert_true(segments_step(f.segments, NULL));
    step_all(NULL);
    assert_int_equal(find("a")->state, SEGMENT_NEW);
    assert_int_equal(find("b")->state, SEGMENT_UNREADABLE);
    segments_read(f.segments, NULL);
    assert_int_equal(find("a")->state, SEGMENT_SERVED);
    assert_int_equal(find("b")->state, SEGMENT_UNREADABLE);
    assert_int_equal(counted("too_large"), 1);
}

static void what_grows_while_it_is_served_has_its_share_too(void **state)
{
    (void)state;
    char a[SEGWRITER_PATH_SIZE], b[SEGWRITER_PATH_SIZE];
    save("a", 0, a);
    save("b", 0, b);
    segments_update(f.segments);
    grow(b, 5 << 20, 1000);
    const struct segments_wish late = wish_for("b");
    step_all(&late);
    grow(a, 5 << 20, 1000);
    step_all(NULL);
    assert_int_equal(segment_info(find("b"))->allocated_bytes, 5 << 20);
    assert_true(segment_info(find("a"))->allocated_bytes < 1 << 20);
    assert_int_equal(f.closed, 0);
    segments_read(f.segments, NULL);
    assert_int_equal(find("a")->state, SEGMENT_UNREADABLE);
    assert_int_equal(find("b")->state, SEGMENT_SERVED);
    assert_int_equal(counted("too_large"), 1);
}

/* What it shows holds until then. It is not tried again at once, in one piece. */
static void what_is_served_and_cannot_be_read_ahead_is_left_out_when_it_is_read(void **state)
{
    (void)state;
    char path[SEGWRITER_PATH_SIZE];
    save("a", 0, path);
    segments_update(f.segments);
    grow(path, UINT64_MAX, 1000);
    step_all(NULL);
    grow(path, 1 << 20, 1001);
    step_all(NULL);
    assert_int_equal(find("a")->state, SEGMENT_SERVED);
    assert_int_equal(f.closed, 0);
    segments_read(f.segments, NULL);
    assert_int_equal(find("a")->state, SEGMENT_DAMAGED);
    segments_update(f.segments);
    assert_int_equal(find("a")->state, SEGMENT_SERVED);
}

static void what_is_damaged_while_it_is_read_is_left_out_once(void **state)
{
    (void)state;
    char path[SEGWRITER_PATH_SIZE];
    save("a", 0, path);
    segments_scan(f.segments);
    assert_true(segments_step(f.segments, NULL));
    assert_int_equal(truncate(path, 4096), 0);
    step_all(NULL);
    segments_read(f.segments, NULL);
    assert_int_equal(find("a")->state, SEGMENT_DAMAGED);
    assert_int_equal(counted("truncated"), 1);
    assert_int_equal(f.closed, 1);
}

static void what_is_replaced_before_it_is_opened_is_not_read(void **state)
{
    (void)state;
    char path[SEGWRITER_PATH_SIZE];
    save("a", 0, path);
    segments_scan(f.segments);
    save("a", 0, path);
    step_all(NULL);
    assert_int_equal(find("a")->state, SEGMENT_UNREADABLE);
    assert_int_equal(counted("replaced"), 1);
    segments_update(f.segments);
    assert_int_equal(find("a")->state, SEGMENT_SERVED);
}

static void what_was_given_up_is_read_anew(void **state)
{
    (void)state;
    char path[SEGWRITER_PATH_SIZE];
    save("a", 0, path);
    segments_update(f.segments);
    const uint64_t before = find("a")->read_ns;
    assert_true(segments_step(f.segments, NULL));
    segments_give_up(f.segments);
    assert_true(segments_step(f.segments, NULL));
    step_all(NULL);
    assert_int_equal(find("a")->read_ns, before);
    segments_read(f.segments, NULL);
    assert_true(find("a")->read_ns > before);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_is_wanted_alone_is_opened_and_served),
        TEST(what_was_read_since_or_found_later_is_not_wanted),
        TEST(what_is_read_in_pieces_has_its_share_too),
        TEST(what_grows_while_it_is_served_has_its_share_too),
        TEST(what_is_served_and_cannot_be_read_ahead_is_left_out_when_it_is_read),
        TEST(what_is_damaged_while_it_is_read_is_left_out_once),
        TEST(what_is_replaced_before_it_is_opened_is_not_read),
        TEST(what_was_given_up_is_read_anew),
    };
    return RUN_TESTS(tests);
}
