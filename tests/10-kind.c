/* SPDX-License-Identifier: MIT
 *
 * 10-kind.c - which kind of segment is made: per-CPU where its rows pay, striped where only a few
 * of many CPUs are ours, and what an option forces. An affinity mask and, where a cgroup can be
 * made, a quota are put upon a child. This machine has few CPUs: others are put in their place in a
 * mount namespace, by a file of the kernel's form over that which tells them.
 */
#include "support/scratch.h"
#include "support/tap.h"
#include "support/worker.h"

#include "libshm/segment/cpu.h"
#include "libshm/segment/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[SCRATCH_SIZE];

static smx_segment *open_as(const char *instance, enum smx_kind kind, uint32_t rows)
{
    smx_segment *segment = NULL;
    struct smx_options options = {
        .app = "kind", .instance = instance, .directory = directory, .kind = kind, .rows = rows};
    return smx_open(&options, &segment, NULL) == 0 ? segment : NULL;
}

static void rows_pay_up_to_64_cpus_and_to_four_times_those_that_are_ours(void **state)
{
    (void)state;
    static const struct {
        unsigned rows, allowed;
        bool pay;
    } cases[] = {
        {1, 1, true},      {2, 1, true},         {8, 1, true},
        {9, 2, true},      {9, 1, false},        {16, 4, true},
        {16, 3, false},    {64, 16, true},       {64, 15, false},
        {64, 64, true},    {65, 65, false},      {192, 2, false},
        {192, 192, false}, {64, UINT_MAX, true}, {4096, UINT_MAX, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (smx__cpu_rows_pay(cases[i].rows, cases[i].allowed) != cases[i].pay)
            fail_msg("%u rows, %u CPUs of ours", cases[i].rows, cases[i].allowed);
}

static void an_option_forces_either_kind(void **state)
{
    (void)state;
    smx_segment *striped = open_as("striped", SMX_KIND_STRIPED, 0);
    smx_segment *percpu = open_as("percpu", SMX_KIND_PERCPU, 0);
    smx_segment *many = open_as("many", SMX_KIND_AUTO, 192);
    assert_non_null(striped);
    assert_non_null(percpu);
    assert_non_null(many);
    assert_int_equal(striped->header->kind, SMX__KIND_STRIPED);
    assert_int_equal(striped->header->rows, 0);
    assert_true(striped->header->counter_stripes > 1);
    assert_int_equal(percpu->header->kind, SMX__KIND_PERCPU);
    assert_int_equal(percpu->header->rows, smx__cpu_rows());
    assert_int_equal(many->header->kind, SMX__KIND_PERCPU);
    assert_int_equal(many->header->rows, 192);
}

/* In a child with a limit: the limit is seen, and a new segment is what the rule says of it. */
static int check_limit(unsigned allowed, const char *instance)
{
    CHECK(smx__cpu_allowed() == allowed);
    smx_segment *segment = open_as(instance, SMX_KIND_AUTO, 0);
    CHECK(segment);
    bool pay = smx__cpu_rows_pay(smx__cpu_rows(), allowed);
    CHECK(segment->header->kind == (pay ? SMX__KIND_PERCPU : SMX__KIND_STRIPED));
    CHECK(segment->header->rows == (pay ? smx__cpu_rows() : 0));
    return 0;
}

static int without_limit(void *argument)
{
    (void)argument;
    return check_limit(smx__cpu_allowed(), "free");
}

/* Leave the process the first `n` of its CPUs. */
static int mask_to(unsigned n)
{
    cpu_set_t set;
    CHECK(sched_getaffinity(0, sizeof set, &set) == 0);
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (n > 0 && CPU_ISSET(cpu, &set))
            n--;
        else
            CPU_CLR(cpu, &set);
    }
    CHECK(n == 0 && sched_setaffinity(0, sizeof set, &set) == 0);
    return 0;
}

static int under_a_mask(void *argument)
{
    (void)argument;
    CHECK(mask_to(1) == 0);
    return check_limit(1, "mask");
}

static void without_a_limit_the_machine_decides(void **state)
{
    (void)state;
    assert_int_equal(worker_run(without_limit, NULL), 0);
}

static void an_affinity_mask_is_a_limit(void **state)
{
    (void)state;
    assert_int_equal(worker_run(under_a_mask, NULL), 0);
}

/* A group of the test's own, below the root of either version. */
static char group[128];

static bool put(const char *file, const char *text)
{
    char path[192];
    snprintf(path, sizeof path, "%s/%s", group, file);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool written = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    close(fd);
    return written;
}

static bool make_group(void)
{
    static const char *const roots[] = {"/sys/fs/cgroup/cpu", "/sys/fs/cgroup"};
    for (size_t i = 0; i < 2; i++) {
        snprintf(group, sizeof group, "%s/smx-test-%d", roots[i], (int)getpid());
        if (mkdir(group, 0700) != 0)
            continue;
        if (i == 0 ? put("cpu.cfs_quota_us", "60000") : put("cpu.max", "60000 100000"))
            return true;
        rmdir(group);
    }
    return false;
}

static int under_a_quota(void *argument)
{
    (void)argument;
    CHECK(put("cgroup.procs", "0"));
    return check_limit(1, "quota");
}

/* Run it where there is a group with a quota. */
static void run_with_group(int (*body)(void *argument))
{
    if (!make_group()) {
        print_message("# not tried: no cgroup with a CPU quota can be made here\n");
        return;
    }
    int status = worker_run(body, NULL);
    /* The kernel lets the last process go a moment after it was waited for. */
    uint64_t deadline = worker_now_ns() + PATIENCE_NS;
    while (rmdir(group) != 0 && errno == EBUSY && worker_now_ns() < deadline)
        sched_yield();
    assert_int_equal(status, 0);
}

static void a_quota_is_a_limit_rounded_up(void **state)
{
    (void)state;
    run_with_group(under_a_quota);
}

enum { NOT_TRIED = 77 };

static bool may_mount(void)
{
    return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

/* In a group without a quota, below the one that has it. */
static int below_the_quota(void *argument)
{
    (void)argument;
    char path[160];
    snprintf(path, sizeof path, "%s/below", group);
    CHECK(mkdir(path, 0700) == 0 && put("below/cgroup.procs", "0"));
    unsigned allowed = smx__cpu_allowed();
    CHECK(put("cgroup.procs", "0") && rmdir(path) == 0);
    CHECK(allowed == 1);
    return 0;
}

static void a_quota_holds_for_the_groups_below(void **state)
{
    (void)state;
    run_with_group(below_the_quota);
}

/* As in a container that sees its own group alone, at the root, and /proc tell of it as the host
 * does. */
static int as_a_container_sees_it(void *argument)
{
    (void)argument;
    char root[128];
    CHECK(put("cgroup.procs", "0"));
    snprintf(root, sizeof root, "%s", group);
    *strrchr(root, '/') = '\0';
    if (!may_mount())
        return 0;
    CHECK(mount(group, root, NULL, MS_BIND, NULL) == 0);
    CHECK(smx__cpu_allowed() == 1);
    return 0;
}

static void a_container_finds_its_quota_at_the_root(void **state)
{
    (void)state;
    run_with_group(as_a_container_sees_it);
}

static int write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    CHECK(file && fputs(text, file) >= 0 && fclose(file) == 0);
    return 0;
}

/* The files of version 2, where the machine has version 1; what /proc says is the machine's. */
static int by_version_2(void *argument)
{
    (void)argument;
    static const char file[] = "/sys/fs/cgroup/cpu.max";
    if (!may_mount() || mount("none", "/sys/fs/cgroup", "tmpfs", 0, NULL) != 0)
        return NOT_TRIED;
    CHECK(write_file(file, "max 100000\n") == 0);
    unsigned unlimited = smx__cpu_allowed();
    CHECK(write_file(file, "60000 100000\n") == 0 && smx__cpu_allowed() == 1);
    CHECK(write_file(file, "100001 100000\n") == 0);
    CHECK(smx__cpu_allowed() == (unlimited < 2 ? unlimited : 2));
    return 0;
}

static void a_quota_of_version_2_is_read(void **state)
{
    (void)state;
    int status = worker_run(by_version_2, NULL);
    if (status == NOT_TRIED)
        print_message("# not tried: no right to mount a file system\n");
    else
        assert_int_equal(status, 0);
}

/* From here on the kernel tells this process that these CPUs are online. */
static int show_cpus(const char *online)
{
    char path[64];
    snprintf(path, sizeof path, "%s/online", directory);
    CHECK(write_file(path, online) == 0);
    CHECK(mount(path, "/sys/devices/system/cpu/online", NULL, MS_BIND, NULL) == 0);
    return 0;
}

/* A new segment of that name has so many rows; 0: it is striped. */
static int check_rows(const char *instance, unsigned rows)
{
    smx_segment *segment = open_as(instance, SMX_KIND_AUTO, 0);
    CHECK(segment);
    CHECK(segment->header->kind == (rows ? SMX__KIND_PERCPU : SMX__KIND_STRIPED));
    CHECK(segment->header->rows == rows);
    return 0;
}

static int among_nine(unsigned ours, const char *instance, unsigned rows)
{
    if (!may_mount())
        return NOT_TRIED;
    CHECK(mask_to(ours) == 0 && show_cpus("0-3,5-8\n") == 0);
    return check_rows(instance, rows);
}

static int two_of_nine(void *argument)
{
    (void)argument;
    return among_nine(2, "two_of_nine", 9);
}

static int one_of_nine(void *argument)
{
    (void)argument;
    return among_nine(1, "one_of_nine", 0);
}

static int a_quota_among_nine(void *argument)
{
    (void)argument;
    CHECK(put("cgroup.procs", "0"));
    int status = among_nine(2, "quota_among_nine", 0);
    return status == NOT_TRIED ? 0 : status;
}

static int all_of_many(void *argument)
{
    (void)argument;
    if (!may_mount())
        return NOT_TRIED;
    CHECK(show_cpus("0-191\n") == 0);
    return check_rows("many_cpus", 0);
}

static void of_nine_cpus_two_pay_and_one_does_not(void **state)
{
    (void)state;
    int status = smx__cpu_allowed() < 2 ? NOT_TRIED : worker_run(two_of_nine, NULL);
    if (status == NOT_TRIED) {
        print_message("# not tried: one CPU, or no right to mount a file\n");
        return;
    }
    assert_int_equal(status, 0);
    assert_int_equal(worker_run(one_of_nine, NULL), 0);
    run_with_group(a_quota_among_nine);
}

static void many_cpus_are_striped_though_all_are_ours(void **state)
{
    (void)state;
    int status = worker_run(all_of_many, NULL);
    if (status == NOT_TRIED)
        print_message("# not tried: no right to mount a file\n");
    else
        assert_int_equal(status, 0);
}

int main(void)
{
    if (scratch_make(directory) != 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_pay_up_to_64_cpus_and_to_four_times_those_that_are_ours),
        cmocka_unit_test(an_option_forces_either_kind),
        cmocka_unit_test(without_a_limit_the_machine_decides),
        cmocka_unit_test(an_affinity_mask_is_a_limit),
        cmocka_unit_test(a_quota_is_a_limit_rounded_up),
        cmocka_unit_test(a_quota_holds_for_the_groups_below),
        cmocka_unit_test(a_container_finds_its_quota_at_the_root),
        cmocka_unit_test(a_quota_of_version_2_is_read),
        cmocka_unit_test(of_nine_cpus_two_pay_and_one_does_not),
        cmocka_unit_test(many_cpus_are_striped_though_all_are_ours),
    };
    int status = RUN_TESTS(tests);
    scratch_remove(directory);
    return status;
}
