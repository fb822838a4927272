/* SPDX-License-Identifier: MIT
 *
 * proc.h - one process as /proc shows it, by descriptors that may be kept: one of a process that
 * has ended says so for ever, so no other that gets its pid is taken for it.
 *
 * Kept, because that is the fastest: per process 10 us for status and 1.5 for the number of
 * descriptors; opened and closed each time 15 and 3; through io_uring in batches of 100 it is no
 * less than by pread(2): nearly all of it is the kernel writing the text. CPU time is a clock,
 * which takes a microsecond; stat, which has it in hundredths of a second, takes 5.
 */
#ifndef SMX_AGENT_WORKERS_PROC_H
#define SMX_AGENT_WORKERS_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Two descriptors, -1 where there is none. */
struct proc {
    pid_t pid;
    int status, fds;
};
enum { PROC_DESCRIPTORS = 2 };
#define PROC_NONE ((struct proc){0, -1, -1})

/* Who it is. */
struct proc_identity {
    uid_t owner;          /* its effective user */
    uint64_t start_ticks; /* after boot */
};

/* What is read; UINT64_MAX: it is not known. */
struct proc_numbers {
    uint64_t cpu_ns; /* user and system, all threads, and those that have ended */
    uint64_t threads;
    uint64_t resident_kib;
    uint64_t open_fds, max_fds;
    uint64_t voluntary_switches, involuntary_switches; /* of the first thread */
};

/* Open a process, and tell who it is. Returns: 0, -ENOENT or -ESRCH (it is not there, or hidden),
 * -EACCES, -EPERM, -EMFILE, ... */
int proc_open(struct proc *out, pid_t pid, struct proc_identity *who);
void proc_close(struct proc *proc);

/* Read all numbers but the limit. Returns: 0, -ESRCH (it has ended), another negative errno. */
int proc_read(const struct proc *proc, struct proc_numbers *out);

/* Read its limit of open files, by its pid: what comes out is this process's if it is there
 * afterwards, as proc_read() finds out. */
uint64_t proc_max_fds(pid_t pid);

/* The entries of the open directory /proc/<pid>/fd, by its size, as since Linux 6.2, or by counting
 * them; UINT64_MAX: hidden, or too many to count. */
uint64_t proc_count_fds(int fds);
uint64_t proc_list_fds(int fds);

/* The text of an open file of /proc. Returns: its length, a negative errno. */
enum { PROC_TEXT_MAX = 8192 };
int proc_text(int fd, char text[PROC_TEXT_MAX]);

/* The number that follows a key in a text; UINT64_MAX if there is none. */
uint64_t proc_number(const char *text, const char *key);

/* Who the process is whose directory is open. Returns: 0, a negative errno. */
int proc_identify(int process, struct proc_identity *out);

/* Whether /proc is that of our own PID namespace. */
bool proc_is_ours(void);

#endif
