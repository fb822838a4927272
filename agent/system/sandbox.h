/* SPDX-License-Identifier: MIT
 *
 * sandbox.h - the process gives up what it will not need: once, when everything is open and nothing
 * that a stranger wrote has been read.
 */
#ifndef SMX_AGENT_SANDBOX_H
#define SMX_AGENT_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { SANDBOX_WHY_SIZE = 64, SANDBOX_ROOTS_MAX = 64 };

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

/* What each part came to: "on", or why not; and below what files can be read. */
struct sandbox {
    char seccomp[SANDBOX_WHY_SIZE];
    char landlock[SANDBOX_WHY_SIZE];
    struct sandbox_root {
        dev_t device;
        ino_t inode;
    } roots[SANDBOX_ROOTS_MAX];
    size_t n_roots;
};

/* For ever, and for every program that this process could start: no new privileges; no capability
 * but to read files of others (CAP_DAC_READ_SEARCH), where there was one; by Landlock, files only
 * below the directories' parents, where the files lie, and in /proc, and only to be read; by
 * seccomp, the system calls of serving alone, the others fail with EPERM. What the kernel does not
 * offer is left out. */
void sandbox_enter(const struct sandbox_needs *needs, struct sandbox *out);

/* Whether Landlock lets a directory be read, also one that is made later: whoever names another one
 * must start the agent anew. */
bool sandbox_reads(const struct sandbox *sandbox, const char *directory);

/* The same for a thread that is left with the descriptors that it has, to read and write them, and
 * with computing. To be called in it. */
void sandbox_enter_to_compute(void);

/* For a prober (agent/workers/probe.h): it can open files to read them, as its user may, and answer
 * through what is open; of capabilities it keeps that to look at processes, too: CAP_SYS_PTRACE. */
void sandbox_enter_to_probe(void);

#endif
