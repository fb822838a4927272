/* SPDX-License-Identifier: MIT
 *
 * master.c - the process that starts workers, replaces dead ones, reloads and stops. It serves
 * nothing itself and waits for signals only; between them it says once a second that it is well.
 *
 * Workers are forked from it, and inherit the handles of the metrics: libshm gives each of them a
 * process slot in fork() itself. A worker that is killed leaves its counts, and its gauges go.
 */
#include "master.h"

#include "worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TURN_SECONDS = 1, STOP_SECONDS = 8 };

struct entry {
    pid_t pid;
    bool draining;
};

struct master {
    const struct master_options *options;
    pid_t pid;
    struct entry *table;
    size_t n_entries;
    bool stopping;
    time_t kill_at;  /* when stopping: no more patience */
    time_t spawn_at; /* not before: a worker has just failed at its start */
};

static void fill_set(sigset_t *set)
{
    static const int signals[] = {SIGCHLD, SIGHUP, SIGTERM, SIGINT};
    sigemptyset(set);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaddset(set, signals[i]);
}

void master_block_signals(void)
{
    sigset_t set;
    fill_set(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

static time_t now_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return t.tv_sec;
}

/* The child's side of fork(): it must not outlive the master, not even one that died just now. */
static _Noreturn void be_worker(const struct master *m, struct tally_life *life)
{
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != m->pid)
        _exit(EXIT_FAILURE);
    _exit(worker_run(&(struct worker_options){
        .listener = m->options->listener, .metrics = m->options->metrics, .life = life}));
}

static int spawn(struct master *m)
{
    struct entry *table = reallocarray(m->table, m->n_entries + 1, sizeof *table);
    if (!table)
        return -ENOMEM;
    m->table = table;
    struct tally_life *life = tally_next(m->options->tally);
    pid_t pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0)
        be_worker(m, life);
    table[m->n_entries++] = (struct entry){.pid = pid};
    return 0;
}

static size_t count_accepting(const struct master *m)
{
    size_t accepting = 0;
    for (size_t i = 0; i < m->n_entries; i++)
        accepting += !m->table[i].draining;
    return accepting;
}

static void publish(const struct master *m)
{
    metrics_check(m->options->metrics, count_accepting(m), m->options->workers);
    smx_gauge_set(m->options->metrics->workers, (int64_t)m->n_entries);
    smx_heartbeat(m->options->metrics->segment);
}

/* Bring the workers that accept to their number. */
static void fill_table(struct master *m)
{
    size_t accepting = count_accepting(m);
    while (accepting < m->options->workers && now_seconds() >= m->spawn_at) {
        int error = spawn(m);
        if (error) {
            fprintf(stderr, "smx-demo: cannot start a worker: %s\n", strerror(-error));
            m->spawn_at = now_seconds() + TURN_SECONDS;
        }
        accepting++;
    }
}

static void forget(struct master *m, pid_t pid, int status)
{
    for (size_t i = 0; i < m->n_entries; i++) {
        if (m->table[i].pid != pid)
            continue;
        if (!m->table[i].draining)
            smx_counter_inc(m->options->metrics->restarts);
        if (WIFEXITED(status) && WEXITSTATUS(status) != EXIT_SUCCESS)
            m->spawn_at = now_seconds() + TURN_SECONDS;
        m->table[i] = m->table[--m->n_entries];
        return;
    }
}

static void reap(struct master *m)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        forget(m, pid, status);
}

static void drain(struct entry *entry)
{
    if (!entry->draining)
        kill(entry->pid, SIGTERM);
    entry->draining = true;
}

/* Each new worker before its old one ends, so that somebody accepts all the while. */
static void reload(struct master *m)
{
    for (size_t i = 0, old = m->n_entries; i < old; i++) {
        if (m->table[i].draining)
            continue;
        int error = spawn(m);
        if (error) {
            fprintf(stderr, "smx-demo: reload: cannot start a worker: %s\n", strerror(-error));
            return;
        }
        drain(&m->table[i]);
    }
}

static void stop(struct master *m)
{
    m->stopping = true;
    m->kill_at = now_seconds() + STOP_SECONDS;
    for (size_t i = 0; i < m->n_entries; i++)
        drain(&m->table[i]);
}

static void take_signal(struct master *m, int signo)
{
    if (signo == SIGHUP && !m->stopping)
        reload(m);
    if ((signo == SIGTERM || signo == SIGINT) && !m->stopping)
        stop(m);
    /* Signals of one number coalesce: look for dead children at any occasion. */
    reap(m);
}

int master_run(const struct master_options *options)
{
    struct master m = {.options = options, .pid = getpid()};
    sigset_t set;
    fill_set(&set);
    fill_table(&m);
    while (!m.stopping || m.n_entries) {
        publish(&m);
        take_signal(&m, sigtimedwait(&set, NULL, &(struct timespec){.tv_sec = TURN_SECONDS}));
        if (!m.stopping)
            fill_table(&m);
        else if (now_seconds() >= m.kill_at)
            for (size_t i = 0; i < m.n_entries; i++)
                kill(m.table[i].pid, SIGKILL);
    }
    publish(&m);
    free(m.table);
    return EXIT_SUCCESS;
}
