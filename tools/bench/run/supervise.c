/* SPDX-License-Identifier: MIT
 *
 * supervise.c - the process that was started. It measures nothing: it makes the private directory,
 * waits for a signal or the end of the child that does all the work, and leaves nothing behind on
 * any way out but its own SIGKILL (after which the child dies, too, but the directory stays).
 *
 * The child and all its descendants are one process group, apart from ours: a ^C reaches us alone,
 * and one kill() ends them all.
 */
#include "run/supervise.h"
#include "run/tree.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void block_signals(sigset_t *awaited, sigset_t *before)
{
    sigemptyset(awaited);
    sigaddset(awaited, SIGINT);
    sigaddset(awaited, SIGTERM);
    sigaddset(awaited, SIGHUP);
    sigaddset(awaited, SIGCHLD);
    sigprocmask(SIG_BLOCK, awaited, before);
}

/* Returns: the child's exit status, or 128 + the signal that ended it or us. */
static int await(pid_t child, const sigset_t *awaited)
{
    for (;;) {
        int signal = sigwaitinfo(awaited, NULL);
        if (signal < 0)
            continue;
        if (signal != SIGCHLD) {
            kill(-child, SIGKILL);
            return 128 + signal;
        }
        int status;
        if (waitpid(child, &status, WNOHANG) != child)
            continue;
        kill(-child, SIGKILL);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
}

static pid_t start(int (*work)(const char *, void *), const char *directory, void *context,
                   const sigset_t *before)
{
    const pid_t supervisor = getpid();
    fflush(NULL);
    pid_t child = fork();
    if (child != 0) {
        if (child > 0)
            setpgid(child, child);
        return child;
    }
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != supervisor)
        _exit(1);
    sigprocmask(SIG_SETMASK, before, NULL);
    int status = work(directory, context);
    _exit(fflush(NULL) == 0 ? status : 1);
}

int supervise(const char *parent, int (*work)(const char *directory, void *context), void *context)
{
    char directory[PATH_MAX];
    sigset_t awaited, before;
    block_signals(&awaited, &before);
    /* Orphans of the child come to us: the directory is removed when the last of them is gone. */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    int n = snprintf(directory, sizeof directory, "%s/smx-bench-XXXXXX", parent);
    if (n < 0 || (size_t)n >= sizeof directory || !mkdtemp(directory)) {
        fprintf(stderr, "smx-bench: %s: %s\n", directory, strerror(errno));
        return 1;
    }
    int status = 1;
    pid_t child = start(work, directory, context, &before);
    if (child < 0)
        fprintf(stderr, "smx-bench: cannot fork: %s\n", strerror(errno));
    else
        status = await(child, &awaited);
    while (wait(NULL) >= 0 || errno == EINTR) {
    }
    int code = tree_remove(directory);
    if (code < 0) {
        fprintf(stderr, "smx-bench: cannot remove %s: %s\n", directory, strerror(-code));
        return 1;
    }
    return status;
}
