/* SPDX-License-Identifier: MIT
 *
 * 10-open.c - who creates, who attaches, who replaces; and what an opener's options decide. What
 * stands in an opener's way is 10-obstacle.c.
 */
#include "libshm/segment/file.h"
#include "support/cells.h"
#include "support/patient.h"
#include "support/scratch.h"
#include "support/tap.h"
#include "support/worker.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STARTERS = 32, ROUNDS = 50 };

static char directory[SCRATCH_SIZE];

/* What a child is told, and what it answers, in shared memory. */
static struct {
    uint32_t arrived;
    uint32_t opened;
    uint32_t checked;
    uint32_t go;
    uint64_t value;
    ino_t inode[STARTERS];
    const char *app;
    unsigned flags;
} * shared;

static smx_segment *open_app(const char *app, unsigned flags)
{
    smx_segment *segment;
    struct smx_diag diag = {0, ""};
    struct smx_options options = {
        .app = app, .directory = directory, .flags = flags, .slots = 64, .rows = 2};
    if (patient_open(&options, &segment, &diag) != 0)
        fprintf(stderr, "# %s\n", diag.text);
    return segment;
}

static smx_counter count_in(smx_segment *segment)
{
    return smx_counter_new(segment, &(struct smx_metric){.name = "c_total"}, NULL);
}

static ino_t inode_of(const char *app)
{
    char path[128];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s.v1.smx", directory, app);
    return stat(path, &st) == 0 ? st.st_ino : 0;
}

