/* SPDX-License-Identifier: MIT
 *
 * 10-swap.c - between the look at a name and its opening, or right behind its publication, somebody
 * puts something else there. The calls are wrapped by the linker, so that it happens each time.
 */
#include "libshm/layout.h"
#include "support/family.h"
#include "support/scratch.h"
#include "support/tap.h"
#include "support/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <smx/reader.h>
#include <smx/smx.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[SCRATCH_SIZE];
static char elsewhere[SCRATCH_SIZE];
static char name[128];  /* the segment's, in `directory` */
static char other[128]; /* that of another segment of the same application, `elsewhere` */

/* What happens in one call, once: before an open of the name, or behind a link to it. */
static void (*swap)(void);

static void swap_now(void)
{
    void (*now)(void) = swap;
    swap = NULL;
    if (now)
        now();
}

static bool is_segment(const char *path)
{
    const size_t length = strlen(path);
    return length > 4 && strcmp(path + length - 4, ".smx") == 0;
}

/* The mode is there or not; handed on it does no harm, as in shim/faults.c. */
int __real_open(const char *path, int flags, mode_t mode);
int __wrap_open(const char *path, int flags, mode_t mode);
int __wrap_open(const char *path, int flags, mode_t mode)
{
    if (is_segment(path))
        swap_now();
    return __real_open(path, flags, mode);
}

int __real_openat(int at, const char *path, int flags, mode_t mode);
int __wrap_openat(int at, const char *path, int flags, mode_t mode);
int __wrap_openat(int at, const char *path, int flags, mode_t mode)
{
    if (is_segment(path))
        swap_now();
    return __real_openat(at, path, flags, mode);
}

int __real_linkat(int from, const char *source, int to, const char *target, int flags);
int __wrap_linkat(int from, const char *source, int to, const char *target, int flags);
int __wrap_linkat(int from, const char *source, int to, const char *target, int flags)
{
    int result = __real_linkat(from, source, to, target, flags);
    if (result == 0 && is_segment(target))
        swap_now();
    return result;
}

static void becomes_a_link(void)
{
    (void)unlink(name);
    (void)symlink(other, name);
}

static void becomes_another(void)
{
    (void)rename(other, name);
}

static struct smx_options in(const char *where)
{
    return (struct smx_options){.app = "swap", .directory = where, .slots = 8};
}

static int hold(void *where)
{
    smx_segment *segment;
    struct smx_options options = in(where);
    CHECK(smx_open(&options, &segment, NULL) == 0);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    if (scratch_make(directory) != 0 || scratch_make(elsewhere) != 0)
        return -1;
    snprintf(name, sizeof name, "%s/swap.v1.smx", directory);
    snprintf(other, sizeof other, "%s/swap.v1.smx", elsewhere);
    swap = NULL;
    return worker_run(hold, elsewhere);
}

static int teardown(void **state)
{
    (void)state;
    scratch_remove(directory);
    scratch_remove(elsewhere);
    return 0;
}

static void an_opener_follows_no_link(void **state)
{
    (void)state;
    assert_int_equal(worker_run(hold, directory), 0);
    struct smx_options options = in(directory);
    smx_segment *segment;
    struct smx_diag diag;
    swap = becomes_a_link;
    assert_int_equal(smx_open(&options, &segment, &diag), -ELOOP);
    assert_null(swap);
    assert_non_null(strstr(diag.text, name));
}

static void a_reader_follows_no_link(void **state)
{
    (void)state;
    assert_int_equal(worker_run(hold, directory), 0);
    smx_reader *reader;
    struct smx_diag diag;
    swap = becomes_a_link;
    assert_int_equal(smx_reader_open(name, &reader, &diag), -ELOOP);
    assert_null(swap);
    assert_non_null(strstr(diag.text, name));
}

/* In a child, for a segment belongs to its process to the end. */
static int open_and_be_replaced(void *unused)
{
    (void)unused;
    struct smx_options options = in(directory);
    options.flags = SMX_CONTINUE;
    smx_segment *segment;
    struct stat had;
    struct stat st;
    CHECK(stat(other, &had) == 0);
    swap = becomes_another;
    CHECK(smx_open(&options, &segment, NULL) == 0);
    CHECK(!swap);
    CHECK(stat(name, &st) == 0 && st.st_ino == had.st_ino && st.st_dev == had.st_dev);
    /* What is counted is where everybody finds it. */
    smx_counter c = smx_counter_new(segment, &(struct smx_metric){.name = "c_total"}, NULL);
    smx_counter_add(c, 3);
    smx_reader *reader;
    CHECK(smx_reader_open(name, &reader, NULL) == 0);
    CHECK(smx_reader_update(reader, NULL) == 0);
    const struct smx_family_info *family = family_named(reader, "c_total");
    CHECK(family && family->series[0].count == 3);
    smx_reader_close(reader);
    return 0;
}

static void a_maker_whose_file_has_lost_its_name_at_once_takes_what_is_there(void **state)
{
    (void)state;
    assert_int_equal(worker_run(open_and_be_replaced, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_opener_follows_no_link, setup, teardown),
        cmocka_unit_test_setup_teardown(a_reader_follows_no_link, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_maker_whose_file_has_lost_its_name_at_once_takes_what_is_there, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
