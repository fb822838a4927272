/* SPDX-License-Identifier: MIT
 *
 * 40-segments.c - which segment files the agent finds, opens, refuses and lets go.
 */
#include "agent/segments/segments.h"
#include "support/scratch.h"
#include "support/segwriter.h"
#include "support/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TEXT_SIZE = 1 << 16 };

/* A directory, a table that looks at it, and what the table logged. */
struct fixture {
    char directory[SCRATCH_SIZE];
    char second[SCRATCH_SIZE + 8]; /* a directory in it, made by the tests that need it */
    int log_fd;
    struct log log;
    struct segments *segments;
    unsigned closed;
};

static void count_closing(void *context, smx_reader *reader)
{
    struct fixture *f = context;
    assert_non_null(reader);
    f->closed++;
}

/* The tables of the tests allow each user eight megabytes. */
static struct segments *make_table_of(struct fixture *f, const char *const directories[], size_t n,
                                      size_t most)
{
    struct segments *segments = NULL;
    struct segments_options options = {.directories = directories,
                                       .n_directories = n,
                                       .most = most,
                                       .owner_bytes = 8 << 20,
                                       .log = &f->log,
                                       .closing = count_closing,
                                       .context = f};
    assert_int_equal(segments_new(&options, &segments), 0);
    return segments;
}

static struct segments *make_table(struct fixture *f, const char *const directories[], size_t n)
{
    return make_table_of(f, directories, n, 0);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    assert_int_equal(scratch_make(f->directory), 0);
    snprintf(f->second, sizeof f->second, "%s/second", f->directory);
    f->log_fd = memfd_create("log", MFD_CLOEXEC);
    assert_true(f->log_fd >= 0);
    f->log = (struct log){.fd = f->log_fd, .level = LOG_LEVEL_DEBUG};
    f->segments = make_table(f, (const char *const[]){f->directory}, 1);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    segments_free(f->segments);
    close(f->log_fd);
    scratch_remove(f->second);
    scratch_remove(f->directory);
    free(f);
    return 0;
}

/* How many lines of the log contain a text. */
static unsigned logged(const struct fixture *f, const char *text)
{
    static char log[TEXT_SIZE];
    unsigned n = 0;
    ssize_t length = pread(f->log_fd, log, sizeof log - 1, 0);
    assert_true(length >= 0);
    log[length] = 0;
    for (char *line = strtok(log, "\n"); line; line = strtok(NULL, "\n"))
        n += strstr(line, text) != NULL;
    return n;
}

/* Write a segment with one counter; a file that is there is replaced by a new one. */
static void write_segment(const char *directory, const char *app, uint64_t count, char *path)
{
    char ignored[SEGWRITER_PATH_SIZE];
    struct segwriter *w = segwriter_new(&(struct segwriter_options){.app = app});
    uint64_t family = segwriter_family(
        w, &(struct segwriter_family){.name = "orders_total", .type = SEGWRITER_COUNTER});
    segwriter_count(w, segwriter_series(w, family, NULL), 0, count);
    assert_int_equal(segwriter_save(w, directory, path ? path : ignored), 0);
    segwriter_free(w);
}

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static const char *path_in(const struct fixture *f, const char *name)
{
    static char path[SEGWRITER_PATH_SIZE];
    snprintf(path, sizeof path, "%s/%s", f->directory, name);
    return path;
}

/* Update, and find the segment of this name in the directory; NULL if there is none. */
static const struct segment *look(struct segments *segments, const char *directory,
                                  const char *name)
{
    size_t n;
    segments_update(segments);
    const struct segment *list = segments_list(segments, &n);
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i].name, name) == 0 &&
            strncmp(list[i].path, directory, strlen(directory)) == 0 &&
            list[i].path[strlen(directory)] == '/' &&
            !strchr(list[i].path + strlen(directory) + 1, '/'))
            return &list[i];
    return NULL;
}

static enum segment_state state_of(struct fixture *f, const char *name)
{
    const struct segment *segment = look(f->segments, f->directory, name);
    assert_non_null(segment);
    return segment->state;
}

