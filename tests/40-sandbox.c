/* SPDX-License-Identifier: MIT
 *
 * 40-sandbox.c - what a process can still do in the agent's sandbox, and what not: each in a child
 * that has entered it. What the children try is what somebody would who had got the agent to run
 * his code.
 */
#include "agent/loop/loop.h"
#include "agent/system/sandbox.h"
#include "support/scratch.h"
#include "support/segwriter.h"
#include "support/tap.h"
#include "support/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/capability.h>
#include <signal.h>
#include <smx/reader.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Above the directory of segments, two levels: what is allowed is its parent. */
static char top[SCRATCH_SIZE], parent[SCRATCH_SIZE + 16], directory[SCRATCH_SIZE + 32];
static char segment[SEGWRITER_PATH_SIZE], run[SCRATCH_SIZE + 16], socket_path[SCRATCH_SIZE + 32];

/* Enter as the agent does. A kernel without one half of it makes a test of that half pointless. */
static int enter(struct sandbox *sandbox, bool with_socket)
{
    const char *const directories[] = {directory}, *const sockets[] = {socket_path};
    sandbox_enter(&(struct sandbox_needs){.directories = directories,
                                          .n_directories = 1,
                                          .sockets = sockets,
                                          .n_sockets = with_socket ? 1 : 0},
                  sandbox);
    return strcmp(sandbox->seccomp, "on") == 0;
}

static bool has_landlock(const struct sandbox *sandbox)
{
    if (strcmp(sandbox->landlock, "on") == 0)
        return true;
    fprintf(stderr, "# no Landlock (%s): files are not tried\n", sandbox->landlock);
    return false;
}

static void write_segment(void)
{
    struct segwriter *w = segwriter_new(&(struct segwriter_options){.app = "shop"});
    uint64_t family = segwriter_family(
        w, &(struct segwriter_family){.name = "orders_total", .type = SEGWRITER_COUNTER});
    segwriter_count(w, segwriter_series(w, family, NULL), 0, 41);
    assert_int_equal(segwriter_save(w, directory, segment), 0);
    segwriter_free(w);
}

static int touch(const char *path)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    return fd < 0 ? -1 : close(fd);
}

/* The number of a line of /proc/self/status, in hexadecimal. */
static unsigned long long status_of(const char *name)
{
    char text[8192] = "", key[32];
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    snprintf(key, sizeof key, "\n%s:", name);
    const char *at = n > 0 ? strstr(text, key) : NULL;
    return at ? strtoull(at + strlen(key), NULL, 16) : 999;
}

static int look_at_status(void *argument)
{
    (void)argument;
    struct sandbox sandbox;
    bool root = geteuid() == 0;
    CHECK(enter(&sandbox, false));
    CHECK(status_of("NoNewPrivs") == 1);
    CHECK(status_of("Seccomp") == 2);
    CHECK(status_of("CapEff") == (root ? 1u << CAP_DAC_READ_SEARCH : 0));
    CHECK(status_of("CapPrm") == status_of("CapEff"));
    CHECK(status_of("CapInh") == 0 && status_of("CapAmb") == 0);
    CHECK(!root || status_of("CapBnd") == 0);
    return 0;
}

static void privileges_and_capabilities_are_gone(void **state)
{
    (void)state;
    assert_int_equal(worker_run(look_at_status, NULL), 0);
}

static int read_what_is_served(void *argument)
{
    (void)argument;
    struct sandbox sandbox;
    int ends[2], on = 1;
    struct linger reset = {.l_onoff = 1};
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    CHECK(enter(&sandbox, false));
    CHECK(send(ends[0], "x", 1, 0) == 1);
    CHECK(setsockopt(ends[0], SOL_SOCKET, SO_LINGER, &reset, sizeof reset) == 0);
    CHECK(setsockopt(ends[0], SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) < 0 && errno == EPERM);
    smx_reader *reader;
    struct smx_diag diag = {0};
    CHECK(smx_reader_open(segment, &reader, &diag) == 0);
    CHECK(smx_reader_update(reader, &diag) == 0);
    CHECK(smx_reader_family(reader, 0)->series[0].count == 41);
    smx_reader_close(reader);
    CHECK(open("/proc/self/stat", O_RDONLY | O_CLOEXEC) >= 0);
    CHECK(open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC) >= 0);
    CHECK(open("/proc/1/stat", O_RDONLY | O_CLOEXEC) >= 0);
    CHECK(open("/dev/urandom", O_RDONLY | O_CLOEXEC) >= 0);
    return 0;
}

