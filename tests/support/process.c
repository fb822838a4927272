/* SPDX-License-Identifier: MIT
 *
 * process.c - programs that a test runs: start, watch, end. Knows nothing of smx.
 */
#include "support/process.h"

#include "support/patience.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LOOK_MS = 10 };

uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void pause_ms(unsigned ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000},
              NULL);
}

bool eventually(bool (*state)(void *), void *argument)
{
    uint64_t deadline = now_ms() + PATIENCE_MS;
    while (!state(argument)) {
        if (now_ms() > deadline)
            return false;
        pause_ms(LOOK_MS);
    }
    return true;
}

/* Test programs lie in BUILD/tests, the others in BUILD/bin. */
static void find_program(const char *name, char path[PATH_MAX])
{
    char self[PATH_MAX - 256];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n < 0 ? 0 : n] = '\0';
    for (int up = 0; up < 2 && strrchr(self, '/'); up++)
        *strrchr(self, '/') = '\0';
    snprintf(path, PATH_MAX, "%s/bin/%.200s", self, name);
    if (access(path, X_OK) != 0)
        snprintf(path, PATH_MAX, "%.200s", name);
}

static _Noreturn void be_program(const char *const argv[], int out)
{
    char path[PATH_MAX];
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    dup2(out >= 0 ? out : open("/dev/null", O_WRONLY), STDOUT_FILENO);
    find_program(argv[0], path);
    execvp(path, (char *const *)argv);
    perror(path);
    _exit(127);
}

pid_t process_start(const char *const argv[], int *out)
{
    int ends[2] = {-1, -1};
    if (out && pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0)
        be_program(argv, ends[1]);
    if (out) {
        close(ends[1]);
        *out = ends[0];
    }
    return pid;
}

int process_stop(pid_t pid, int signo)
{
    int status;
    if (signo)
        kill(pid, signo);
    for (uint64_t deadline = now_ms() + PATIENCE_MS; now_ms() < deadline; pause_ms(LOOK_MS))
        if (waitpid(pid, &status, WNOHANG) == pid)
            return status;
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    return -1;
}

static bool is_dead(pid_t pid)
{
    char path[64], line[512];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return true;
    const char *name_end = fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
    fclose(file);
    return !name_end || name_end[2] == 'Z' || name_end[2] == 'X';
}

size_t process_children(pid_t pid, pid_t pids[], size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
    FILE *file = fopen(path, "re");
    size_t n = 0;
    for (int child; file && n < size && fscanf(file, "%d", &child) == 1;)
        if (!is_dead(child))
            pids[n++] = child;
    if (file)
        fclose(file);
    return n;
}

size_t scaled(size_t rounds)
{
    const char *scale = getenv("SMX_TEST_SCALE");
    size_t times = scale ? strtoul(scale, NULL, 10) : 1;
    return rounds * (times ? times : 1);
}