static uint64_t count_of(const struct segment *segment)
{
    assert_non_null(segment);
    assert_non_null(segment->reader);
    return smx_reader_family(segment->reader, 0)->series[0].count;
}

/* How often a reason was counted. */
static uint64_t counted(const struct fixture *f, const char *reason)
{
    size_t n;
    const struct self_count *errors = segments_errors(f->segments, &n);
    while (n > 0 && strcmp(errors[n - 1].name, reason) != 0)
        n--;
    assert_true(n > 0);
    return errors[n - 1].n;
}

static void a_segment_is_found_read_and_let_go(void **state)
{
    struct fixture *f = *state;
    char path[SEGWRITER_PATH_SIZE];
    assert_null(look(f->segments, f->directory, "shop.v1.smx"));
    write_segment(f->directory, "shop", 41, path);
    const struct segment *shop = look(f->segments, f->directory, "shop.v1.smx");
    assert_int_equal(shop->state, SEGMENT_SERVED);
    assert_int_equal(count_of(shop), 41);
    unlink(path);
    assert_null(look(f->segments, f->directory, "shop.v1.smx"));
    assert_int_equal(f->closed, 1);
    assert_int_equal(logged(f, "serving segment"), 1);
    assert_int_equal(logged(f, "segment is gone"), 1);
}

static void a_replaced_file_is_read_anew(void **state)
{
    struct fixture *f = *state;
    write_segment(f->directory, "shop", 41, NULL);
    assert_int_equal(count_of(look(f->segments, f->directory, "shop.v1.smx")), 41);
    write_segment(f->directory, "shop", 7, NULL);
    assert_int_equal(count_of(look(f->segments, f->directory, "shop.v1.smx")), 7);
    assert_int_equal(f->closed, 1);
}

/* What becomes of a name between the look at it and its opening. */
static const char *slipped_in; /* NULL: nothing */

int __real_smx_reader_open(const char *path, smx_reader **out, struct smx_diag *diag);
int __wrap_smx_reader_open(const char *path, smx_reader **out, struct smx_diag *diag);
int __wrap_smx_reader_open(const char *path, smx_reader **out, struct smx_diag *diag)
{
    if (slipped_in)
        assert_int_equal(rename(slipped_in, path), 0);
    slipped_in = NULL;
    return __real_smx_reader_open(path, out, diag);
}

static void a_file_that_was_not_looked_at_is_not_read(void **state)
{
    struct fixture *f = *state;
    char other[SEGWRITER_PATH_SIZE];
    assert_int_equal(mkdir(f->second, 0700), 0);
    write_segment(f->directory, "shop", 41, NULL);
    write_segment(f->second, "shop", 7, other);
    slipped_in = other;
    assert_int_equal(state_of(f, "shop.v1.smx"), SEGMENT_UNREADABLE);
    assert_null(slipped_in);
    assert_int_equal(counted(f, "replaced"), 1);
    /* Now it is. */
    assert_int_equal(count_of(look(f->segments, f->directory, "shop.v1.smx")), 7);
}

static void an_abandoned_segment_is_still_served(void **state)
{
    struct fixture *f = *state;
    write_segment(f->directory, "shop", 41, NULL);
    const struct segment *shop = look(f->segments, f->directory, "shop.v1.smx");
    assert_int_equal(smx_reader_info(shop->reader)->n_live, 0);
    assert_int_equal(shop->state, SEGMENT_SERVED);
}

static void a_truncated_segment_is_damaged_and_the_rest_served(void **state)
{
    struct fixture *f = *state;
    char path[SEGWRITER_PATH_SIZE];
    write_segment(f->directory, "shop", 41, path);
    write_segment(f->directory, "till", 5, NULL);
    assert_int_equal(state_of(f, "shop.v1.smx"), SEGMENT_SERVED);
    assert_int_equal(truncate(path, 100), 0);
    assert_int_equal(state_of(f, "shop.v1.smx"), SEGMENT_DAMAGED);
    assert_int_equal(state_of(f, "till.v1.smx"), SEGMENT_SERVED);
    assert_int_equal(count_of(look(f->segments, f->directory, "till.v1.smx")), 5);
    assert_int_equal(f->closed, 1);
}

