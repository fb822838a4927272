/* SPDX-License-Identifier: MIT
 *
 * sandbox.h - the process gives up what it will not need: once, when everything is open and nothing
 * that a stranger wrote has been read.
 */
#ifndef SMX_AGENT_SANDBOX_H
#define SMX_AGENT_SANDBOX_H

#include <stddef.h>

enum { SANDBOX_WHY_SIZE = 64 };

/* What goes on to be used. Paths are absolute and need not exist. */
struct sandbox_needs {
    const char *const *directories; /* of segments: to be read, also when they come or are replaced
                                       later */
    size_t n_directories;
    const char *const *files; /* to be read, also when they are replaced later */
    size_t n_files;
    const char *const *sockets; /* to be removed at the end */
    size_t n_sockets;
};

/* What each part came to: "on", or why not. */
struct sandbox {
    char seccomp[SANDBOX_WHY_SIZE];
    char landlock[SANDBOX_WHY_SIZE];
};

/* For ever, and for every program that this process could start: no new privileges; no capability
 * but to read files of others (CAP_DAC_READ_SEARCH), where there was one; by Landlock, files only
 * below the directories' parents, where the files lie, and in /proc, and only to be read; by
 * seccomp, the system calls of serving alone, the others fail with EPERM. What the kernel does not
 * offer is left out. */
void sandbox_enter(const struct sandbox_needs *needs, struct sandbox *out);

/* The same for a thread that is left with the descriptors that it has, to read and write them, and
 * with computing. To be called in it. */
void sandbox_enter_to_compute(void);

#endif
