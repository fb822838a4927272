/* SPDX-License-Identifier: MIT
 *
 * 10-obstacle.c - what can stand in an opener's way: files, owners, directories, limits. Each gives
 * its code and a diagnostic that names the file; nothing is harmed, errno is left alone, and what
 * goes on without a segment works.
 */
#include "libshm/layout.h"
#include "support/cells.h"
#include "support/scratch.h"
#include "support/tap.h"
#include "support/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

static char directory[SCRATCH_SIZE];

static uint32_t *shared; /* two words: arrived, go */

/* Open, expect a code and two words in the diagnostic. Also run as a child's body. */
static int expect(const struct smx_options *options, int code, const char *first,
                  const char *second)
{
    smx_segment *segment = (smx_segment *)(uintptr_t)1;
    struct smx_diag diag = {77, "untouched"};
    errno = 4321;
    int error = smx_open(options, &segment, &diag);
    CHECK(errno == 4321);
    if (error != code)
        fprintf(stderr, "# code %d, expected %d: %s\n", error, code, diag.text);
    CHECK(error == code);
    if (code == 0) {
        CHECK(segment && diag.code == 77 && strcmp(diag.text, "untouched") == 0);
        return 0;
    }
    CHECK(segment == NULL && diag.code == code);
    if (!strstr(diag.text, first) || !strstr(diag.text, second))
        fprintf(stderr, "# no \"%s\" or \"%s\" in: %s\n", first, second, diag.text);
    CHECK(strstr(diag.text, first) && strstr(diag.text, second));
    CHECK(smx_open(options, &segment, NULL) == code);
    return 0;
}

static struct smx_options in_scratch(const char *app)
{
    return (struct smx_options){.app = app, .directory = directory, .slots = 8};
}

static void path_of(const char *app, char path[128])
{
    snprintf(path, 128, "%s/%s.v1.smx", directory, app);
}

static void write_file(const char *path, const void *bytes, size_t size)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0640);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size), size);
    close(fd);
}

static void options_that_break_a_rule_are_named(void **state)
{
    (void)state;
    static const char *const bad_label[] = {"__a", "x", NULL};
    static const char *const no_value[] = {"a", NULL};
    static char long_name[70];
    memset(long_name, 'a', sizeof long_name - 1);
    const struct {
        struct smx_options options;
        const char *word;
    } cases[] = {
        {{.app = NULL}, "application name"},
        {{.app = ""}, "application name"},
        {{.app = "../up"}, "../up"},
        {{.app = long_name}, "application name"},
        {{.app = "a", .instance = "b/c"}, "b/c"},
        {{.app = "a", .name_prefix = "x\xff"}, "name_prefix"},
        {{.app = "a", .name_prefix = long_name}, "name_prefix"},
        {{.app = "a", .slots = 65537}, "slots"},
        {{.app = "a", .rows = 4097}, "rows"},
        {{.app = "a", .max_bytes = 4096}, "max_bytes"},
        {{.app = "a", .max_bytes = UINT64_MAX}, "max_bytes"},
        {{.app = "a", .constant_labels = bad_label}, "__a"},
        {{.app = "a", .constant_labels = no_value}, "constant label"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct smx_options options = cases[i].options;
        options.directory = directory;
        assert_int_equal(expect(&options, -EINVAL, cases[i].word, ""), 0);
    }
    assert_int_equal(expect(NULL, -EINVAL, "options", ""), 0);
}

static void files_in_the_way_are_named_and_left_alone(void **state)
{
    (void)state;
    char path[128];
    static const char garbage[8192] = "this is not a segment";
    path_of("garbage", path);
    write_file(path, garbage, sizeof garbage);
    struct smx_options options = in_scratch("garbage");
    assert_int_equal(expect(&options, -EPROTO, path, "not an smx segment"), 0);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, sizeof garbage);

    path_of("empty", path);
    write_file(path, "", 0);
    options = in_scratch("empty");
    assert_int_equal(expect(&options, -EPROTO, path, "not an smx segment"), 0);

    path_of("folder", path);
    assert_int_equal(mkdir(path, 0700), 0);
    options = in_scratch("folder");
    assert_int_equal(expect(&options, -EPROTO, path, "not a regular file"), 0);
    rmdir(path);

    path_of("fifo", path);
    assert_int_equal(mkfifo(path, 0640), 0);
    options = in_scratch("fifo");
    assert_int_equal(expect(&options, -EPROTO, path, "not a regular file"), 0);

    path_of("link", path);
    assert_int_equal(symlink("/dev/null", path), 0);
    options = in_scratch("link");
    assert_int_equal(expect(&options, -EPROTO, path, "not a regular file"), 0);
}

