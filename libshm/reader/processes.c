/* SPDX-License-Identifier: MIT
 *
 * processes.c - the process slots, and who lives: a slot is live while its state says so and
 * another process holds a write lock on its byte (invariant 5). Locks are asked for only where the
 * state says LIVE. A file that was copied has no locks: then nobody lives.
 *
 * The kernel finds a lock by going through the file's list of them. Anyone may place as many as he
 * likes in a file of his own: 30,000 take a minute of questions. So there is an end of patience;
 * who was not asked about by then is taken for dead, and counted.
 */
#include "libshm/reader/reader.h"

#include "libshm/names.h"
#include "libshm/segment/clock.h"
#include "libshm/segment/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* Of CPU time, for the questions of one update. Those about 1,000 processes take a few. */
#define PATIENCE_NS UINT64_C(100000000)

/* Who asks, and since when. */
struct asker {
    int fd;
    uint64_t pid_ns;
    uint64_t began_ns;
    uint64_t began_cpu_ns;
};

/* The cheaper clock first: it runs also while others have the CPU. */
static bool is_patient(const struct asker *asker)
{
    return smx__clock_ns(CLOCK_MONOTONIC) - asker->began_ns < PATIENCE_NS ||
           smx__clock_ns(CLOCK_THREAD_CPUTIME_ID) - asker->began_cpu_ns < PATIENCE_NS;
}

/* Whether the process that the slot names holds the slot's lock. Asked in the name of the open
 * file description: F_GETLK would not report the asker's own lock. The kernel tells a holder's pid
 * as the asker's namespace sees it, 0 if it does not; -1 where an open file description holds it.
 * Returns: 1, 0, or -EIO: where that cannot be known, gauges would be missing for no reason. */
static int is_locked(const struct asker *asker, const struct smx__slot *slot, uint32_t index,
                     pid_t *holder)
{
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = SMX__LOCK_AT + index, .l_len = 1};
    if (fcntl(asker->fd, F_OFD_GETLK, &lock) != 0)
        return -EIO;
    if (lock.l_type != F_WRLCK)
        return 0;
    *holder = lock.l_pid > 0 ? lock.l_pid : 0;
    bool comparable = lock.l_pid > 0 && slot->pid_ns != 0 && slot->pid_ns == asker->pid_ns;
    return !comparable || (uint64_t)lock.l_pid == (slot->state & 0xffffffffu) >> 8;
}

/* Whether the process that the slot at this offset names lives: it holds the lock, and the slot's
 * state still is as it was, or else the lock may be that of who came after, since the table was
 * read all at once. Returns: 1, 0, or -EIO. Writes the holder's pid if the kernel tells it. */
static int is_live(const struct asker *asker, struct smx__source *file, uint64_t at,
                   const struct smx__slot *slot, uint32_t index, pid_t *holder)
{
    uint64_t now;
    int result = is_locked(asker, slot, index, holder);
    if (result <= 0)
        return result;
    if (smx__source_read(file, at + offsetof(struct smx__slot, state), &now, sizeof now) != 0)
        return -EIO;
    return now == slot->state;
}

static bool is_claimed(const struct smx__slot *slot)
{
    return (slot->state & 0xff) == SMX__SLOT_LIVE && slot->state >> 32 >= SMX__FIRST_GENERATION;
}

/* A role that is being written while it is read may be no text for a moment. */
static void copy_role(char out[32], const char role[32])
{
    size_t length = strnlen(role, 31);
    memset(out, 0, 32);
    if (smx__is_utf8(role, length))
        memcpy(out, role, length);
}

static void add_process(struct smx__processes *processes, const struct smx__slot *slot,
                        uint32_t index, bool live, pid_t holder)
{
    struct smx_process_info *info = &processes->info[processes->n++];
    *info = (struct smx_process_info){
        .worker = index,
        .live = live,
        .holder = live ? holder : 0,
        .pid = (pid_t)((slot->state & 0xffffffffu) >> 8),
        .pid_ns = slot->pid_ns,
        .start = slot->start,
        .heartbeat_ns = slot->heartbeat,
    };
    copy_role(info->role, slot->role);
    if (live)
        processes->live[processes->n_live++].word = (slot->state >> 32 << 32) | (index + 1);
}

static int reserve(struct smx__processes *processes, size_t n)
{
    if (n <= processes->room)
        return 0;
    struct smx_process_info *info = reallocarray(processes->info, n, sizeof *info);
    if (info)
        processes->info = info;
    struct smx__live *live = reallocarray(processes->live, n, sizeof *live);
    if (live)
        processes->live = live;
    if (!info || !live)
        return -ENOMEM;
    processes->room = n;
    return 0;
}

int smx__processes_read(struct smx__processes *processes, struct smx__source *file,
                        const struct smx__header *header)
{
    struct asker asker = {.fd = file->fd,
                          .pid_ns = smx__pid_namespace(),
                          .began_ns = smx__clock_ns(CLOCK_MONOTONIC),
                          .began_cpu_ns = smx__clock_ns(CLOCK_THREAD_CPUTIME_ID)};
    uint32_t slots = header->slots_used < header->slots ? header->slots_used : header->slots;
    uint64_t end = header->slots_at + (uint64_t)slots * sizeof(struct smx__slot);
    int result = reserve(processes, slots);
    processes->n = 0;
    processes->n_live = 0;
    processes->n_unasked = 0;
    processes->looked_ns = smx__clock_ns(CLOCK_REALTIME);
    for (uint32_t i = 0; result == 0 && i < slots; i++) {
        uint64_t at = header->slots_at + (uint64_t)i * sizeof(struct smx__slot);
        const struct smx__slot *slot = smx__source_view(file, at, sizeof *slot, end);
        if (!slot) {
            result = -EIO;
        } else if (slot->state != 0) {
            bool asked = is_claimed(slot) && is_patient(&asker);
            pid_t holder = 0;
            int live = asked ? is_live(&asker, file, at, slot, i, &holder) : 0;
            processes->n_unasked += is_claimed(slot) && !asked;
            if (live < 0)
                result = live;
            else
                add_process(processes, slot, i, live, holder);
        }
    }
    return result;
}

void smx__processes_free(struct smx__processes *processes)
{
    free(processes->info);
    free(processes->live);
    *processes = (struct smx__processes){0};
}