static void segments_proc_and_connections_are_served(void **state)
{
    (void)state;
    assert_int_equal(worker_run(read_what_is_served, NULL), 0);
}

static char later[SCRATCH_SIZE + 32], file_in_later[SCRATCH_SIZE + 48];

/* Somebody else makes it, as that is not possible from inside. */
static int read_what_comes_later(void *argument)
{
    uint32_t *turn = argument;
    struct sandbox sandbox;
    const char *const directories[] = {later};
    sandbox_enter(&(struct sandbox_needs){.directories = directories, .n_directories = 1},
                  &sandbox);
    worker_arrive(turn);
    for (uint32_t i = 1; i < 6; i += 2) {
        CHECK(worker_reach(turn, i + 1));
        CHECK(open(later, O_RDONLY | O_DIRECTORY | O_CLOEXEC) >= 0);
        CHECK(open(file_in_later, O_RDONLY | O_CLOEXEC) >= 0);
        worker_arrive(turn);
    }
    return 0;
}

static void make_anew(void)
{
    unlink(file_in_later);
    rmdir(later);
    assert_int_equal(mkdir(later, 0755), 0);
    assert_int_equal(touch(file_in_later), 0);
}

/* Whether it is there or not when the sandbox closes. */
static void a_directory_may_come_later_and_be_replaced(void **state)
{
    (void)state;
    for (int there = 0; there < 2; there++) {
        uint32_t *turn = worker_shared(sizeof *turn);
        assert_non_null(turn);
        scratch_remove(later);
        if (there)
            make_anew();
        pid_t child = worker_start(read_what_comes_later, turn);
        for (uint32_t i = 1; i < 6 && worker_reach(turn, i); i += 2) {
            make_anew();
            worker_arrive(turn);
        }
        assert_int_equal(worker_wait(child), 0);
        munmap(turn, sizeof *turn);
    }
}

/* What the sandbox says of a directory is what the kernel does. */
static int ask_what_can_be_read(void *argument)
{
    struct sandbox sandbox;
    char linked[SCRATCH_SIZE + 48], deep[SCRATCH_SIZE + 64];
    const char *const paths[] = {directory,    parent, run, top,   "/proc",
                                 "/proc/self", "/etc", "/", linked};
    (void)argument;
    snprintf(linked, sizeof linked, "%s/linked", run);
    snprintf(deep, sizeof deep, "%s/not/there/yet", parent);
    CHECK(symlink(directory, linked) == 0);
    CHECK(enter(&sandbox, false));
    bool has = has_landlock(&sandbox);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        bool opened = open(paths[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC) >= 0;
        CHECK(sandbox_reads(&sandbox, paths[i]) == opened);
    }
    CHECK(sandbox_reads(&sandbox, deep));
    CHECK(sandbox_reads(&sandbox, "/no/such/place") == !has);
    return 0;
}

static void it_is_known_which_directories_can_be_read(void **state)
{
    (void)state;
    char linked[SCRATCH_SIZE + 48];
    int status = worker_run(ask_what_can_be_read, NULL);
    snprintf(linked, sizeof linked, "%s/linked", run);
    assert_int_equal(unlink(linked), 0);
    assert_int_equal(status, 0);
}

static char live[SCRATCH_SIZE + 16], kept[SCRATCH_SIZE + 16];
static char certificate[SCRATCH_SIZE + 32];

static int read_a_renewed_file(void *argument)
{
    uint32_t *turn = argument;
    struct sandbox sandbox;
    const char *const files[] = {certificate, "/no/such/file"};
    sandbox_enter(&(struct sandbox_needs){.files = files, .n_files = 2}, &sandbox);
    worker_arrive(turn);
    for (uint32_t i = 1; i < 6; i += 2) {
        CHECK(worker_reach(turn, i + 1));
        CHECK(open(certificate, O_RDONLY | O_CLOEXEC) >= 0);
        worker_arrive(turn);
    }
    CHECK(open(certificate, O_WRONLY | O_CLOEXEC) < 0);
    return has_landlock(&sandbox) && open(segment, O_RDONLY | O_CLOEXEC) >= 0;
}

