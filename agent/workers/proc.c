/* SPDX-License-Identifier: MIT
 *
 * proc.c - opens and reads files of /proc/<pid>. The kernel wrote them, but for the command's name,
 * which may be anything and is passed over.
 */
#include "agent/workers/proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* To list one takes a microsecond. */
enum { LISTED_MAX = 16384 };

/* The field of stat, as proc(5) numbers them. */
enum { STAT_START = 22 };

/* As clock_getcpuclockid(3) makes it, without its question whether there is such a process. */
static clockid_t cpu_clock(pid_t pid)
{
    enum { WHOLE_PROCESS = 2 };
    return (clockid_t)(~(unsigned)pid << 3 | WHOLE_PROCESS);
}

int proc_text(int fd, char text[PROC_TEXT_MAX])
{
    ssize_t n = pread(fd, text, PROC_TEXT_MAX - 1, 0);
    if (n < 0)
        return -errno;
    text[n] = '\0';
    return (int)n;
}

/* Fields are counted from behind the last ')': the command's name before it may hold anything. */
static int read_start(int stat, uint64_t *out)
{
    char text[PROC_TEXT_MAX];
    int n = proc_text(stat, text);
    if (n < 0)
        return n;
    const char *at = strrchr(text, ')');
    for (unsigned field = 2; at && field < STAT_START; field++)
        at = strchr(at + 1, ' ');
    if (!at)
        return n == 0 ? -ESRCH : -EPROTO;
    *out = strtoull(at + 1, NULL, 10);
    return 0;
}

int proc_identify(int process, struct proc_identity *out)
{
    struct stat st;
    if (fstat(process, &st) < 0)
        return -errno;
    out->owner = st.st_uid;
    int fd = openat(process, "stat", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int rc = read_start(fd, &out->start_ticks);
    close(fd);
    return rc;
}

static int open_process(pid_t pid)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/%d", (int)pid);
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* Below the directory of one process, whatever happens to its pid. */
static int open_files(struct proc *proc, int process)
{
    proc->status = openat(process, "status", O_RDONLY | O_CLOEXEC);
    if (proc->status < 0)
        return -errno;
    proc->fds = openat(process, "fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return proc->fds < 0 ? -errno : 0;
}

int proc_open(struct proc *out, pid_t pid, struct proc_identity *who)
{
    struct proc proc = PROC_NONE;
    int process = open_process(pid);
    if (process < 0)
        return process;
    int rc = open_files(&proc, process);
    if (rc == 0)
        rc = proc_identify(process, who);
    close(process);
    if (rc < 0) {
        proc_close(&proc);
        return rc;
    }
    proc.pid = pid;
    *out = proc;
    return 0;
}

void proc_close(struct proc *proc)
{
    if (proc->status >= 0)
        close(proc->status);
    if (proc->fds >= 0)
        close(proc->fds);
    *proc = PROC_NONE;
}

/* The number that follows the next such key; the text is then what is behind it. */
static uint64_t next_number(const char **text, const char *key)
{
    const char *at = strstr(*text, key);
    if (!at)
        return UINT64_MAX;
    at += strlen(key);
    at += strspn(at, " \t");
    *text = at;
    return *at >= '0' && *at <= '9' ? strtoull(at, NULL, 10) : UINT64_MAX;
}

uint64_t proc_number(const char *text, const char *key)
{
    return next_number(&text, key);
}

/* In the command's name, which comes first, the kernel escapes newlines; the keys are in its order.
 * Memory is not that of stat, which leaves out what the CPUs have not yet told each other, some
 * hundred KiB. */
static int read_status(int fd, struct proc_numbers *out)
{
    char text[PROC_TEXT_MAX];
    const char *at = text;
    int n = proc_text(fd, text);
    if (n <= 0)
        return n < 0 ? n : -ESRCH;
    out->resident_kib = next_number(&at, "\nVmRSS:");
    out->threads = next_number(&at, "\nThreads:");
    out->voluntary_switches = next_number(&at, "\nvoluntary_ctxt_switches:");
    out->involuntary_switches = next_number(&at, "\nnonvoluntary_ctxt_switches:");
    return 0;
}

uint64_t proc_list_fds(int fds)
{
    int fd = openat(fds, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    if (!directory) {
        if (fd >= 0)
            close(fd);
        return UINT64_MAX;
    }
    uint64_t n = 0;
    const struct dirent *entry;
    while (n < LISTED_MAX && (entry = readdir(directory)))
        n += entry->d_name[0] != '.';
    closedir(directory);
    return n < LISTED_MAX ? n : UINT64_MAX;
}

/* Who holds a lock has a descriptor at least. */
uint64_t proc_count_fds(int fds)
{
    struct stat st;
    if (fstat(fds, &st) < 0)
        return UINT64_MAX;
    return st.st_size > 0 ? (uint64_t)st.st_size : proc_list_fds(fds);
}

/* The clock goes by the pid: that this was still its own is known when status can be read behind
 * it. */
int proc_read(const struct proc *proc, struct proc_numbers *out)
{
    struct timespec cpu;
    out->cpu_ns = UINT64_MAX;
    if (clock_gettime(cpu_clock(proc->pid), &cpu) == 0)
        out->cpu_ns = (uint64_t)cpu.tv_sec * 1000000000u + (uint64_t)cpu.tv_nsec;
    out->open_fds = proc_count_fds(proc->fds);
    return read_status(proc->status, out);
}

uint64_t proc_max_fds(pid_t pid)
{
    char path[32], text[PROC_TEXT_MAX];
    snprintf(path, sizeof path, "/proc/%d/limits", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return UINT64_MAX;
    int n = proc_text(fd, text);
    close(fd);
    return n < 0 ? UINT64_MAX : proc_number(text, "\nMax open files");
}

bool proc_is_ours(void)
{
    char target[24];
    ssize_t n = readlink("/proc/self", target, sizeof target - 1);
    if (n <= 0)
        return false;
    target[n] = '\0';
    return strtol(target, NULL, 10) == (long)getpid();
}
