/* SPDX-License-Identifier: MIT
 *
 * sandbox.c - capabilities, Landlock, seccomp; the only file that knows libseccomp. Runs once,
 * before the first byte of a segment or of a request is read: whoever gets the agent to run his
 * code finds a process that can read segments and answer who asks, and nothing else.
 *
 * A refused system call fails with EPERM and is reported to the kernel's log (audit type 1326). To
 * be killed for it would be more dramatic, not safer, and would turn each libc that does an old
 * thing by a new call into a machine without monitoring.
 *
 * io_uring does its work past any seccomp filter: loop_uring.c restricts its ring, and no other can
 * be made from here.
 */
#include "agent/system/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define READ_FILE   ((uint64_t)LANDLOCK_ACCESS_FS_READ_FILE)
#define READ_BELOW  (READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define REMOVE_FILE ((uint64_t)LANDLOCK_ACCESS_FS_REMOVE_FILE)

/* Started as root the agent goes on reading what belongs to others, as it was asked to; it cannot
 * write it any more. A prober also looks at other users' processes, if it may. */
static const uint64_t kept_by_agent = UINT64_C(1) << CAP_DAC_READ_SEARCH;
static const uint64_t kept_by_prober = UINT64_C(1) << CAP_DAC_READ_SEARCH | UINT64_C(1)
                                                                                << CAP_SYS_PTRACE;

/* Until the last one that this kernel has, or until it says that we may not. */
static void drop_bounds(void)
{
    for (unsigned long capability = 0; prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0;)
        capability++;
}

static void drop_capabilities(uint64_t but)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {{0}};
    drop_bounds();
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (syscall(SYS_capget, &header, sets) < 0)
        return;
    for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
        uint32_t kept = (uint32_t)(but >> (32 * i));
        sets[i].permitted &= kept;
        sets[i].effective &= kept;
        sets[i].inheritable = 0;
    }
    syscall(SYS_capset, &header, sets);
}

/* All rights over files that this version of Landlock knows: the lowest so many bits. */
static uint64_t rights_of_version(long version)
{
    static const unsigned bits[] = {0, 13, 14, 15, 15, 16};
    long newest = sizeof bits / sizeof bits[0] - 1;
    return (UINT64_C(1) << bits[version < newest ? version : newest]) - 1;
}

/* The rules while they are made, and what they come to. */
struct rules {
    int fd;
    struct sandbox *sandbox;
};

static void note_root(struct sandbox *sandbox, int fd)
{
    struct stat st;
    if (sandbox->n_roots < SANDBOX_ROOTS_MAX && fstat(fd, &st) == 0)
        sandbox->roots[sandbox->n_roots++] = (struct sandbox_root){st.st_dev, st.st_ino};
}

