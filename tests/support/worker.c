/* SPDX-License-Identifier: MIT
 *
 * worker.c - child processes of a test, and the few words they share with it.
 */
#include "support/worker.h"

#include "support/patience.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const int crashes[] = {SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGSYS};

enum { YIELDS = 20 };

pid_t worker_start(int (*body)(void *argument), void *argument)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        /* cmocka's handlers would go on with the parent's tests. */
        for (size_t i = 0; i < sizeof crashes / sizeof crashes[0]; i++)
            (void)signal(crashes[i], SIG_DFL);
        int status = body(argument);
        fflush(stderr);
        _exit(status);
    }
    return pid;
}

int worker_wait(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return 255;
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

int worker_run(int (*body)(void *argument), void *argument)
{
    return worker_wait(worker_start(body, argument));
}

void *worker_shared(size_t size)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

uint64_t worker_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

bool worker_reach(const uint32_t *word, uint32_t value)
{
    uint64_t deadline = worker_now_ns() + PATIENCE_NS;
    for (unsigned looks = 0; __atomic_load_n(word, __ATOMIC_ACQUIRE) < value; looks++) {
        if (worker_now_ns() > deadline)
            return false;
        /* A crowd that only yields leaves no CPU to the one it waits for. */
        if (looks < YIELDS)
            sched_yield();
        else
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return true;
}

void worker_arrive(uint32_t *word)
{
    __atomic_fetch_add(word, 1, __ATOMIC_RELEASE);
}
