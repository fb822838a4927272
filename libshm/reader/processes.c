/* SPDX-License-Identifier: MIT
 *
 * processes.c - the process slots, and who lives: a slot is live while its state says so and
 * another process holds a write lock on its byte (invariant 5). Locks are asked for only where the
 * state says LIVE. A file that was copied has no locks: then nobody lives.
 */
#include "libshm/reader/reader.h"

#include "libshm/names.h"
#include "libshm/segment/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* Who asks. */
struct asker {
    int fd;
    uint64_t pid_ns;
};

/* Whether the process that the slot names holds the slot's lock. Asked in the name of the open
 * file description: F_GETLK would not report the asker's own lock. The kernel tells a holder's pid
 * as the asker's namespace sees it, 0 if it does not.
 * Returns: 1, 0, or -EIO: where that cannot be known, gauges would be missing for no reason. */
static int is_locked(const struct asker *asker, const struct smx__slot *slot, uint32_t index)
{
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = SMX__LOCK_AT + index, .l_len = 1};
    if (fcntl(asker->fd, F_OFD_GETLK, &lock) != 0)
        return -EIO;
    if (lock.l_type != F_WRLCK)
        return 0;
    bool comparable = lock.l_pid > 0 && slot->pid_ns != 0 && slot->pid_ns == asker->pid_ns;
    return !comparable || (uint64_t)lock.l_pid == (slot->state & 0xffffffffu) >> 8;
}

static int is_live(const struct asker *asker, const struct smx__slot *slot, uint32_t index)
{
    bool claimed =
        (slot->state & 0xff) == SMX__SLOT_LIVE && slot->state >> 32 >= SMX__FIRST_GENERATION;
    return claimed ? is_locked(asker, slot, index) : 0;
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
                        uint32_t index, bool live)
{
    struct smx_process_info *info = &processes->info[processes->n++];
    *info = (struct smx_process_info){
        .worker = index,
        .live = live,
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
    struct asker asker = {.fd = file->fd, .pid_ns = smx__pid_namespace()};
    uint32_t slots = header->slots_used < header->slots ? header->slots_used : header->slots;
    uint64_t end = header->slots_at + (uint64_t)slots * sizeof(struct smx__slot);
    int result = reserve(processes, slots);
    processes->n = 0;
    processes->n_live = 0;
    for (uint32_t i = 0; result == 0 && i < slots; i++) {
        uint64_t at = header->slots_at + (uint64_t)i * sizeof(struct smx__slot);
        const struct smx__slot *slot = smx__source_view(file, at, sizeof *slot, end);
        int live = slot ? is_live(&asker, slot, i) : -EIO;
        if (live < 0)
            result = live;
        else if (slot->state != 0)
            add_process(processes, slot, i, live);
    }
    return result;
}

void smx__processes_free(struct smx__processes *processes)
{
    free(processes->info);
    free(processes->live);
    *processes = (struct smx__processes){0};
}
