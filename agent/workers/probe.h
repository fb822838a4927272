/* SPDX-License-Identifier: MIT
 *
 * probe.h - a process beside the agent's that reads what costs more and is more private: the
 * proportional memory of a process takes milliseconds, or as long as that process is stuck in the
 * kernel with its address space locked; and the agent itself may not read it, since who is
 * restricted by Landlock may look at nobody who is not.
 *
 * The prober is forked before the agent's sandbox and has one of its own: it reads files, and
 * answers through its one socket. It trusts what it is asked no more than the agent trusts a
 * segment: the start and the user of a process must be as told.
 */
#ifndef SMX_AGENT_WORKERS_PROBE_H
#define SMX_AGENT_WORKERS_PROBE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* PROBE_FREELY: without a sandbox. */
enum probe_what { PROBE_MEMORY = 1, PROBE_IO = 2, PROBE_FREELY = 4 };
enum { PROBE_BATCH = 64 };

/* A process that is asked about, and the answer: UINT64_MAX is hidden, or not asked. */
struct probe_process {
    pid_t pid;
    uid_t owner;
    uint64_t start_ticks;
    uint64_t proportional_bytes, read_bytes, written_bytes;
};

/* Fork a prober, that answers what is wanted. Before anything is open that it should not
 * have. Returns: 0 and the socket, which does not block, or a negative errno. Owns: the caller; the
 * prober ends when the socket is closed. */
int probe_start(unsigned what, int *socket);

/* Ask about up to PROBE_BATCH processes; one batch at a time. Returns: 0, a negative errno. */
int probe_ask(int socket, const struct probe_process list[], size_t n);

/* The answer to that, those that have ended left out. Returns: their number, -EAGAIN: not yet,
 * -EPIPE: the prober has ended. */
int probe_answer(int socket, struct probe_process list[PROBE_BATCH]);

#endif
