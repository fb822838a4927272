/* SPDX-License-Identifier: MIT
 *
 * segment-live.c - a forking program that counts without end, for scripts: segment-live DIRECTORY
 * APPLICATION opens a segment by libshm, forks a worker that counts and observes, prints the
 * segment's path once the worker has counted, and ends with its standard input.
 */
#include <smx/smx.h>

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

/* Runs until its parent is gone. */
static void work(smx_segment *segment, smx_counter ticks, smx_histogram sizes, smx_gauge active)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    smx_set_role(segment, "worker");
    smx_heartbeat(segment);
    smx_gauge_set(active, 3);
    for (;;) {
        smx_counter_inc(ticks);
        smx_histogram_record(sizes, 100);
        pause_ms(1);
    }
}

int main(int argc, char **argv)
{
    struct smx_diag diag;
    smx_segment *segment;
    if (argc != 3)
        return 2;
    struct smx_options options = {.app = argv[2], .directory = argv[1], .role = "master"};
    if (smx_open(&options, &segment, &diag) != 0) {
        fprintf(stderr, "segment-live: %s\n", diag.text);
        return 1;
    }
    smx_counter ticks = smx_counter_new(
        segment, &(struct smx_metric){.name = "ticks_total", .help = "Loops."}, NULL);
    smx_histogram sizes = smx_histogram_new(
        segment, &(struct smx_metric){.name = "size_bytes", .help = "Sizes.", .unit = "bytes"},
        NULL);
    smx_gauge active =
        smx_gauge_new(segment, &(struct smx_metric){.name = "active", .help = "Active."}, NULL);
    pid_t worker = fork();
    if (worker == 0)
        work(segment, ticks, sizes, active);
    while (smx_counter_value(ticks) == 0)
        pause_ms(1);
    printf("%s\n", smx_path(segment));
    fflush(stdout);
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    char byte;
    while (poll(&input, 1, -1) < 0 || read(STDIN_FILENO, &byte, 1) > 0)
        ;
    kill(worker, SIGKILL);
    waitpid(worker, NULL, 0);
    return 0;
}