static void garbage_is_logged_once_and_again_for_a_new_inode(void **state)
{
    struct fixture *f = *state;
    const char *path = path_in(f, "shop.v1.smx");
    write_file(path, "not a segment");
    for (int i = 0; i < 5; i++)
        assert_int_equal(state_of(f, "shop.v1.smx"), SEGMENT_DAMAGED);
    assert_int_equal(logged(f, "segment left out"), 1);
    assert_int_equal(counted(f, "not_a_segment"), 5);
    write_file(path_in(f, "other"), "still not a segment");
    char other[SEGWRITER_PATH_SIZE];
    snprintf(other, sizeof other, "%s/other", f->directory);
    assert_int_equal(rename(other, path_in(f, "shop.v1.smx")), 0);
    assert_int_equal(state_of(f, "shop.v1.smx"), SEGMENT_DAMAGED);
    assert_int_equal(logged(f, "segment left out"), 2);
}

static void another_major_version_is_a_state_of_its_own(void **state)
{
    struct fixture *f = *state;
    char path[SEGWRITER_PATH_SIZE];
    struct segwriter *w = segwriter_new(&(struct segwriter_options){.app = "shop"});
    segwriter_put(w, 12, 2, 2); /* the header's major */
    assert_int_equal(segwriter_save(w, f->directory, path), 0);
    segwriter_free(w);
    assert_int_equal(rename(path, path_in(f, "shop.v2.smx")), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(state_of(f, "shop.v2.smx"), SEGMENT_UNSUPPORTED);
    assert_int_equal(logged(f, "state=unsupported"), 1);
}

static void a_link_is_refused_even_to_a_sound_segment(void **state)
{
    struct fixture *f = *state;
    char path[SEGWRITER_PATH_SIZE], hidden[SEGWRITER_PATH_SIZE];
    write_segment(f->directory, "shop", 41, path);
    snprintf(hidden, sizeof hidden, "%s/elsewhere", f->directory);
    assert_int_equal(rename(path, hidden), 0);
    assert_int_equal(symlink(hidden, path), 0);
    assert_int_equal(state_of(f, "shop.v1.smx"), SEGMENT_REFUSED);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rename(hidden, path), 0);
    assert_int_equal(state_of(f, "shop.v1.smx"), SEGMENT_SERVED);
}

static void what_is_no_regular_file_is_refused_without_being_opened(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(mkfifo(path_in(f, "pipe.v1.smx"), 0600), 0);
    assert_int_equal(state_of(f, "pipe.v1.smx"), SEGMENT_REFUSED);
    assert_int_equal(logged(f, "not a regular file"), 1);
}

/* Write a segment of which so much is allocated, and there. */
static void write_large(struct fixture *f, const char *app, uint64_t allocated)
{
    char path[SEGWRITER_PATH_SIZE];
    struct segwriter *w =
        segwriter_new(&(struct segwriter_options){.app = app, .capacity = 8 << 20});
    segwriter_put(w, 1024, 8, allocated);
    assert_int_equal(segwriter_save(w, f->directory, path), 0);
    segwriter_free(w);
}

static void no_user_has_more_read_than_his_share(void **state)
{
    struct fixture *f = *state;
    write_large(f, "large", 5 << 20);
    assert_int_equal(state_of(f, "large.v1.smx"), SEGMENT_SERVED);
    write_large(f, "second", 5 << 20);
    segments_update(f->segments);
    /* In the order in which the directory shows them. */
    bool first = state_of(f, "large.v1.smx") == SEGMENT_SERVED;
    bool second = state_of(f, "second.v1.smx") == SEGMENT_SERVED;
    assert_true(first != second);
    assert_int_equal(counted(f, "too_large"), 3);
    assert_int_equal(logged(f, "state=unreadable"), 1);
    if (geteuid() != 0) {
        print_message("# needs root to give a file away: not all tested\n");
        return;
    }
    assert_int_equal(chmod(f->directory, 01777), 0);
    assert_int_equal(chown(path_in(f, "second.v1.smx"), 12345, 12345), 0);
    assert_int_equal(state_of(f, "large.v1.smx"), SEGMENT_SERVED);
    assert_int_equal(state_of(f, "second.v1.smx"), SEGMENT_SERVED);
}

