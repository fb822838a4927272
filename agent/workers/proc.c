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
#include <unistd.h>

/* More than any of the files has. */
enum { TEXT_MAX = 8192 };

/* To list one takes a microsecond. */
enum { LISTED_MAX = 16384 };

/* Fields of stat, as proc(5) numbers them. */
enum { STAT_STATE = 3, STAT_USER = 14, STAT_SYSTEM, STAT_THREADS = 20, STAT_START = 22 };
enum { STAT_FIELDS = STAT_START + 1 };

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
    proc->stat = openat(process, "stat", O_RDONLY | O_CLOEXEC);
    if (proc->stat < 0)
        return -errno;
    proc->status = openat(process, "status", O_RDONLY | O_CLOEXEC);
    if (proc->status < 0)
        return -errno;
    proc->fds = openat(process, "fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return proc->fds < 0 ? -errno : 0;
}

int proc_open(struct proc *out, pid_t pid, uid_t *owner)
{
    struct stat st;
    struct proc proc = PROC_NONE;
    int process = open_process(pid);
    if (process < 0)
        return process;
    int rc = fstat(process, &st) < 0 ? -errno : open_files(&proc, process);
    close(process);
    if (rc < 0) {
        proc_close(&proc);
        return rc;
    }
    *owner = st.st_uid;
    *out = proc;
    return 0;
}

void proc_close(struct proc *proc)
{
    const int fds[] = {proc->stat, proc->status, proc->fds};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    *proc = PROC_NONE;
}

/* The text of an open file. Returns its length or a negative errno. */
static int read_text(int fd, char text[TEXT_MAX])
{
    ssize_t n = pread(fd, text, TEXT_MAX - 1, 0);
    if (n < 0)
        return -errno;
    text[n] = '\0';
    return (int)n;
}

/* Fields are counted from behind the last ')': the command's name before it may hold anything. */
static int read_stat(int fd, struct proc_numbers *out)
{
    char text[TEXT_MAX];
    uint64_t fields[STAT_FIELDS] = {0};
    int n = read_text(fd, text);
    if (n < 0)
        return n;
    const char *at = strrchr(text, ')');
    at = at && at[1] == ' ' ? strchr(at + 2, ' ') : NULL; /* past the state, a letter */
    for (unsigned i = STAT_STATE + 1; at && i < STAT_FIELDS; i++) {
        char *end;
        fields[i] = strtoull(at + 1, &end, 10);
        at = *end == ' ' ? end : NULL;
    }
    if (!at)
        return n == 0 ? -ESRCH : -EPROTO;
    out->cpu_ticks = fields[STAT_USER] + fields[STAT_SYSTEM];
    out->threads = fields[STAT_THREADS];
    out->start_ticks = fields[STAT_START];
    return 0;
}

/* The number that follows a key; UINT64_MAX if there is none. */
static uint64_t number_after(const char *text, const char *key)
{
    const char *at = strstr(text, key);
    if (!at)
        return UINT64_MAX;
    at += strlen(key);
    at += strspn(at, " \t");
    return *at >= '0' && *at <= '9' ? strtoull(at, NULL, 10) : UINT64_MAX;
}

/* In the command's name, which comes first, the kernel escapes newlines. Memory is that of status:
 * stat leaves out what the CPUs have not yet told each other, some hundred KiB. */
static int read_status(int fd, struct proc_numbers *out)
{
    char text[TEXT_MAX];
    int n = read_text(fd, text);
    if (n < 0)
        return n;
    out->resident_kib = number_after(text, "\nVmRSS:");
    out->voluntary_switches = number_after(text, "\nvoluntary_ctxt_switches:");
    out->involuntary_switches = number_after(text, "\nnonvoluntary_ctxt_switches:");
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

int proc_read(const struct proc *proc, struct proc_numbers *out)
{
    int rc = read_status(proc->status, out);
    out->open_fds = proc_count_fds(proc->fds);
    return rc < 0 ? rc : read_stat(proc->stat, out);
}

uint64_t proc_max_fds(pid_t pid)
{
    char path[32], text[TEXT_MAX];
    snprintf(path, sizeof path, "/proc/%d/limits", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return UINT64_MAX;
    int n = read_text(fd, text);
    close(fd);
    return n < 0 ? UINT64_MAX : number_after(text, "\nMax open files");
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
