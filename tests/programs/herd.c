/* SPDX-License-Identifier: MIT
 *
 * herd.c - an application of many processes that do nothing, for scripts: herd DIRECTORY
 * APPLICATION N forks N workers that have a slot each, says so, and ends with its standard input.
 */
#include <smx/smx.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

static int stay(smx_segment *segment, int ready)
{
    char byte = 1;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    smx_set_role(segment, "worker");
    if (write(ready, &byte, 1) != 1)
        return 1;
    while (pause() < 0)
        continue;
    return 0;
}

int main(int argc, char **argv)
{
    smx_segment *segment;
    struct smx_diag diag;
    int ready[2];
    char byte;
    if (argc != 4 || pipe(ready) < 0) {
        fputs("usage: herd DIRECTORY APPLICATION N\n", stderr);
        return 2;
    }
    const struct smx_options options = {
        .directory = argv[1], .app = argv[2], .role = "master", .slots = 4096};
    if (smx_open(&options, &segment, &diag) < 0) {
        fprintf(stderr, "herd: %s\n", diag.text);
        return 1;
    }
    unsigned n = (unsigned)strtoul(argv[3], NULL, 10);
    for (unsigned i = 0; i < n; i++)
        if (fork() == 0)
            _exit(stay(segment, ready[1]));
    for (unsigned i = 0; i < n; i++)
        if (read(ready[0], &byte, 1) != 1)
            return 1;
    puts("ready");
    fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        continue;
    return 0;
}