/* Allow rights to what lies below a path, or to the file itself. Returns 0 or a negative errno. */
static int allow_path(const struct rules *rules, const char *path, uint64_t rights)
{
    struct landlock_path_beneath_attr rule = {.allowed_access = rights,
                                              .parent_fd = open(path, O_PATH | O_CLOEXEC)};
    if (rule.parent_fd < 0)
        return -errno;
    int rc = 0;
    if (syscall(SYS_landlock_add_rule, rules->fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
        rc = -errno;
    else if (rights == READ_BELOW)
        note_root(rules->sandbox, rule.parent_fd);
    close(rule.parent_fd);
    return rc;
}

/* Cut a path to that of its parent. Returns false at the root. */
static bool to_parent(char *path)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    if (length <= 1)
        return false;
    while (length > 1 && path[length - 1] != '/')
        length--;
    while (length > 1 && path[length - 1] == '/')
        length--;
    path[length] = 0;
    return true;
}

/* Returns false if the path is too long to be one. */
static bool parent_of(const char *path, char out[PATH_MAX])
{
    if (strlen(path) >= PATH_MAX)
        return false;
    strcpy(out, path);
    to_parent(out);
    return true;
}

/* A rule holds for an inode, and a directory of segments may be made, or made anew, while we run:
 * so its parent is what is allowed, or the nearest that exists. But not the root, if the directory
 * is there: what lies at the top is a place to mount at, and stays. */
static void allow_segments(const struct rules *rules, const char *directory)
{
    char path[PATH_MAX];
    if (!parent_of(directory, path))
        return;
    if (strcmp(path, "/") == 0 && allow_path(rules, directory, READ_BELOW) == 0)
        return;
    while (allow_path(rules, path, READ_BELOW) < 0 && to_parent(path))
        continue;
}

/* Where it lies: who renews a file puts another in its place. At the top, it alone. */
static void allow_directory(const struct rules *rules, const char *file)
{
    char path[PATH_MAX];
    if (!parent_of(file, path))
        return;
    allow_path(rules, strcmp(path, "/") == 0 ? file : path, READ_BELOW);
}

/* Also where links lead to now, as those of certbot and of Kubernetes do. */
static void allow_file(const struct rules *rules, const char *file)
{
    char resolved[PATH_MAX];
    allow_directory(rules, file);
    if (realpath(file, resolved))
        allow_directory(rules, resolved);
}

static void allow_removal(const struct rules *rules, const char *socket)
{
    char path[PATH_MAX];
    if (!parent_of(socket, path))
        return;
    allow_path(rules, path, REMOVE_FILE);
}

static int restrict_files(const struct sandbox_needs *needs, struct sandbox *out)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 0)
        return -errno;
    struct landlock_ruleset_attr handled = {.handled_access_fs = rights_of_version(version)};
    int fd = (int)syscall(SYS_landlock_create_ruleset, &handled, sizeof handled, 0);
    if (fd < 0)
        return -errno;
    const struct rules *rules = &(struct rules){.fd = fd, .sandbox = out};
    for (size_t i = 0; i < needs->n_directories; i++)
        allow_segments(rules, needs->directories[i]);
    for (size_t i = 0; i < needs->n_files; i++)
        allow_file(rules, needs->files[i]);
    for (size_t i = 0; i < needs->n_sockets; i++)
        allow_removal(rules, needs->sockets[i]);
    allow_path(rules, "/proc", READ_BELOW);
    allow_path(rules, "/dev/urandom", READ_FILE); /* jansson seeds its hashes from it */
    int rc = syscall(SYS_landlock_restrict_self, fd, 0) < 0 ? -errno : 0;
    close(fd);
    return rc;
}

static bool is_root(const struct sandbox *sandbox, const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return false;
    for (size_t i = 0; i < sandbox->n_roots; i++)
        if (sandbox->roots[i].device == st.st_dev && sandbox->roots[i].inode == st.st_ino)
            return true;
    return false;
}

/* The kernel goes up from where a path leads to, past links: so do we, from the nearest directory
 * that there is. */
bool sandbox_reads(const struct sandbox *sandbox, const char *directory)
{
    char path[PATH_MAX], resolved[PATH_MAX];
    if (strcmp(sandbox->landlock, "on") != 0)
        return true;
    if (strlen(directory) >= sizeof path)
        return false;
    strcpy(path, directory);
    while (!realpath(path, resolved))
        if (!to_parent(path))
            return false;
    do
        if (is_root(sandbox, resolved))
            return true;
    while (to_parent(resolved));
    return false;
}

/* The system calls that are allowed with any arguments. Nothing here opens, makes or changes a
 * file, a socket or a process. */