static void holes_are_not_read(void **state)
{
    struct fixture *f = *state;
    write_large(f, "sparse", 5 << 20);
    assert_int_equal(truncate(path_in(f, "sparse.v1.smx"), 16384), 0);
    assert_int_equal(truncate(path_in(f, "sparse.v1.smx"), 8 << 20), 0);
    assert_int_equal(state_of(f, "sparse.v1.smx"), SEGMENT_DAMAGED);
    assert_int_equal(counted(f, "holes"), 1);
}

static void a_segment_that_names_another_application_is_refused(void **state)
{
    struct fixture *f = *state;
    char path[SEGWRITER_PATH_SIZE];
    write_segment(f->directory, "shop", 41, path);
    assert_int_equal(rename(path, path_in(f, "bank.v1.smx")), 0);
    for (unsigned i = 1; i < 5; i++) {
        assert_int_equal(state_of(f, "bank.v1.smx"), SEGMENT_REFUSED);
        assert_int_equal(counted(f, "misnamed"), i);
        assert_int_equal(f->closed, i);
    }
    assert_int_equal(logged(f, "its header names another"), 1);
}

static void only_the_names_of_segments_are_looked_at(void **state)
{
    (void)state;
    static const char *const yes[] = {"a.v1.smx", "shop@blue.v1.smx", "a.b.v12.smx"};
    static const char *const no[] = {"a.smx",   ".v1.smx", ".a.v1.smx", "a.v.smx", "a.v1.smx.tmp",
                                     "av1.smx", "smx",     ".smx",      "",        "1.smx"};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
        assert_true(directory_names_segment(yes[i]));
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
        assert_false(directory_names_segment(no[i]));
}

static void owners_count_in_a_directory_that_is_not_sticky(void **state)
{
    (void)state;
    struct directory open = {.owner = geteuid(), .mode = S_IFDIR | 0777};
    struct directory sticky = {.owner = geteuid(), .mode = S_IFDIR | S_ISVTX | 0777};
    struct stat st = {.st_mode = S_IFREG | 0640, .st_uid = geteuid() + 1};
    assert_non_null(directory_refuses(&open, &st));
    assert_null(directory_refuses(&sticky, &st));
    open.owner = st.st_uid;
    assert_null(directory_refuses(&open, &st));
    open.owner = geteuid();
    st.st_uid = geteuid();
    assert_null(directory_refuses(&open, &st));
    st.st_uid = 0;
    assert_null(directory_refuses(&open, &st));
    st.st_mode = S_IFLNK | 0777;
    assert_non_null(directory_refuses(&sticky, &st));
}

static void of_one_name_in_two_directories_the_first_is_served(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(mkdir(f->second, 0755), 0);
    struct segments *both = make_table(f, (const char *const[]){f->directory, f->second}, 2);
    write_segment(f->directory, "shop", 1, NULL);
    write_segment(f->second, "shop", 2, NULL);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(look(both, f->directory, "shop.v1.smx")->state, SEGMENT_SERVED);
        assert_int_equal(look(both, f->second, "shop.v1.smx")->state, SEGMENT_SHADOWED);
    }
    assert_int_equal(logged(f, "state=shadowed"), 1);
    assert_int_equal(unlink(path_in(f, "shop.v1.smx")), 0);
    assert_int_equal(look(both, f->second, "shop.v1.smx")->state, SEGMENT_SERVED);
    segments_free(both);
}

static void of_one_name_roots_or_our_own_is_served_before_a_strangers(void **state)
{
    struct fixture *f = *state;
    char path[SEGWRITER_PATH_SIZE];
    if (geteuid() != 0) {
        print_message("# needs root to give a file away: not tested\n");
        return;
    }
    assert_int_equal(mkdir(f->second, 0755), 0);
    struct segments *both = make_table(f, (const char *const[]){f->directory, f->second}, 2);
    assert_int_equal(chmod(f->directory, 01777), 0);
    write_segment(f->directory, "shop", 1, path);
    assert_int_equal(chown(path, 12345, 12345), 0);
    assert_int_equal(look(both, f->directory, "shop.v1.smx")->state, SEGMENT_SERVED);
    write_segment(f->second, "shop", 2, NULL);
    assert_int_equal(look(both, f->directory, "shop.v1.smx")->state, SEGMENT_SHADOWED);
    assert_int_equal(look(both, f->second, "shop.v1.smx")->state, SEGMENT_SERVED);
    assert_int_equal(chmod(f->directory, 0755), 0);
    assert_int_equal(look(both, f->directory, "shop.v1.smx")->state, SEGMENT_REFUSED);
    segments_free(both);
}

