/* SPDX-License-Identifier: MIT
 *
 * probe.c - both ends of the socket; the rest of the file runs in the prober.
 */
#include "agent/workers/probe.h"

#include "agent/system/sandbox.h"
#include "agent/workers/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int read_below(int process, const char *file, char text[PROC_TEXT_MAX])
{
    int fd = openat(process, file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int n = proc_text(fd, text);
    close(fd);
    return n;
}

/* Whether it is still who was asked about. */
static bool is_same(int process, const struct probe_process *p)
{
    struct proc_identity who;
    return proc_identify(process, &who) == 0 && who.start_ticks == p->start_ticks &&
           who.owner == p->owner;
}

static void look(int process, unsigned what, struct probe_process *p)
{
    char text[PROC_TEXT_MAX];
    p->proportional_bytes = p->read_bytes = p->written_bytes = UINT64_MAX;
    if (what & PROBE_MEMORY && read_below(process, "smaps_rollup", text) > 0) {
        uint64_t kib = proc_number(text, "\nPss:");
        p->proportional_bytes = kib < UINT64_MAX >> 10 ? kib << 10 : UINT64_MAX;
    }
    if (what & PROBE_IO && read_below(process, "io", text) > 0) {
        p->read_bytes = proc_number(text, "\nread_bytes:");
        p->written_bytes = proc_number(text, "\nwrite_bytes:");
    }
}

/* Returns false if it is not there, or another. */
static bool probe(unsigned what, struct probe_process *p)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/%d", (int)p->pid);
    int process = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (process < 0)
        return false;
    bool same = is_same(process, p);
    if (same)
        look(process, what, p);
    close(process);
    return same;
}

static void serve(int socket, unsigned what)
{
    struct probe_process list[PROBE_BATCH];
    ssize_t n;
    while ((n = read(socket, list, sizeof list)) > 0) {
        size_t kept = 0, asked = (size_t)n / sizeof list[0];
        for (size_t i = 0; i < asked; i++)
            if (probe(what, &list[i]))
                list[kept++] = list[i];
        if (kept < PROBE_BATCH)
            list[kept++].pid = 0; /* the end, if it is not full: no message is of nothing */
        if (write(socket, list, kept * sizeof list[0]) < 0)
            break;
    }
}

/* All signals are blocked: it ends with the agent, not by those that both get. */
static void run(int socket, unsigned what)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "smx-prober");
    if (dup2(socket, STDERR_FILENO + 1) < 0)
        _exit(1);
    close_range(STDERR_FILENO + 2, ~0U, 0);
    if (!(what & PROBE_FREELY))
        sandbox_enter_to_probe();
    serve(STDERR_FILENO + 1, what);
    _exit(0);
}

int probe_start(unsigned what, int *out)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    pid_t pid = fork();
    int rc = pid < 0 ? -errno : 0;
    if (pid == 0) {
        close(pair[0]);
        run(pair[1], what);
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    close(pair[1]);
    if (rc == 0 && fcntl(pair[0], F_SETFL, O_NONBLOCK) < 0)
        rc = -errno;
    if (rc < 0)
        close(pair[0]);
    else
        *out = pair[0];
    return rc;
}

int probe_ask(int socket, const struct probe_process list[], size_t n)
{
    return send(socket, list, n * sizeof list[0], MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int probe_answer(int socket, struct probe_process list[PROBE_BATCH])
{
    ssize_t n = read(socket, list, PROBE_BATCH * sizeof list[0]);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? -EAGAIN : -EPIPE;
    if (n == 0)
        return -EPIPE;
    int count = 0, all = (int)((size_t)n / sizeof list[0]);
    while (count < all && list[count].pid)
        count++;
    return count;
}