static const int plain_calls[] = {
    /* descriptors that are open */
    SCMP_SYS(read), SCMP_SYS(pread64), SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(close),
    SCMP_SYS(lseek), SCMP_SYS(getdents64), SCMP_SYS(fstat), SCMP_SYS(poll), SCMP_SYS(ppoll),
    /* looking at files */
    SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(readlink),
    SCMP_SYS(readlinkat), SCMP_SYS(inotify_add_watch), SCMP_SYS(inotify_rm_watch),
    /* connections */
    SCMP_SYS(accept4), SCMP_SYS(recvfrom), SCMP_SYS(sendto), SCMP_SYS(sendmsg), SCMP_SYS(shutdown),
    SCMP_SYS(getsockopt),
    /* the loop and its clocks */
    SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_ctl), SCMP_SYS(io_uring_enter),
    SCMP_SYS(futex), SCMP_SYS(restart_syscall), SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    /* memory and the process itself; sysinfo: qsort(3) */
    SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(getrandom),
    SCMP_SYS(sysinfo), SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(getuid), SCMP_SYS(geteuid),
    SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(exit),
#if defined(__SANITIZE_ADDRESS__)
    /* The sanitizer looks for leaks from a process of its own that traces this one. */
    SCMP_SYS(clone), SCMP_SYS(ptrace), SCMP_SYS(wait4), SCMP_SYS(prctl), SCMP_SYS(sigaltstack),
    SCMP_SYS(sched_yield), SCMP_SYS(getppid), SCMP_SYS(getdents),
#endif
    SCMP_SYS(exit_group)};

/* A call that this architecture does not have is passed over by the library. */
static int allow(scmp_filter_ctx filter, int call)
{
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0);
}

/* Allow a call only if a mask of one of its arguments has this value. */
static int allow_if(scmp_filter_ctx filter, int call, unsigned argument, scmp_datum_t mask,
                    scmp_datum_t value)
{
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 1,
                            SCMP_CMP64(argument, SCMP_CMP_MASKED_EQ, mask, value));
}

/* int arguments: the kernel ignores the upper half of the register. */
#define WHOLE_INT UINT32_MAX

/* To read. */
static int allow_opening(scmp_filter_ctx filter)
{
    const scmp_datum_t writing = O_ACCMODE | O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY);
    int rc = allow_if(filter, SCMP_SYS(openat), 2, writing, O_RDONLY);
    return rc == 0 ? allow_if(filter, SCMP_SYS(open), 1, writing, O_RDONLY) : rc;
}

static int allow_by_argument(scmp_filter_ctx filter)
{
    static const int fcntls[] = {F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_GETLK, F_OFD_GETLK};
    int rc = allow_opening(filter);
    for (size_t i = 0; i < sizeof fcntls / sizeof fcntls[0] && rc == 0; i++)
        rc = allow_if(filter, SCMP_SYS(fcntl), 1, WHOLE_INT, (scmp_datum_t)fcntls[i]);
    if (rc == 0)
        rc = allow_if(filter, SCMP_SYS(setsockopt), 1, WHOLE_INT, IPPROTO_TCP);
    if (rc == 0) /* to reset a connection; there are options that take programs */
        rc = seccomp_rule_add(
            filter, SCMP_ACT_ALLOW, SCMP_SYS(setsockopt), 2,
            (struct scmp_arg_cmp){.arg = 1, .op = SCMP_CMP_EQ, .datum_a = SOL_SOCKET},
            (struct scmp_arg_cmp){.arg = 2, .op = SCMP_CMP_EQ, .datum_a = SO_LINGER});
    if (rc == 0) /* read limits, set none */
        rc = allow_if(filter, SCMP_SYS(prlimit64), 2, UINT64_MAX, 0);
    if (rc == 0) /* abort(3) */
        rc = allow_if(filter, SCMP_SYS(tgkill), 0, WHOLE_INT, (scmp_datum_t)getpid());
    if (rc == 0) /* no code but what is mapped now */
        rc = allow_if(filter, SCMP_SYS(mmap), 2, PROT_EXEC, 0);
    return rc == 0 ? allow_if(filter, SCMP_SYS(mprotect), 2, PROT_EXEC, 0) : rc;
}

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static int allow_all(scmp_filter_ctx filter, const int calls[], size_t n)
{
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = allow(filter, calls[i]);
    return rc;
}

