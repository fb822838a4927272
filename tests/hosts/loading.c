/* SPDX-License-Identifier: MIT
 *
 * loading.c - a host that loads a plug-in, lets it update its metrics, unloads it, and goes on:
 * under a rain of signals, moved from CPU to CPU, forking. A rseq_cs or a fork handler that pointed
 * into the plug-in would kill it now. Usage: loading PLUGIN.
 */
#include <dlfcn.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LOADS = 20, ROUNDS = 1000, MOVES = 300 };

static void fail(const char *what)
{
    fprintf(stderr, "%s\n", what);
    exit(1);
}

static void on_alarm(int signal)
{
    (void)signal;
}

/* A signal each millisecond of CPU time; each interrupts the host and looks at its rseq_cs. */
static void start_signals(void)
{
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    struct itimerval each_ms = {{0, 1000}, {0, 1000}};
    if (sigaction(SIGPROF, &action, NULL) < 0 || setitimer(ITIMER_PROF, &each_ms, NULL) < 0)
        fail("no signals");
}

/* Run on every CPU that this process may use, in turn. */
static void go_on(void)
{
    cpu_set_t all, one;
    if (sched_getaffinity(0, sizeof all, &all) < 0)
        fail("no affinity");
    size_t cpu = 0;
    for (int move = 0; move < MOVES; move++) {
        do
            cpu = (cpu + 1) % CPU_SETSIZE;
        while (!CPU_ISSET(cpu, &all));
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        if (sched_setaffinity(0, sizeof one, &one) < 0)
            fail("cannot move");
        sched_yield();
    }
    if (sched_setaffinity(0, sizeof all, &all) < 0)
        fail("cannot move back");
}

static void fork_once(void)
{
    int status;
    pid_t child = fork();
    if (child == 0)
        _exit(7);
    if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 7)
        fail("the child of the host died");
}

static void load_once(const char *path)
{
    void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!plugin)
        fail(dlerror());
    int (*run)(int);
    *(void **)(&run) = dlsym(plugin, "plugin_run");
    if (!run || run(ROUNDS) < ROUNDS)
        fail("the plug-in did not count");
    /* Nothing here may enter the kernel to be rescheduled: that would clear a stale rseq_cs. */
    if (dlclose(plugin) != 0)
        fail(dlerror());
    if (dlopen(path, RTLD_NOW | RTLD_NOLOAD))
        fail("the plug-in is still loaded: this tests nothing");
}

int main(int argc, char **argv)
{
    if (argc != 2)
        fail("usage: loading PLUGIN");
    start_signals();
    for (int i = 0; i < LOADS; i++) {
        load_once(argv[1]);
        go_on();
        fork_once();
    }
    puts("alive");
    return 0;
}