static size_t count_served(struct segments *segments)
{
    size_t n, served = 0;
    segments_update(segments);
    const struct segment *list = segments_list(segments, &n);
    for (size_t i = 0; i < n; i++) {
        served += list[i].state == SEGMENT_SERVED;
        if (i > 0)
            assert_true(strcmp(list[i - 1].name, list[i].name) < 0);
    }
    return served;
}

static void of_hundreds_that_come_and_go_each_is_found_once(void **state)
{
    struct fixture *f = *state;
    enum { MANY = 300 };
    char app[32], paths[MANY][SEGWRITER_PATH_SIZE];
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(app, sizeof app, "app%u", i * 7 % MANY);
        write_segment(f->directory, app, i, paths[i]);
        if (i == MANY / 2)
            assert_int_equal(count_served(f->segments), i + 1);
    }
    assert_int_equal(count_served(f->segments), MANY);
    for (unsigned i = 0; i < MANY; i += 2)
        unlink(paths[i]);
    assert_int_equal(count_served(f->segments), MANY / 2);
    write_segment(f->directory, "app0", 5, NULL);
    assert_int_equal(count_of(look(f->segments, f->directory, "app0.v1.smx")), 5);
    assert_int_equal(logged(f, "serving segment"), MANY + 1);
    assert_int_equal(f->closed, MANY / 2);
}

static void what_there_is_no_place_for_is_counted_and_named_once(void **state)
{
    struct fixture *f = *state;
    char app[32], path[SEGWRITER_PATH_SIZE];
    struct segments *few = make_table_of(f, (const char *const[]){f->directory}, 1, 3);
    for (unsigned i = 0; i < 5; i++) {
        snprintf(app, sizeof app, "app%u", i);
        write_segment(f->directory, app, i, NULL);
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(count_served(few), 3);
        assert_int_equal(segments_left_out(few), 2);
    }
    assert_int_equal(logged(f, "there are more than the agent looks at"), 2);
    size_t n;
    snprintf(path, sizeof path, "%s", segments_list(few, &n)[1].path);
    assert_int_equal(unlink(path), 0);
    count_served(few); /* makes room, which the next look fills */
    assert_int_equal(count_served(few), 3);
    assert_int_equal(segments_left_out(few), 1);
    assert_int_equal(logged(f, "there are more than the agent looks at"), 2);
    segments_free(few);
}

static void one_user_cannot_fill_the_table_for_all(void **state)
{
    struct fixture *f = *state;
    char path[SEGWRITER_PATH_SIZE];
    size_t n;
    enum { MOST = 8, OF_ONE = 6, FILES = 12 };
    if (geteuid() != 0) {
        print_message("# needs root to give files away: not tested\n");
        return;
    }
    struct segments *few = make_table_of(f, (const char *const[]){f->directory}, 1, MOST);
    assert_int_equal(chmod(f->directory, 01777), 0);
    for (int i = 0; i < FILES; i++) {
        snprintf(path, sizeof path, "%s/flood%d.v1.smx", f->directory, i);
        write_file(path, "");
        assert_int_equal(chown(path, 12345, 12345), 0);
    }
    segments_update(few);
    (void)segments_list(few, &n);
    assert_int_equal(n, OF_ONE);
    assert_int_equal(segments_left_out(few), FILES - OF_ONE);
    write_segment(f->directory, "shop", 1, path);
    assert_int_equal(chown(path, 12346, 12346), 0);
    assert_int_equal(count_of(look(few, f->directory, "shop.v1.smx")), 1);
    write_segment(f->directory, "till", 2, NULL);
    assert_int_equal(count_of(look(few, f->directory, "till.v1.smx")), 2);
    assert_int_equal(count_of(look(few, f->directory, "shop.v1.smx")), 1);
    segments_free(few);
}

