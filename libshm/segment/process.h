/* SPDX-License-Identifier: MIT
 *
 * process.h - what this process knows: the segments it has open and who it is in each.
 */
#ifndef SMX_PROCESS_H
#define SMX_PROCESS_H

#include "libshm/layout.h"

#include <smx/smx.h>
#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

/* Segments that one process can have open. */
enum { SMX__MAX_SEGMENTS = 64 };

/* One open segment. Filled by segment.c, then constant but for `role`, `closed`, and what space.c
 * knows of a refusal; never freed. */
struct smx_segment {
    struct smx__header *header; /* the mapping */
    uint64_t length;            /* of the mapping */
    /* Of the header as it was checked: nobody can change these under us. */
    uint32_t *buckets;
    uint32_t bucket_mask;
    uint32_t counter_mask;
    uint16_t rows;
    uint64_t seed;
    bool by_words;         /* strings may be read up to seven bytes behind their end */
    struct smx_proc *proc; /* our entry on the wiped page */
    int fd;                /* ours for ever: closing any descriptor of it drops our locks */
    uint32_t closed;
    uint64_t refused_bytes; /* the last reservation that failed, */
    uint64_t retry_ns;      /* and when (CLOCK_MONOTONIC_COARSE) so much may be tried again */
    dev_t device;
    ino_t inode;
    char role[32];
    char prefix[64];
    char path[PATH_MAX];
};

/* Serialise openers of this process: true, or false after half a second.
 * A child of fork() finds it free, whatever its parent's threads did. */
bool smx__process_lock(void);
void smx__process_unlock(void);

/* Under the lock: make the wiped page and the fork handler. Returns 0 or -ENOMEM. */
int smx__process_init(void);

/* The open segment of a file, NULL if it is not open here. */
struct smx_segment *smx__process_find(dev_t device, ino_t inode);

/* The descriptor of a file that this process has open as a segment, or -1. A reader must use it:
 * closing a second one would drop the process' locks (F_SETLK, POSIX). */
int smx__process_fd(dev_t device, ino_t inode);

/* Under the lock: the entry for one more segment, NULL when all are taken; zeroed, with its proc.
 * It counts from smx__process_commit() on. */
struct smx_segment *smx__process_next(void);
void smx__process_commit(void);

/* The segment that a proc entry belongs to; NULL for the shared entry of `last` gauges, and for
 * those of another copy of libshm, which a host may have handed to a plug-in. */
struct smx_segment *smx__process_owner(const struct smx_proc *proc);

/* The segment whose mapping an address lies in; NULL for NULL. */
struct smx_segment *smx__process_at(const void *address);

/* The proc entry of gauges whose one cell all processes share. */
const struct smx_proc *smx__process_shared(void);

/* For rseq.c, under the lock: set smx_rseq_offset, and what is to run with the argument of
 * smx__process_at_thread_end() in a thread that ends; NULL nothing. Once; returns 0 or -ENOMEM. */
int smx__process_set_rseq(ptrdiff_t offset, void (*at_thread_end)(void *));

/* Have it run when the calling thread ends. False if that cannot be. Async-signal-safe. */
bool smx__process_at_thread_end(void *argument);

/* The inode of this process' PID namespace, 0 unknown. Async-signal-safe. */
uint64_t smx__pid_namespace(void);

#endif
