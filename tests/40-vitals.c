/* SPDX-License-Identifier: MIT
 *
 * 40-vitals.c - what a report on the health of applications has of the table of segments, which
 * moves on.
 */
#include "agent/segments/segments.h"
#include "agent/vitals.h"
#include "support/scratch.h"
#include "support/tap.h"

#include <fcntl.h>
#include <string.h>
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

/* Pages are made of a report for a while. */
static void a_report_keeps_the_names_of_what_cannot_be_read(void **state)
{
    char name[32];
    struct vitals vitals = {0};
    const struct health_rules none = {0};
    const struct log silent = {.fd = -1, .level = LOG_LEVEL_ERROR};
    const struct segments_options options = {.directories = (const char *const[]){directory},
                                             .n_directories = 1,
                                             .owner_bytes = 8 << 20,
                                             .log = &silent};
    struct segments *segments;
    (void)state;
    assert_int_equal(segments_new(&options, &segments), 0);
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
    alarm(60);
    if (scratch_make(directory) != 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_report_keeps_the_names_of_what_cannot_be_read)};
    int status = RUN_TESTS(tests);
    scratch_remove(directory);
    return status;
}