static void without_descriptors_what_was_found_stays(void **state)
{
    struct fixture *f = *state;
    struct rlimit limit;
    size_t n;
    write_segment(f->directory, "shop", 41, NULL);
    assert_int_equal(count_served(f->segments), 1);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    struct rlimit none = {.rlim_cur = 0, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    size_t served = count_served(f->segments);
    enum directory_state directory = segments_directories(f->segments, &n)[0].state;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(served, 1);
    assert_int_equal(directory, DIRECTORY_FAILED);
    assert_int_equal(f->closed, 0);
    assert_int_equal(count_served(f->segments), 1);
    assert_int_equal(segments_directories(f->segments, &n)[0].state, DIRECTORY_READ);
    scratch_remove(f->directory);
    assert_int_equal(count_served(f->segments), 0);
}

static void a_directory_may_come_later_and_go_again(void **state)
{
    struct fixture *f = *state;
    struct segments *late = make_table(f, (const char *const[]){f->second}, 1);
    size_t n;
    segments_update(late);
    assert_int_equal(segments_directories(late, &n)[0].state, DIRECTORY_ABSENT);
    assert_int_equal(mkdir(f->second, 0755), 0);
    write_segment(f->second, "shop", 3, NULL);
    assert_int_equal(count_of(look(late, f->second, "shop.v1.smx")), 3);
    assert_int_equal(segments_directories(late, &n)[0].state, DIRECTORY_READ);
    scratch_remove(f->second);
    assert_null(look(late, f->second, "shop.v1.smx"));
    assert_int_equal(segments_directories(late, &n)[0].state, DIRECTORY_ABSENT);
    segments_free(late);
}

static void a_directory_that_is_a_link_or_a_file_is_refused(void **state)
{
    struct fixture *f = *state;
    size_t n;
    struct segments *odd = make_table(f, (const char *const[]){f->second}, 1);
    assert_int_equal(symlink(f->directory, f->second), 0);
    segments_update(odd);
    assert_int_equal(segments_directories(odd, &n)[0].state, DIRECTORY_REFUSED);
    assert_non_null(strstr(segments_directories(odd, &n)[0].why, "symbolic link"));
    assert_int_equal(unlink(f->second), 0);
    write_file(f->second, "");
    segments_update(odd);
    assert_int_equal(segments_directories(odd, &n)[0].state, DIRECTORY_REFUSED);
    assert_int_equal(unlink(f->second), 0);
    segments_free(odd);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_segment_is_found_read_and_let_go),
        TEST(a_replaced_file_is_read_anew),
        TEST(a_file_that_was_not_looked_at_is_not_read),
        TEST(an_abandoned_segment_is_still_served),
        TEST(a_truncated_segment_is_damaged_and_the_rest_served),
        TEST(garbage_is_logged_once_and_again_for_a_new_inode),
        TEST(another_major_version_is_a_state_of_its_own),
        TEST(a_link_is_refused_even_to_a_sound_segment),
        TEST(what_is_no_regular_file_is_refused_without_being_opened),
        TEST(a_segment_that_names_another_application_is_refused),
        TEST(no_user_has_more_read_than_his_share),
        TEST(holes_are_not_read),
        TEST(only_the_names_of_segments_are_looked_at),
        TEST(owners_count_in_a_directory_that_is_not_sticky),
        TEST(of_one_name_in_two_directories_the_first_is_served),
        TEST(of_one_name_roots_or_our_own_is_served_before_a_strangers),
        TEST(of_hundreds_that_come_and_go_each_is_found_once),
        TEST(what_there_is_no_place_for_is_counted_and_named_once),
        TEST(one_user_cannot_fill_the_table_for_all),
        TEST(without_descriptors_what_was_found_stays),
        TEST(a_directory_may_come_later_and_go_again),
        TEST(a_directory_that_is_a_link_or_a_file_is_refused),
    };
    return RUN_TESTS(tests);
}
