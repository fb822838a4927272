/* SPDX-License-Identifier: MIT
 *
 * 40-places.c - other directories of segments while it serves: those that stay are not touched,
 * what lies in the others is let go.
 */
#include "agent/segments/segments.h"
#include "support/scratch.h"
#include "support/segwriter.h"
#include "support/tap.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PLACES = 3 };

static char places[PLACES][SCRATCH_SIZE];
static struct log silent;
static unsigned closed;

static void count_closing(void *context, smx_reader *reader)
{
    (void)context;
    assert_non_null(reader);
    closed++;
}

static void write_segment(const char *directory, const char *app)
{
    char path[SEGWRITER_PATH_SIZE];
    struct segwriter *w = segwriter_new(&(struct segwriter_options){.app = app});
    assert_int_equal(segwriter_save(w, directory, path), 0);
    segwriter_free(w);
}

static struct segments *look(const char *const directories[], size_t n)
{
    struct segments *segments = NULL;
    const struct segments_options options = {
        .directories = directories, .n_directories = n, .log = &silent, .closing = count_closing};
    assert_int_equal(segments_new(&options, &segments), 0);
    segments_update(segments);
    closed = 0;
    return segments;
}

static void set(struct segments *segments, const char *const directories[], size_t n,
                uint64_t owner_bytes)
{
    struct places *new;
    assert_int_equal(places_new(directories, n, &new), 0);
    segments_set(segments, new, owner_bytes);
}

/* The segments and their states, as "cart:served shop:shadowed". */
static void expect(const struct segments *segments, const char *expected)
{
    char found[256] = "";
    size_t n;
    const struct segment *list = segments_list(segments, &n);
    for (size_t i = 0; i < n; i++)
        snprintf(found + strlen(found), sizeof found - strlen(found), "%s%s:%s", i ? " " : "",
                 list[i].app, segment_state_name(list[i].state));
    assert_string_equal(found, expected);
}

static void what_lies_in_a_directory_that_stays_is_not_touched(void **state)
{
    (void)state;
    const char *const before[] = {places[0], places[1]}, *const after[] = {places[2], places[1]};
    struct segments *segments = look(before, 2);
    size_t n;
    expect(segments, "cart:served shop:served shop:shadowed");
    smx_reader *cart = segments_list(segments, &n)[0].reader;
    set(segments, after, 2, 0);
    assert_int_equal(closed, 1);
    expect(segments, "cart:served shop:shadowed");
    segments_update(segments);
    expect(segments, "cart:served shop:served till:served");
    assert_ptr_equal(segments_list(segments, &n)[0].reader, cart);
    assert_int_equal(closed, 1);
    segments_free(segments);
}

static void the_order_of_the_directories_is_that_of_precedence(void **state)
{
    (void)state;
    const char *const before[] = {places[0], places[1]}, *const after[] = {places[1], places[0]};
    struct segments *segments = look(before, 2);
    size_t n;
    set(segments, after, 2, 0);
    segments_update(segments);
    expect(segments, "cart:served shop:served shop:shadowed");
    const struct segment *list = segments_list(segments, &n);
    assert_string_equal(list[1].directory->path, places[1]);
    assert_int_equal(closed, 0);
    segments_free(segments);
}

static void the_default_ones_take_their_place_and_leave_it(void **state)
{
    (void)state;
    const char *const named[] = {places[2]};
    size_t n;
    assert_int_equal(setenv("SMX_DIR", places[0], 1), 0);
    struct segments *segments = look(NULL, 0);
    assert_true(segments_directories(segments, &n)[0].by_default);
    set(segments, named, 1, 0);
    segments_update(segments);
    expect(segments, "till:served");
    set(segments, NULL, 0, 0);
    segments_update(segments);
    expect(segments, "shop:served");
    segments_free(segments);
    assert_int_equal(unsetenv("SMX_DIR"), 0);
}

static void another_limit_holds_from_the_next_look_on(void **state)
{
    (void)state;
    const char *const named[] = {places[2]};
    struct segments *segments = look(named, 1);
    set(segments, named, 1, 1000);
    segments_update(segments);
    expect(segments, "till:unreadable");
    segments_free(segments);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_lies_in_a_directory_that_stays_is_not_touched),
        cmocka_unit_test(the_order_of_the_directories_is_that_of_precedence),
        cmocka_unit_test(the_default_ones_take_their_place_and_leave_it),
        cmocka_unit_test(another_limit_holds_from_the_next_look_on),
    };
    silent = (struct log){.fd = open("/dev/null", O_WRONLY | O_CLOEXEC)};
    for (size_t i = 0; i < PLACES; i++)
        if (scratch_make(places[i]) != 0)
            return 1;
    write_segment(places[0], "shop");
    write_segment(places[1], "shop");
    write_segment(places[1], "cart");
    write_segment(places[2], "till");
    int rc = RUN_TESTS(tests);
    for (size_t i = 0; i < PLACES; i++)
        scratch_remove(places[i]);
    return rc;
}
