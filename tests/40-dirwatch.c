/* SPDX-License-Identifier: MIT
 *
 * 40-dirwatch.c - the watch on the directories says when to look for segments.
 */
#include "agent/segments/dirwatch.h"
#include "support/scratch.h"
#include "support/tap.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_SIZE = 256 };

static void make_file(const char *directory, const char *name)
{
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
    assert_true(fd >= 0);
    close(fd);
}

static void count_change(void *context)
{
    ++*(unsigned *)context;
}

/* Turn until the watch says something, forget it, arm again. */
static void expect_change(struct loop *loop, struct dirwatch *watch, unsigned *changes)
{
    uint64_t end = loop_now_ns() + PATIENCE_NS;
    while (*changes == 0 && loop_now_ns() < end)
        assert_int_equal(loop_turn(loop, 100000000), 0);
    assert_true(*changes > 0);
    assert_int_equal(dirwatch_arm(watch), 0);
    assert_int_equal(loop_turn(loop, 0), 0);
    *changes = 0;
}

static void the_watch_tells_of_files_and_of_directories_that_come_level_by_level(void **state)
{
    struct loop *loop = NULL;
    struct dirwatch *watch = NULL;
    unsigned changes = 0;
    char directory[SCRATCH_SIZE], second[SCRATCH_SIZE + 8], deep[SCRATCH_SIZE + 16];
    char path[PATH_SIZE];
    (void)state;
    assert_int_equal(scratch_make(directory), 0);
    snprintf(second, sizeof second, "%s/second", directory);
    snprintf(deep, sizeof deep, "%s//deep/", second);
    snprintf(path, sizeof path, "%sshop.v1.smx", deep);
    assert_int_equal(loop_new(LOOP_AUTO, &loop), 0);
    const char *const paths[] = {deep, directory};
    assert_int_equal(dirwatch_new(loop, paths, 2, count_change, &changes, &watch), 0);
    assert_int_equal(dirwatch_arm(watch), 0);

    make_file(directory, "unrelated");
    assert_int_equal(loop_turn(loop, 0), 0);
    assert_int_equal(changes, 0);
    assert_int_equal(mkdir(second, 0755), 0);
    expect_change(loop, watch, &changes);
    assert_int_equal(mkdir(deep, 0755), 0);
    expect_change(loop, watch, &changes);
    make_file(deep, "shop.v1.smx");
    expect_change(loop, watch, &changes);
    assert_int_equal(unlink(path), 0);
    expect_change(loop, watch, &changes);
    assert_int_equal(rmdir(deep), 0);
    expect_change(loop, watch, &changes);
    make_file(directory, "till.v1.smx");
    expect_change(loop, watch, &changes);

    dirwatch_free(watch);
    loop_free(loop);
    scratch_remove(second);
    scratch_remove(directory);
}

static void other_directories_are_watched_instead(void **state)
{
    struct loop *loop = NULL;
    struct dirwatch *watch = NULL;
    unsigned changes = 0;
    char first[SCRATCH_SIZE], second[SCRATCH_SIZE];
    (void)state;
    assert_int_equal(scratch_make(first) | scratch_make(second), 0);
    assert_int_equal(loop_new(LOOP_AUTO, &loop), 0);
    assert_int_equal(
        dirwatch_new(loop, (const char *const[]){first}, 1, count_change, &changes, &watch), 0);
    assert_int_equal(dirwatch_arm(watch), 0);
    assert_int_equal(dirwatch_set(watch, (const char *const[]){second}, 1), 0);
    assert_int_equal(dirwatch_arm(watch), 0);
    make_file(first, "shop.v1.smx");
    for (int i = 0; i < 3; i++)
        assert_int_equal(loop_turn(loop, 0), 0);
    assert_int_equal(changes, 0);
    make_file(second, "shop.v1.smx");
    expect_change(loop, watch, &changes);
    dirwatch_free(watch);
    loop_free(loop);
    scratch_remove(first);
    scratch_remove(second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_watch_tells_of_files_and_of_directories_that_come_level_by_level),
        cmocka_unit_test(other_directories_are_watched_instead),
    };
    return RUN_TESTS(tests);
}