static int make_segment(void *app)
{
    struct smx_options options = in_scratch(app);
    return expect(&options, 0, "", "");
}

/* Change two bytes of yesterday's header. */
static void patch(const char *app, off_t at, uint16_t value)
{
    char path[128];
    path_of(app, path);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, &value, sizeof value, at), sizeof value);
    close(fd);
}

static void other_formats_and_damage_are_refused(void **state)
{
    (void)state;
    char path[128];
    assert_int_equal(worker_run(make_segment, "major"), 0);
    patch("major", offsetof(struct smx__header, major), 2);
    path_of("major", path);
    struct smx_options options = in_scratch("major");
    assert_int_equal(expect(&options, -EPROTONOSUPPORT, path, "2.1"), 0);

    static const size_t fields[] = {
        offsetof(struct smx__header, header_size),     offsetof(struct smx__header, slot_size),
        offsetof(struct smx__header, slots_at) + 4,    offsetof(struct smx__header, buckets_at) + 4,
        offsetof(struct smx__header, capacity),        offsetof(struct smx__header, n_buckets),
        offsetof(struct smx__header, counter_stripes), offsetof(struct smx__header, rows),
        offsetof(struct smx__header, slots) + 2,
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        path_of("damage", path);
        unlink(path);
        assert_int_equal(worker_run(make_segment, "damage"), 0);
        patch("damage", (off_t)fields[i], 0x7fff);
        options = in_scratch("damage");
        assert_int_equal(expect(&options, -EPROTO, path, "damaged"), 0);
    }
    assert_int_equal(worker_run(make_segment, "minor"), 0);
    patch("minor", offsetof(struct smx__header, minor), 7);
    options = in_scratch("minor");
    options.flags = SMX_CONTINUE;
    assert_int_equal(expect(&options, 0, "", ""), 0);
}

/* As a hard link to it does, where fs.protected_hardlinks is off. */
static void another_applications_segment_under_our_name_is_refused(void **state)
{
    (void)state;
    char bank[128], shop[128];
    path_of("bank", bank);
    path_of("shop", shop);
    assert_int_equal(worker_run(make_segment, "bank"), 0);
    assert_int_equal(link(bank, shop), 0);
    struct smx_options options = in_scratch("shop");
    assert_int_equal(expect(&options, -EPROTO, shop, "\"bank\""), 0);
    options.flags = SMX_CONTINUE;
    assert_int_equal(expect(&options, -EPROTO, shop, "\"bank\""), 0);
    unlink(shop);
    path_of("bank@blue", shop);
    assert_int_equal(link(bank, shop), 0);
    options = in_scratch("bank");
    options.instance = "blue";
    assert_int_equal(expect(&options, -EPROTO, shop, "\"bank\""), 0);
}

static int hold_as_another_user(void *argument)
{
    (void)argument;
    CHECK(setegid(65534) == 0 && seteuid(65534) == 0);
    struct smx_options options = in_scratch("foreign");
    CHECK(expect(&options, 0, "", "") == 0);
    worker_arrive(&shared[0]);
    CHECK(worker_reach(&shared[1], 1));
    return 0;
}

static int open_as_a_third_user(void *argument)
{
    (void)argument;
    CHECK(setegid(65533) == 0 && seteuid(65533) == 0);
    struct smx_options options = in_scratch("foreign");
    CHECK(expect(&options, -EPERM, "foreign.v1.smx", "65534") == 0);
    options.flags = SMX_ALLOW_FOREIGN; /* is root's alone */
    CHECK(expect(&options, -EPERM, "foreign.v1.smx", "65534") == 0);
    return 0;
}

static void another_users_segment_is_refused_unless_root_is_told(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        print_message("# not root: owners are not tried\n");
        return;
    }
    memset(shared, 0, 2 * sizeof *shared);
    assert_int_equal(chmod(directory, 01777), 0);
    pid_t holder = worker_start(hold_as_another_user, NULL);
    assert_true(worker_reach(&shared[0], 1));
    struct smx_options options = in_scratch("foreign");
    assert_int_equal(expect(&options, -EPERM, "foreign.v1.smx", "65534"), 0);
    assert_int_equal(worker_run(open_as_a_third_user, NULL), 0);
    options.flags = SMX_ALLOW_FOREIGN;
    assert_int_equal(expect(&options, 0, "", ""), 0);
    worker_arrive(&shared[1]);
    assert_int_equal(worker_wait(holder), 0);
    assert_int_equal(chmod(directory, 0700), 0);
}

