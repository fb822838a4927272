/* SPDX-License-Identifier: MIT
 *
 * 40-vitals.c - what a report on the health of applications has of the table of segments, which
 * moves on.
 */
#include "agent/segments/segments.h"
#include "agent/vitals.h"
#include "support/scratch.h"
#include "support/tap.h"

#include <smx/smx.h>

#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static char directory[SCRATCH_SIZE];

static void write_garbage(const char *name)
{
    char path[SCRATCH_SIZE + 64];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "garbage", 7), 7);
    close(fd);
}

static struct segments *new_segments(void)
{
    static const struct log silent = {.fd = -1, .level = LOG_LEVEL_ERROR};
    const struct segments_options options = {.directories = (const char *const[]){directory},
                                             .n_directories = 1,
                                             .owner_bytes = 8 << 20,
                                             .log = &silent};
    struct segments *segments;
    assert_int_equal(segments_new(&options, &segments), 0);
    return segments;
}

static uint64_t wall_clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void wait_for_the_clock(uint64_t ns)
{
    const uint64_t until = wall_clock_ns() + ns;
    while (wall_clock_ns() < until)
        ;
}

/* However long it takes until what was read is shown, and however long it is. */
static void a_report_is_of_the_time_at_which_processes_were_read(void **state)
{
    enum { APART_NS = 20000000 };
    struct vitals vitals = {0};
    const struct health_rules none = {0};
    smx_segment *segment;
    (void)state;
    struct smx_options shop = {.app = "shop", .directory = directory};
    assert_int_equal(smx_open(&shop, &segment, NULL), 0);
    struct segments *segments = new_segments();
    segments_scan(segments);
    const uint64_t before = wall_clock_ns();
    while (segments_step(segments, NULL))
        ;
    const uint64_t after = wall_clock_ns();
    for (int i = 0; i < 2; i++) {
        wait_for_the_clock(APART_NS);
        if (i == 0)
            segments_read(segments, NULL);
        assert_int_equal(vitals_take(&vitals, segments, &none), 0);
        assert_int_equal(vitals.health.n, 1);
        const struct health_app *app = &vitals.health.apps[0];
        assert_true(app->source.age_ns >= APART_NS);
        assert_in_range(app->at_ns, before, after);
        assert_in_range(app->at_ns + app->source.age_ns, after, wall_clock_ns());
    }
    vitals_fini(&vitals);
    segments_free(segments);
    smx_close(segment);
    assert_int_equal(unlink(smx_path(segment)), 0);
}

/* Pages are made of a report for a while. */
static void a_report_keeps_the_names_of_what_cannot_be_read(void **state)
{
    char name[32];
    struct vitals vitals = {0};
    const struct health_rules none = {0};
    (void)state;
    struct segments *segments = new_segments();
    write_garbage("mmm@eu.v1.smx");
    segments_update(segments);
    assert_int_equal(vitals_take(&vitals, segments, &none), 0);
    assert_int_equal(vitals.health.n, 1);
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "a%d.v1.smx", i);
        write_garbage(name);
    }
    segments_update(segments);
    assert_string_equal(vitals.health.apps[0].source.app, "mmm");
    assert_string_equal(vitals.health.apps[0].source.instance, "eu");
    vitals_fini(&vitals);
    segments_free(segments);
}

int main(void)
{
    alarm(ALARM_S);
    if (scratch_make(directory) != 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_report_is_of_the_time_at_which_processes_were_read),
        cmocka_unit_test(a_report_keeps_the_names_of_what_cannot_be_read)};
    int status = RUN_TESTS(tests);
    scratch_remove(directory);
    return status;
}