static void a_fresh_segment_is_complete(void **state)
{
    (void)state;
    smx_segment *segment = open_app("fresh", 0);
    assert_non_null(segment);
    struct stat st;
    assert_int_equal(stat(smx_path(segment), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(st.st_nlink, 1);
    assert_int_equal(st.st_size, segment->header->capacity);
    assert_int_equal(segment->header->magic, SMX__MAGIC);
    assert_int_equal(segment->header->rows, 2);
    assert_int_equal(segment->header->slots, 64);
    assert_true(segment->header->allocated <= segment->header->reserved_to);
    assert_true((uint64_t)st.st_blocks * 512 >= segment->header->reserved_to);
    assert_true((uint64_t)st.st_blocks * 512 < UINT64_C(4) << 20);
    assert_string_equal(segment->header->app, "fresh");
    assert_int_equal(cells_live(segment), 1);
    assert_int_equal(smx_worker(segment), 0);
}

static void a_second_open_gives_the_same_pointer(void **state)
{
    (void)state;
    smx_segment *segment = open_app("same", 0);
    assert_non_null(segment);
    assert_ptr_equal(open_app("same", 0), segment);
    smx_close(segment);
    assert_int_equal(smx_worker(segment), -1);
    assert_ptr_equal(open_app("same", 0), segment);
    assert_int_equal(smx_worker(segment), 0);
    assert_int_equal(cells_live(segment), 1);
}

static int add_once(void *argument)
{
    (void)argument;
    smx_segment *segment = open_app(shared->app, shared->flags);
    CHECK(segment);
    smx_counter counter = count_in(segment);
    smx_counter_inc(counter);
    shared->value = smx_counter_value(counter);
    shared->inode[0] = segment->inode;
    return 0;
}

static void a_cold_start_replaces_and_continue_continues(void **state)
{
    (void)state;
    shared->app = "cold";
    shared->flags = 0;
    assert_int_equal(worker_run(add_once, NULL), 0);
    ino_t first = inode_of("cold");
    assert_int_equal(worker_run(add_once, NULL), 0);
    ino_t second = inode_of("cold");
    assert_true(first != second);
    assert_int_equal(shared->value, 1);
    shared->flags = SMX_CONTINUE;
    assert_int_equal(worker_run(add_once, NULL), 0);
    assert_int_equal(shared->value, 2);
    assert_true(inode_of("cold") == second);
}

static int hold(void *argument)
{
    (void)argument;
    smx_segment *segment = open_app(shared->app, 0);
    CHECK(segment);
    smx_counter_inc(count_in(segment));
    worker_arrive(&shared->arrived);
    CHECK(worker_reach(&shared->go, 1));
    return 0;
}

static void while_anyone_lives_openers_attach(void **state)
{
    (void)state;
    memset(shared, 0, sizeof *shared);
    shared->app = "alive";
    pid_t holder = worker_start(hold, NULL);
    assert_true(worker_reach(&shared->arrived, 1));
    ino_t inode = inode_of("alive");
    assert_int_equal(worker_run(add_once, NULL), 0);
    assert_int_equal(shared->value, 2);
    assert_true(inode_of("alive") == inode);
    worker_arrive(&shared->go);
    assert_int_equal(worker_wait(holder), 0);
}

/* A container manager may give every container a boot id of its own (systemd-nspawn does): a lock
 * that is held proves the same boot whatever the ids say. */
static int open_under_another_boot_id(void *argument)
{
    (void)argument;
    smx_segment *segment = open_app("boot", 0);
    CHECK(segment);
    memset(segment->header->boot_id, 0x5a, sizeof segment->header->boot_id);
    smx_counter_inc(count_in(segment));
    worker_arrive(&shared->arrived);
    CHECK(worker_reach(&shared->go, 1));
    return 0;
}

static void a_held_segment_is_joined_whatever_its_boot_id(void **state)
{
    (void)state;
    memset(shared, 0, sizeof *shared);
    shared->app = "boot";
    pid_t holder = worker_start(open_under_another_boot_id, NULL);
    assert_true(worker_reach(&shared->arrived, 1));
    assert_int_equal(worker_run(add_once, NULL), 0);
    worker_arrive(&shared->go);
    assert_int_equal(worker_wait(holder), 0);
    assert_int_equal(shared->value, 2);
    shared->flags = SMX_CONTINUE;
    assert_int_equal(worker_run(add_once, NULL), 0);
    assert_int_equal(shared->value, 1); /* nobody holds it, and it is of another boot */
}

static int start_with_the_others(void *argument)
{
    size_t me = (size_t)(uintptr_t)argument;
    worker_arrive(&shared->arrived);
    CHECK(worker_reach(&shared->arrived, STARTERS));
    smx_segment *segment = open_app("crowd", 0);
    CHECK(segment);
    shared->inode[me] = segment->inode;
    smx_counter_inc(count_in(segment));
    worker_arrive(&shared->opened);
    CHECK(worker_reach(&shared->opened, STARTERS));
    shared->value = smx_counter_value(count_in(segment));
    CHECK(shared->value == STARTERS);
    CHECK(cells_live(segment) == STARTERS);
    worker_arrive(&shared->checked);
    CHECK(worker_reach(&shared->checked, STARTERS));
    return 0;
}

static void a_crowd_of_starters_agrees_on_one_segment(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        pid_t pid[STARTERS];
        char path[128];
        memset(shared, 0, sizeof *shared);
        snprintf(path, sizeof path, "%s/crowd.v1.smx", directory);
        if (round % 2 == 0)
            unlink(path); /* else yesterday's lies there */
        for (uintptr_t i = 0; i < STARTERS; i++)
            pid[i] = worker_start(start_with_the_others, (void *)i);
        int failed = 0;
        for (int i = 0; i < STARTERS; i++)
            failed += worker_wait(pid[i]) != 0;
        assert_int_equal(failed, 0);
        for (int i = 0; i < STARTERS; i++)
            assert_true(shared->inode[i] == inode_of("crowd"));
    }
}

static void reserve_now_leaves_nothing_to_reserve(void **state)
{
    (void)state;
    smx_segment *segment;
    struct smx_options options = {.app = "reserve",
                                  .directory = directory,
                                  .flags = SMX_RESERVE_NOW,
                                  .max_bytes = 1 << 20,
                                  .slots = 8};
    assert_int_equal(smx_open(&options, &segment, NULL), 0);
    struct stat st;
    assert_int_equal(stat(smx_path(segment), &st), 0);
    assert_int_equal(segment->header->reserved_to, 1 << 20);
    assert_true(st.st_blocks * 512 >= 1 << 20);
}

static int attach_and_reserve(void *argument)
{
    (void)argument;
    smx_segment *segment = open_app("alive", SMX_RESERVE_NOW);
    CHECK(segment);
    CHECK(segment->header->reserved_to == segment->header->max_bytes);
    return 0;
}

static void reserve_now_reserves_also_when_attaching(void **state)
{
    (void)state;
    memset(shared, 0, sizeof *shared);
    shared->app = "alive";
    pid_t holder = worker_start(hold, NULL);
    assert_true(worker_reach(&shared->arrived, 1));
    int status = worker_run(attach_and_reserve, NULL);
    worker_arrive(&shared->go);
    assert_int_equal(worker_wait(holder), 0);
    assert_int_equal(status, 0);
}

static void kinds_and_rows_are_as_asked(void **state)
{
    (void)state;
    static const struct {
        enum smx_kind kind;
        uint32_t rows;
        unsigned want_kind, want_rows;
    } cases[] = {
        {SMX_KIND_STRIPED, 0, SMX__KIND_STRIPED, 0},
        {SMX_KIND_STRIPED, 5, SMX__KIND_STRIPED, 0},
        {SMX_KIND_PERCPU, 192, SMX__KIND_PERCPU, 192},
        {SMX_KIND_AUTO, 1, SMX__KIND_PERCPU, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char instance[16];
        smx_segment *segment;
        snprintf(instance, sizeof instance, "%zu", i);
        struct smx_options options = {.app = "kind",
                                      .instance = instance,
                                      .directory = directory,
                                      .kind = cases[i].kind,
                                      .rows = cases[i].rows};
        assert_int_equal(smx_open(&options, &segment, NULL), 0);
        assert_int_equal(segment->header->kind, cases[i].want_kind);
        assert_int_equal(segment->header->rows, cases[i].want_rows);
        assert_string_equal(segment->header->instance, instance);
        smx_counter counter = count_in(segment);
        assert_int_equal(counter.rows, cases[i].want_rows);
        for (int n = 0; n < 1000; n++)
            smx_counter_inc(counter);
        assert_int_equal(smx_counter_value(counter), 1000);
        if (cases[i].want_rows == 0)
            assert_int_equal(cells_counter_atomic(counter), 1000);
    }
}

static int open_sixty_four(void *argument)
{
    (void)argument;
    smx_segment *segment;
    struct smx_diag diag;
    char instance[16];
    struct smx_options options = {.app = "many", .directory = directory, .instance = instance};
    for (int i = 0; i < SMX__MAX_SEGMENTS; i++) {
        snprintf(instance, sizeof instance, "%d", i);
        CHECK(smx_open(&options, &segment, NULL) == 0);
    }
    snprintf(instance, sizeof instance, "one-more");
    CHECK(smx_open(&options, &segment, &diag) == -EMFILE);
    CHECK(segment == NULL && diag.code == -EMFILE && strstr(diag.text, "64"));
    CHECK(inode_of("many@one-more") == 0);
    snprintf(instance, sizeof instance, "0");
    CHECK(smx_open(&options, &segment, NULL) == 0);
    pid_t child = fork(); /* its hook claims a slot in each */
    if (child == 0)
        _exit(cells_live(segment) == 2 && smx_worker(segment) == 1 ? 0 : 1);
    CHECK(worker_wait(child) == 0);
    return 0;
}

static void sixty_four_segments_fit_and_no_more(void **state)
{
    (void)state;
    assert_int_equal(worker_run(open_sixty_four, NULL), 0);
}

static void a_null_segment_is_accepted_everywhere(void **state)
{
    (void)state;
    smx_close(NULL);
    smx_set_role(NULL, "x");
    smx_heartbeat(NULL);
    assert_int_equal(smx_worker(NULL), -1);
    assert_string_equal(smx_path(NULL), "");
}

int main(void)
{
    shared = worker_shared(sizeof *shared);
    if (!shared || scratch_make(directory) != 0)
        return 1;
    const struct CMUnitTest tests[] = {
        /* First: a child inherits what its parent has open. */
        cmocka_unit_test(sixty_four_segments_fit_and_no_more),
        cmocka_unit_test(a_fresh_segment_is_complete),
        cmocka_unit_test(a_second_open_gives_the_same_pointer),
        cmocka_unit_test(a_cold_start_replaces_and_continue_continues),
        cmocka_unit_test(while_anyone_lives_openers_attach),
        cmocka_unit_test(a_held_segment_is_joined_whatever_its_boot_id),
        cmocka_unit_test(a_crowd_of_starters_agrees_on_one_segment),
        cmocka_unit_test(reserve_now_leaves_nothing_to_reserve),
        cmocka_unit_test(reserve_now_reserves_also_when_attaching),
        cmocka_unit_test(kinds_and_rows_are_as_asked),
        cmocka_unit_test(a_null_segment_is_accepted_everywhere),
    };
    int status = RUN_TESTS(tests);
    scratch_remove(directory);
    return status;
}