static int fill(scmp_filter_ctx filter, const struct sandbox_needs *needs)
{
    int rc = allow_all(filter, plain_calls, COUNT(plain_calls));
    if (rc == 0 && needs->n_sockets > 0)
        rc = allow(filter, SCMP_SYS(unlink));
    if (rc == 0 && needs->n_sockets > 0) /* on aarch64 */
        rc = allow(filter, SCMP_SYS(unlinkat));
    return rc == 0 ? allow_by_argument(filter) : rc;
}

/* The system calls of a thread that computes: reading and writing what is open, and its own end. */
static const int computing_calls[] = {
    SCMP_SYS(read),      SCMP_SYS(write),        SCMP_SYS(close),          SCMP_SYS(futex),
    SCMP_SYS(munmap),    SCMP_SYS(madvise),      SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn),
    SCMP_SYS(exit),
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    SCMP_SYS(mmap),      SCMP_SYS(sigaltstack),  SCMP_SYS(sched_yield),    SCMP_SYS(gettid),
    SCMP_SYS(getpid),    SCMP_SYS(rt_sigaction), SCMP_SYS(clock_gettime),  SCMP_SYS(prctl),
#endif
    SCMP_SYS(exit_group)};

static int fill_to_compute(scmp_filter_ctx filter, const struct sandbox_needs *needs)
{
    (void)needs;
    return allow_all(filter, computing_calls, COUNT(computing_calls));
}

/* Those of a prober: reading files. */
static const int probing_calls[] = {
    SCMP_SYS(read),        SCMP_SYS(pread64), SCMP_SYS(write),          SCMP_SYS(close),
    SCMP_SYS(newfstatat),  SCMP_SYS(fstat),   SCMP_SYS(rt_sigreturn),
#if defined(__SANITIZE_ADDRESS__)
    SCMP_SYS(mmap),        SCMP_SYS(munmap),  SCMP_SYS(rt_sigprocmask), SCMP_SYS(futex),
    SCMP_SYS(sigaltstack), SCMP_SYS(getpid),  SCMP_SYS(gettid),
#endif
    SCMP_SYS(exit_group)};

static int fill_to_probe(scmp_filter_ctx filter, const struct sandbox_needs *needs)
{
    (void)needs;
    int rc = allow_all(filter, probing_calls, COUNT(probing_calls));
    return rc == 0 ? allow_opening(filter) : rc;
}

static int restrict_calls(int (*fill_in)(scmp_filter_ctx, const struct sandbox_needs *),
                          const struct sandbox_needs *needs)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (!filter)
        return -ENOMEM;
    seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1);
    int rc = fill_in(filter, needs);
    if (rc == 0)
        rc = seccomp_load(filter);
    seccomp_release(filter);
    return rc;
}

static void tell(char out[SANDBOX_WHY_SIZE], int rc)
{
    bool unknown = rc == -ENOSYS || rc == -EOPNOTSUPP;
    const char *why = unknown ? "not offered by this kernel" : strerror(-rc);
    snprintf(out, SANDBOX_WHY_SIZE, "%s", rc == 0 ? "on" : why);
}

/* seccomp last: its filter allows none of what the others need. */
void sandbox_enter(const struct sandbox_needs *needs, struct sandbox *out)
{
    out->n_roots = 0;
    drop_capabilities(kept_by_agent);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    tell(out->landlock, restrict_files(needs, out));
    tell(out->seccomp, restrict_calls(fill, needs));
}

void sandbox_enter_to_compute(void)
{
    const struct sandbox_needs nothing = {.n_files = 0};
    struct sandbox unused = {.n_roots = 0};
    drop_capabilities(kept_by_agent);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    restrict_files(&nothing, &unused);
    restrict_calls(fill_to_compute, NULL);
}

/* Without Landlock: who is restricted by it may look at no process that is not. */
void sandbox_enter_to_probe(void)
{
    drop_capabilities(kept_by_prober);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    restrict_calls(fill_to_probe, NULL);
}
