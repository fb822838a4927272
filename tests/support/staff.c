/* SPDX-License-Identifier: MIT
 *
 * staff.c - children that hold slots, and one look at them after the other.
 */
#include "support/staff.h"

#include "support/process.h"
#include "support/tap.h"
#include "support/worker.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <smx/smx.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct staff staff;

uint64_t staff_cpu_ns(const struct rusage *u)
{
    return (uint64_t)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) * 1000000000u +
           (uint64_t)(u->ru_utime.tv_usec + u->ru_stime.tv_usec) * 1000u;
}

void staff_burn(unsigned ms)
{
    struct rusage usage;
    do
        getrusage(RUSAGE_SELF, &usage);
    while (staff_cpu_ns(&usage) < UINT64_C(1000000) * ms);
}

uint64_t staff_own_fds(void)
{
    uint64_t n = 0;
    DIR *directory = opendir("/proc/self/fd");
    for (struct dirent *entry; directory && (entry = readdir(directory));)
        n += entry->d_name[0] != '.';
    if (directory)
        closedir(directory);
    return n - 1;
}

int staff_live(void *argument)
{
    struct child *child = argument;
    smx_segment *segment;
    const struct smx_options options = {
        .app = "shop", .directory = staff.directory, .role = child->role};
    CHECK(smx_open(&options, &segment, NULL) == 0);
    staff_burn(child->burn_ms);
    CHECK(getrlimit(RLIMIT_NOFILE, &child->files) == 0);
    child->fds = staff_own_fds();
    CHECK(getrusage(RUSAGE_SELF, &child->usage) == 0);
    worker_arrive(&child->ready);
    for (;;)
        pause();
}

struct child *staff_add(const char *role, unsigned burn_ms)
{
    size_t i = 0;
    while (staff.children[i].pid)
        i++;
    assert_true(i < STAFF_MAX);
    struct child *child = &staff.children[i];
    *child = (struct child){.burn_ms = burn_ms};
    snprintf(child->role, sizeof child->role, "%s", role);
    child->pid = worker_start(staff_live, child);
    assert_true(worker_reach(&child->ready, 1));
    staff_rest(child->pid);
    return child;
}

/* It has come to its pause(), and does nothing more: its numbers do not change. */
static bool is_resting(void *pid)
{
    char path[64], line[256] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", *(pid_t *)pid);
    FILE *file = fopen(path, "re");
    const char *name_end = file && fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
    if (file)
        fclose(file);
    return name_end && name_end[2] == 'S';
}

void staff_rest(pid_t pid)
{
    assert_true(eventually(is_resting, &pid));
}

void staff_end(struct child *child)
{
    kill(child->pid, SIGKILL);
    assert_int_equal(worker_wait(child->pid), -SIGKILL);
    child->pid = 0;
}

void staff_workers(const struct workers_options *options)
{
    struct workers_options with = *options;
    with.log = &staff.log;
    workers_free(staff.workers);
    assert_int_equal(workers_new(&with, &staff.workers), 0);
}

int staff_setup(void **state)
{
    (void)state;
    memset(&staff, 0, sizeof staff);
    staff.log = (struct log){.fd = open("/dev/null", O_WRONLY | O_CLOEXEC)};
    staff.children = worker_shared(STAFF_MAX * sizeof *staff.children);
    if (!staff.children || scratch_make(staff.directory) != 0)
        return -1;
    const char *const directories[] = {staff.directory};
    const struct segments_options segments = {
        .directories = directories, .n_directories = 1, .log = &staff.log};
    staff_workers(&(struct workers_options){.kept = 1000});
    return segments_new(&segments, &staff.segments);
}

int staff_teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < STAFF_MAX; i++)
        if (staff.children[i].pid)
            staff_end(&staff.children[i]);
    workers_free(staff.workers);
    segments_free(staff.segments);
    munmap(staff.children, STAFF_MAX * sizeof *staff.children);
    scratch_remove(staff.directory);
    close(staff.log.fd);
    return 0;
}

void staff_look(void)
{
    segments_update(staff.segments);
    workers_begin(staff.workers, staff.segments);
}

const struct processes *staff_read(void)
{
    size_t n;
    while (workers_step(staff.workers))
        continue;
    struct processes *const *list = workers_list(staff.workers, &n);
    return n == 1 ? list[0] : NULL;
}

const struct processes *staff_scrape(void)
{
    staff_look();
    const struct processes *shop = staff_read();
    assert_non_null(shop);
    return shop;
}

/* The only row of a role, or the only one of all with NULL. */
const struct process_row *staff_row(const struct processes *p, enum process_level level,
                                    const char *role)
{
    const struct process_row *found = NULL;
    for (size_t i = 0; i < p->n[level]; i++) {
        if (role && strcmp(p->rows[level][i].role, role) != 0)
            continue;
        assert_null(found);
        found = &p->rows[level][i];
    }
    return found;
}

uint64_t staff_value(const struct process_row *row, enum process_value v)
{
    assert_non_null(row);
    assert_true(process_row_has(row, v));
    return row->values[v];
}

uint64_t staff_hidden(const char *app, enum workers_hidden reason)
{
    const uint32_t *counts =
        workers_hidden(staff.workers, (struct smx_str){app, strlen(app)}, (struct smx_str){"", 0});
    return counts ? counts[reason] : UINT64_MAX;
}

/* A number of a line of a file of /proc/<pid>, by its position. */
uint64_t staff_word(pid_t pid, const char *file, unsigned position)
{
    char path[64], text[4096];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    assert_true(n > 0);
    text[n] = '\0';
    char *at = text;
    while (position-- > 0)
        at = strchr(at, ' ') + 1;
    return strtoull(at, NULL, 10);
}

bool staff_is_root(void)
{
    if (geteuid() == 0)
        return true;
    print_message("# not root: no other users and namespaces\n");
    return false;
}
