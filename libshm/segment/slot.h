/* SPDX-License-Identifier: MIT
 *
 * slot.h - process slots: who lives.
 */
#ifndef SMX_SLOT_H
#define SMX_SLOT_H

#include "libshm/segment/process.h"

/* Claim a slot for this process in a segment, if it has none: sets segment->proc->word, to
 * SMX__SPILL_WORD when no slot is free. Does nothing for a closed segment, or while another thread
 * (or the code below this signal handler) is at it: then the word stays until that one is done.
 * Async-signal-safe; bounded by the number of slots. */
void smx__slot_claim(struct smx_segment *segment);

/* See that this process still has its slot; claim one if not, also if none was free before.
 * Async-signal-safe. */
void smx__slot_keep(struct smx_segment *segment);

/* Enter the segment's role into this process' slot; a slot that another process has taken since the
 * host closed our descriptor is left alone, and the role goes into the next one claimed. */
void smx__slot_set_role(const struct smx_segment *segment);

/* Give the slot back. */
void smx__slot_release(struct smx_segment *segment);

/* This process' slot, NULL if it has none. */
struct smx__slot *smx__slot_own(const struct smx_segment *segment);

/* Hold the segment behind fd, which is mapped: until the last process is gone that has that
 * mapping, be it by fork() or clone(2), with a slot or without one, and whatever it closes. For a
 * mapping keeps its open file description, and that keeps the lock. Where the lock cannot be had
 * (so many hold the segment, or somebody's read locks are on it) the slots' locks alone hold it. */
void smx__segment_hold(int fd, uint64_t seed);

/* Whether any process, also this one, holds the segment behind fd, or a slot of it. Read locks,
 * which anyone may place who can read the file, do not count. */
bool smx__segment_is_held(int fd);

/* Place (F_WRLCK) or drop (F_UNLCK) this process' lock on one byte. Returns 0 or -errno; -EAGAIN
 * when another process holds it, and only then: EACCES is a sandbox's or a security module's. */
int smx__lock_byte(int fd, int64_t at, int type);

/* Close a descriptor of a segment's file, unless this process holds a slot of it: closing any one
 * drops all the process' locks on the file (fcntl(2)), also those that another copy of libshm, in a
 * plug-in, has placed by a descriptor of its own. Such a one is left open for good. */
void smx__fd_drop(int fd);

/* Whether a process holds a write lock on a byte. Read locks do not count: anyone may place them
 * who can read the file. */
bool smx__lock_is_held(int fd, int64_t at);

/* Make sure segment->fd is still the segment: a host may have closed it and opened something else
 * under its number. If so opens it anew and tries to get our slot's lock back, which went with the
 * descriptor. False if the file cannot be had. */
bool smx__fd_check(struct smx_segment *segment);

#endif