static void directories_are_checked(void **state)
{
    (void)state;
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/missing", directory);
    struct smx_options options = {.app = "a", .directory = path};
    assert_int_equal(expect(&options, -ENOENT, path, "directory"), 0);
    snprintf(path, sizeof path, "%s/file", directory);
    write_file(path, "x", 1);
    assert_int_equal(expect(&options, -ENOTDIR, path, "directory"), 0);
    assert_int_equal(setenv("SMX_DIR", "/proc/self", 1), 0);
    options.directory = NULL;
    assert_int_equal(expect(&options, -ENOENT, "/proc/self", "tmpfs"), 0);
    assert_int_equal(setenv("SMX_DIR", directory, 1), 0);
    options.app = "by-environment";
    assert_int_equal(expect(&options, 0, "", ""), 0);
    snprintf(path, sizeof path, "%s/by-environment.v1.smx", directory);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(unsetenv("SMX_DIR"), 0);
}

static int open_without_write_access(void *argument)
{
    CHECK(geteuid() != 0 || seteuid(65534) == 0);
    struct smx_options options = {.app = "a", .directory = argument};
    return expect(&options, -EACCES, argument, "");
}

static void a_read_only_directory_is_refused(void **state)
{
    (void)state;
    char path[64];
    snprintf(path, sizeof path, "%s/readonly", directory);
    assert_int_equal(mkdir(path, 0555), 0);
    assert_int_equal(chmod(directory, 0755), 0);
    assert_int_equal(worker_run(open_without_write_access, path), 0);
    assert_int_equal(chmod(directory, 0700), 0);
    rmdir(path);
}

static void a_disk_is_refused_unless_asked_for(void **state)
{
    (void)state;
    char path[] = "/var/tmp/smx-test-XXXXXX";
    struct statfs fs;
    assert_non_null(mkdtemp(path));
    assert_int_equal(statfs(path, &fs), 0);
    struct smx_options options = {.app = "disk", .directory = path, .max_bytes = 1 << 20};
    if (fs.f_type == TMPFS_MAGIC) {
        print_message("# /var/tmp is on tmpfs: no disk to try\n");
    } else {
        assert_int_equal(expect(&options, -ENOENT, path, "tmpfs"), 0);
        options.flags = SMX_ALLOW_DISK;
        assert_int_equal(expect(&options, 0, "", ""), 0);
    }
    scratch_remove(path);
}

/* A limit, and what opening says under it. */
struct limited {
    int resource;
    rlim_t value;
    int code;
    const char *word;
};

static int open_limited(void *argument)
{
    const struct limited *l = argument;
    struct rlimit limit;
    getrlimit((__rlimit_resource_t)l->resource, &limit);
    limit.rlim_cur = l->value;
    CHECK(setrlimit((__rlimit_resource_t)l->resource, &limit) == 0);
    struct smx_options options = in_scratch("limited");
    CHECK(expect(&options, l->code, l->word, "") == 0);
    smx_segment *segment;
    (void)smx_open(&options, &segment, NULL);
    struct smx_metric metric = {.name = "c_total"};
    smx_counter counter = smx_counter_new(segment, &metric, NULL);
    smx_counter_inc(counter);
    CHECK(smx_counter_value(counter) == (l->code == 0));
    return 0;
}

static void limits_give_a_smaller_segment_or_an_error(void **state)
{
    (void)state;
    static struct limited cases[] = {
        {RLIMIT_FSIZE, 0, -EFBIG, "RLIMIT_FSIZE"},
        {RLIMIT_FSIZE, 65536, -EFBIG, "RLIMIT_FSIZE"},
        {RLIMIT_FSIZE, 4 << 20, 0, ""},
        {RLIMIT_FSIZE, (4 << 20) + 1, 0, ""},
        {RLIMIT_NOFILE, 3, -EMFILE, "too many open files"},
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
        {RLIMIT_AS, 512 << 20, 0, ""},
#endif
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char path[128];
        path_of("limited", path);
        unlink(path);
        assert_int_equal(worker_run(open_limited, &cases[i]), 0);
    }
}

int main(void)
{
    shared = worker_shared(4096);
    if (!shared || scratch_make(directory) != 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_give_a_smaller_segment_or_an_error),
        cmocka_unit_test(options_that_break_a_rule_are_named),
        cmocka_unit_test(files_in_the_way_are_named_and_left_alone),
        cmocka_unit_test(other_formats_and_damage_are_refused),
        cmocka_unit_test(another_applications_segment_under_our_name_is_refused),
        cmocka_unit_test(another_users_segment_is_refused_unless_root_is_told),
        cmocka_unit_test(directories_are_checked),
        cmocka_unit_test(a_read_only_directory_is_refused),
        cmocka_unit_test(a_disk_is_refused_unless_asked_for),
    };
    int status = RUN_TESTS(tests);
    scratch_remove(directory);
    return status;
}