/* As who keeps the files of each year and a link to those of this one. */
static void renew(unsigned year)
{
    char link[SCRATCH_SIZE + 48], target[SCRATCH_SIZE + 48];
    snprintf(target, sizeof target, "%s/certificate%u.pem", kept, year);
    snprintf(link, sizeof link, "%s/new", live);
    assert_int_equal(touch(target), 0);
    assert_int_equal(symlink(target, link), 0);
    assert_int_equal(rename(link, certificate), 0);
}

static void a_file_may_be_a_link_that_is_renewed(void **state)
{
    (void)state;
    uint32_t *turn = worker_shared(sizeof *turn);
    snprintf(live, sizeof live, "%s/live", top);
    snprintf(kept, sizeof kept, "%s/kept", top);
    snprintf(certificate, sizeof certificate, "%s/certificate.pem", live);
    assert_int_equal(mkdir(live, 0755) | mkdir(kept, 0755), 0);
    renew(0);
    pid_t child = worker_start(read_a_renewed_file, turn);
    for (uint32_t i = 1; i < 6 && worker_reach(turn, i); i += 2) {
        renew(i);
        worker_arrive(turn);
    }
    assert_int_equal(worker_wait(child), 0);
    munmap(turn, sizeof *turn);
    scratch_remove(live);
    scratch_remove(kept);
}

/* As the thread that checks passwords; _exit() is what it may still do. */
static int compute(void *argument)
{
    int ends[2];
    char byte = 1;
    (void)argument;
    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    sandbox_enter_to_compute();
    CHECK(write(ends[1], &byte, 1) == 1);
    CHECK(read(ends[0], &byte, 1) == 1);
    CHECK(open(segment, O_RDONLY | O_CLOEXEC) < 0 && errno == EPERM);
    CHECK(open("/proc/self/stat", O_RDONLY | O_CLOEXEC) < 0 && errno == EPERM);
    CHECK(socket(AF_UNIX, SOCK_STREAM, 0) < 0 && errno == EPERM);
    CHECK(send(ends[0], &byte, 1, 0) < 0 && errno == EPERM);
    CHECK(syscall(SYS_accept4, 0, NULL, NULL, 0) < 0 && errno == EPERM);
#ifndef __SANITIZE_ADDRESS__
    CHECK(fork() < 0 && errno == EPERM);
    CHECK(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
#endif
    return 0;
}

static void a_thread_that_computes_opens_nothing(void **state)
{
    (void)state;
    assert_int_equal(worker_run(compute, NULL), 0);
}

static int read_elsewhere(void *argument)
{
    (void)argument;
    struct sandbox sandbox;
    char outside[SCRATCH_SIZE + 16];
    snprintf(outside, sizeof outside, "%s/outside", top);
    CHECK(touch(outside) == 0);
    CHECK(open(outside, O_RDONLY | O_CLOEXEC) >= 0);
    CHECK(enter(&sandbox, false));
    if (!has_landlock(&sandbox))
        return 0;
    static const char *const files[] = {"/etc/passwd", "/bin/sh", "/", "/etc", "/dev/null"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        CHECK(open(files[i], O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES);
    CHECK(open(outside, O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES);
    CHECK(open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC) < 0 && errno == EACCES);
    return 0;
}

static void nothing_is_read_elsewhere(void **state)
{
    (void)state;
    assert_int_equal(worker_run(read_elsewhere, NULL), 0);
}

/* A call that must fail, by EPERM from the filter. */
#define REFUSED(call)                                                                              \
    do {                                                                                           \
        errno = 0;                                                                                 \
        CHECK((call) == -1);                                                                       \
        CHECK(errno == EPERM);                                                                     \
    } while (0)

static int change_files(void *argument)
{
    (void)argument;
    struct sandbox sandbox;
    CHECK(enter(&sandbox, false));
    int held = open(segment, O_RDONLY | O_CLOEXEC);
    CHECK(held >= 0);
    static const int flags[] = {O_WRONLY, O_RDWR, O_RDONLY | O_TRUNC, O_RDONLY | O_CREAT};
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        REFUSED(open(segment, flags[i] | O_CLOEXEC, 0600));
    REFUSED(open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    REFUSED(syscall(SYS_openat2, AT_FDCWD, segment, NULL, 0));
    REFUSED(unlink(segment));
    REFUSED(rename(segment, socket_path));
    REFUSED(link(segment, socket_path));
    REFUSED(symlink(segment, socket_path));
    REFUSED(mkdir(socket_path, 0700));
    REFUSED(chmod(segment, 0666));
    REFUSED(fchmod(held, 0666));
    REFUSED(truncate(segment, 0));
    REFUSED(ftruncate(held, 0));
    REFUSED(fallocate(held, 0, 0, 4096));
    REFUSED(fcntl(held, F_SETLK, &(struct flock){.l_type = F_RDLCK}));
    REFUSED(fcntl(held, F_SETOWN, getpid()));
    REFUSED(ioctl(held, 0, 0));
    return 0;
}

static void no_file_is_made_changed_or_locked(void **state)
{
    (void)state;
    assert_int_equal(worker_run(change_files, NULL), 0);
}

static int act(void *argument)
{
    (void)argument;
    struct sandbox sandbox;
    char *const command[] = {"true", NULL};
    CHECK(enter(&sandbox, false));
    REFUSED(execve("/bin/true", command, command));
    REFUSED(syscall(SYS_execveat, AT_FDCWD, "/bin/true", command, command, 0));
    REFUSED(socket(AF_INET, SOCK_STREAM, 0));
    REFUSED(socket(AF_UNIX, SOCK_STREAM, 0));
    REFUSED(connect(0, NULL, 0));
    REFUSED(bind(0, NULL, 0));
    REFUSED(listen(0, 1));
    REFUSED(setsockopt(0, SOL_SOCKET, SO_ATTACH_FILTER, NULL, 0));
    REFUSED(syscall(SYS_process_vm_writev, getppid(), NULL, 0, NULL, 0, 0));
    REFUSED(syscall(SYS_clone3, NULL, 0));
    REFUSED(syscall(SYS_tgkill, 1, 1, 0));
    REFUSED(syscall(SYS_unshare, 0));
    REFUSED(syscall(SYS_bpf, 0, NULL, 0));
    REFUSED(syscall(SYS_io_uring_setup, 8, NULL));
    REFUSED(syscall(SYS_io_uring_register, 0, 0, NULL, 0));
    REFUSED(setuid(0));
    REFUSED(setrlimit(RLIMIT_CORE, &(struct rlimit){0}));
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
#ifndef __SANITIZE_ADDRESS__ /* which does these itself at its end */
    REFUSED(fork());
    REFUSED(kill(getpid(), 0));
    REFUSED(ptrace(PTRACE_TRACEME, 0, 0, 0));
    REFUSED(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
#endif
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED);
    REFUSED(mprotect(page, 4096, PROT_READ | PROT_EXEC));
    CHECK(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
              MAP_FAILED &&
          errno == EPERM);
    return 0;
}

static void nothing_is_run_reached_signalled_or_made_executable(void **state)
{
    (void)state;
    assert_int_equal(worker_run(act, NULL), 0);
}

static int remove_the_socket(void *argument)
{
    (void)argument;
    struct sandbox sandbox;
    CHECK(touch(socket_path) == 0);
    CHECK(enter(&sandbox, true));
    CHECK(unlink(socket_path) == 0);
    if (has_landlock(&sandbox))
        CHECK(unlink(segment) == -1 && errno == EACCES);
    return 0;
}

static void a_socket_is_removed_and_no_other_directory_is_touched(void **state)
{
    (void)state;
    assert_int_equal(worker_run(remove_the_socket, NULL), 0);
}

/* abort(3) must end the process with a SIGABRT, and a core where one is wanted. */
static int abort_inside(void *argument)
{
    (void)argument;
    struct sandbox sandbox;
    CHECK(setrlimit(RLIMIT_CORE, &(struct rlimit){0}) == 0);
    CHECK(enter(&sandbox, false));
    abort();
}

static void abort_ends_it_as_ever(void **state)
{
    (void)state;
    assert_int_equal(worker_run(abort_inside, NULL), -SIGABRT);
}

/* The descriptor of the only ring that this process has. */
static int find_ring(void)
{
    for (int fd = 3; fd < 64; fd++) {
        char path[64], target[64] = "";
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        if (readlink(path, target, sizeof target - 1) > 0 && strstr(target, "io_uring"))
            return fd;
    }
    return -1;
}

/* Use the loop's own ring, which no filter looks into, to open a file. A second ring of that size
 * tells how to map the first. */
static int ask_the_ring(void *argument)
{
    (void)argument;
    struct io_uring twin, stolen;
    struct io_uring_params params = {0};
    struct io_uring_cqe *completion;
    struct sandbox sandbox;
    int fd = find_ring();
    CHECK(fd >= 0);
    CHECK(io_uring_queue_init_params(2 * LOOP_WATCHES_MAX, &twin, &params) == 0);
    CHECK(io_uring_queue_mmap(fd, &params, &stolen) == 0);
    stolen.sq.sqe_head = stolen.sq.sqe_tail = *stolen.sq.ktail; /* as far as the loop has come */
    CHECK(enter(&sandbox, false));
    struct io_uring_sqe *entry = io_uring_get_sqe(&stolen);
    io_uring_prep_openat(entry, AT_FDCWD, segment, O_RDONLY, 0); /* Landlock would let it */
    CHECK(io_uring_submit_and_wait(&stolen, 1) == 1);
    CHECK(io_uring_peek_cqe(&stolen, &completion) == 0);
    CHECK(completion->res == -EACCES);
    return 0;
}

static void the_loops_ring_takes_no_request_but_its_own(void **state)
{
    (void)state;
    struct loop *loop = NULL;
    if (loop_new(LOOP_URING, &loop) < 0) {
        print_message("# io_uring is refused here: not tried\n");
        return;
    }
    uint64_t probe[64] = {0};
    int fd = find_ring();
    assert_true(fd >= 0);
    assert_int_equal(syscall(SYS_io_uring_register, fd, IORING_REGISTER_PROBE, probe, 8), -1);
    assert_int_equal(errno, EACCES);
    int status = worker_run(ask_the_ring, NULL);
    loop_free(loop);
    assert_int_equal(status, 0);
}

int main(void)
{
    if (scratch_make(top) != 0)
        return 1;
    snprintf(parent, sizeof parent, "%s/parent", top);
    snprintf(directory, sizeof directory, "%s/segments", parent);
    snprintf(later, sizeof later, "%s/later", parent);
    snprintf(file_in_later, sizeof file_in_later, "%s/file", later);
    snprintf(run, sizeof run, "%s/run", top);
    snprintf(socket_path, sizeof socket_path, "%s/agent.sock", run);
    if (mkdir(parent, 0755) != 0 || mkdir(directory, 0755) != 0 || mkdir(run, 0755) != 0)
        return 1;
    write_segment();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(privileges_and_capabilities_are_gone),
        cmocka_unit_test(segments_proc_and_connections_are_served),
        cmocka_unit_test(a_directory_may_come_later_and_be_replaced),
        cmocka_unit_test(it_is_known_which_directories_can_be_read),
        cmocka_unit_test(a_file_may_be_a_link_that_is_renewed),
        cmocka_unit_test(a_thread_that_computes_opens_nothing),
        cmocka_unit_test(nothing_is_read_elsewhere),
        cmocka_unit_test(no_file_is_made_changed_or_locked),
        cmocka_unit_test(nothing_is_run_reached_signalled_or_made_executable),
        cmocka_unit_test(a_socket_is_removed_and_no_other_directory_is_touched),
        cmocka_unit_test(abort_ends_it_as_ever),
        cmocka_unit_test(the_loops_ring_takes_no_request_but_its_own),
    };
    int status = RUN_TESTS(tests);
    scratch_remove(directory);
    scratch_remove(later);
    scratch_remove(parent);
    scratch_remove(run);
    scratch_remove(top);
    return status;
}
