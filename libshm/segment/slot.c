/* SPDX-License-Identifier: MIT
 *
 * slot.c - process slots: claimed by a CAS, proven by a record lock that the kernel drops however
 * the process ends. Runs at open, in forked children, and at the first gauge write of a raw clone's
 * child; so everything here is async-signal-safe, allocates nothing and waits for nobody.
 *
 * The order is CAS to CLAIMING (our pid in the word) → lock → CAS to LIVE. The CAS arbitrates
 * threads and copies of libshm in one process, which a record lock cannot; the lock arbitrates
 * processes. Whoever loses a later step leaves the slot to the next one: a slot that is CLAIMING or
 * LIVE without a lock is free for the taking.
 */
#include "libshm/segment/slot.h"

#include "libshm/crash.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Slots that are free as soon as their process' lock is gone; bytes to try for a hold. */
enum { EXACT = 64, HOLD_TRIES = 64, MAX_TRIES = 1000 };

static uint64_t state_word(uint32_t generation, uint64_t pid, uint64_t phase)
{
    return (uint64_t)generation << 32 | pid << 8 | phase;
}

static uint64_t state_pid(uint64_t state)
{
    return (state & 0xffffffffu) >> 8;
}

static uint64_t state_phase(uint64_t state)
{
    return state & 0xff;
}

static struct smx__slot *slot_table(const struct smx_segment *segment)
{
    return segment->slot_table;
}

int smx__lock_byte(int fd, int64_t at, int type)
{
    struct flock lock = {.l_type = (short)type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};
    for (int tries = 0; tries < 16; tries++) {
        if (fcntl(fd, F_SETLK, &lock) == 0)
            return 0;
        if (errno != EINTR)
            return -errno;
    }
    return -EINTR;
}

/* Whether a write lock lies in [at, at + length), and whose. Asked in the name of the open file
 * description, to which the record locks of every process are foreign, also our own: F_GETLK would
 * call a slot free that this process, or another copy of libshm in it, has. Asked for a read lock:
 * so that only write locks are in the way. Where that cannot be known, somebody is taken to live,
 * of pid 0: or else his slot would be taken from him. */
static bool is_locked(int fd, int64_t at, int64_t length, pid_t *pid)
{
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = at, .l_len = length};
    if (fcntl(fd, F_OFD_GETLK, &lock) != 0)
        lock = (struct flock){.l_type = F_WRLCK};
    *pid = lock.l_pid;
    return lock.l_type == F_WRLCK;
}

bool smx__lock_is_held(int fd, int64_t at)
{
    pid_t pid;
    return is_locked(fd, at, 1, &pid);
}

void smx__segment_hold(int fd, uint64_t seed)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
    for (uint64_t i = 0; i < HOLD_TRIES; i++) {
        lock.l_start = SMX__LOCK_HOLD + (int64_t)((seed + i) % SMX__HOLDS);
        if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
            return;
    }
}

bool smx__segment_is_held(int fd)
{
    pid_t pid;
    return is_locked(fd, SMX__LOCK_AT, SMX__LOCK_HOLD + SMX__HOLDS - SMX__LOCK_AT, &pid);
}

/* Whether this process holds the lock of the slot at `index`. */
static bool is_held_by_us(int fd, uint32_t index, uint64_t state)
{
    pid_t pid;
    return state_phase(state) != SMX__SLOT_FREE && state_pid(state) == (uint64_t)getpid() &&
           is_locked(fd, SMX__LOCK_AT + index, 1, &pid) && pid == getpid();
}

/* Whether this process holds a slot of the file, by whatever descriptor and copy of libshm. */
static bool is_used_by_us(int fd)
{
    struct smx__header h;
    struct smx__slot slots[32];
    if (pread(fd, &h, sizeof h, 0) != (ssize_t)sizeof h || h.magic != SMX__MAGIC ||
        h.major != SMX__MAJOR || h.slots_at > INT64_MAX / 2)
        return false;
    for (uint32_t i = 0; i < h.slots && i < SMX__MAX_SLOTS; i++) {
        off_t at = (off_t)(h.slots_at + (uint64_t)i * sizeof slots[0]);
        if (i % 32 == 0 && pread(fd, slots, sizeof slots, at) < (ssize_t)sizeof slots[0])
            return false;
        if (is_held_by_us(fd, i, slots[i % 32].state))
            return true;
    }
    return false;
}

void smx__fd_drop(int fd)
{
    if (fd >= 0 && !is_used_by_us(fd))
        close(fd);
}

/* The lock may have gone with a descriptor of the file that the host closed, ours or another. Lock
 * our slot, again, if nobody has taken it meanwhile; else we have none, and the next gauge write or
 * heartbeat claims one. Who has asked for the lock just before we got it frees the slot behind our
 * back, as it leaves: this shows when we look the next time. */
static void regain(struct smx_segment *segment)
{
    uint64_t word = __atomic_load_n(&segment->proc->word, __ATOMIC_RELAXED);
    const struct smx__slot *slot = smx__slot_own(segment);
    if (!slot)
        return;
    int64_t at = SMX__LOCK_AT + (slot - slot_table(segment));
    /* Where locks are not to be asked for any more (a sandbox), those that there are stand. */
    int error = smx__lock_byte(segment->fd, at, F_WRLCK);
    SMX__CRASH_POINT("slot.regaining");
    /* Acquire: pairs with the CAS of whoever claims: it comes before the claimer's try to lock. */
    uint64_t state = __atomic_load_n(&slot->state, __ATOMIC_ACQUIRE);
    if (error != -EAGAIN && state >> 32 == word >> 32 && state_phase(state) == SMX__SLOT_LIVE)
        return;
    /* Not if another thread has closed the segment meanwhile, and perhaps claimed again. */
    if (__atomic_compare_exchange_n(&segment->proc->word, &word, 0, false, __ATOMIC_RELAXED,
                                    __ATOMIC_RELAXED) &&
        !error)
        (void)smx__lock_byte(segment->fd, at, F_UNLCK);
}

bool smx__fd_check(struct smx_segment *segment)
{
    struct stat st;
    bool known = fstat(segment->fd, &st) == 0;
    if (known && st.st_ino == segment->inode && st.st_dev == segment->device)
        return true;
    /* Not closed, and no more to be known (a sandbox): then the locks stand, and must not be
     * dropped by a second descriptor. */
    if (!known && errno != EBADF)
        return true;
    int fd = open(segment->path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return false;
    if (fstat(fd, &st) != 0 || st.st_ino != segment->inode || st.st_dev != segment->device) {
        smx__fd_drop(fd);
        return false;
    }
    segment->fd = fd;
    regain(segment);
    return true;
}

/* Field 22 of /proc/self/stat, behind the name in parentheses; 0 if it cannot be had. */
static uint64_t start_time(void)
{
    char text[512];
    int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    const char *at = strrchr(text, ')');
    for (int field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    uint64_t value = 0;
    for (at = at ? at + 1 : ""; *at >= '0' && *at <= '9'; at++)
        value = value * 10 + (uint64_t)(*at - '0');
    return value;
}

/* Who wants a slot. */
struct claimer {
    uint64_t pid;
    uint64_t pid_ns;
};

/* Let readers look at slots up to this one. */
static void uncover(struct smx__header *h, uint32_t index)
{
    /* Relaxed: a reader that sees the word too late sees the slot a scrape later. Each failure is
     * another's success, and there are no more of them than slots. */
    uint32_t used = __atomic_load_n(&h->slots_used, __ATOMIC_RELAXED);
    for (int tries = 0; used <= index && tries < SMX__MAX_SLOTS; tries++)
        if (__atomic_compare_exchange_n(&h->slots_used, &used, index + 1, false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED))
            return;
}

static uint32_t next_generation(uint64_t state)
{
    uint32_t next = (uint32_t)(state >> 32) + 1;
    return next < SMX__FIRST_GENERATION || next > SMX__LAST_GENERATION ? SMX__FIRST_GENERATION
                                                                       : next;
}

/* With the slot's lock held: enter ourselves. Whoever has claimed the slot after us fails at the
 * lock, and so is overruled: if both left, as many processes as slots might not all get one. Gives
 * the generation; 0 if the slot is another copy's of libshm in this process, whose lock ours is. */
static uint32_t occupy(struct smx__slot *slot, uint64_t claiming, const struct claimer *me)
{
    uint64_t seen = claiming;
    uint32_t generation = (uint32_t)(claiming >> 32);
    for (int tries = 0; tries < MAX_TRIES; tries++) {
        /* Release: pairs with the reader's acquire of the state; the slot's fields are complete. */
        if (__atomic_compare_exchange_n(&slot->state, &seen,
                                        state_word(generation, me->pid, SMX__SLOT_LIVE), false,
                                        __ATOMIC_RELEASE, __ATOMIC_RELAXED))
            return generation;
        if (state_phase(seen) == SMX__SLOT_LIVE && state_pid(seen) == me->pid)
            return 0;
        generation = next_generation(seen);
    }
    return 0;
}

/* Take one slot. True if it is ours now. */
static bool take(struct smx_segment *segment, uint32_t index, const struct claimer *me)
{
    struct smx__slot *slot = &slot_table(segment)[index];
    /* Acquire: pairs with the release of a former occupant's LIVE; its fields come before ours. */
    uint64_t seen = __atomic_load_n(&slot->state, __ATOMIC_ACQUIRE);
    if (state_phase(seen) != SMX__SLOT_FREE && smx__lock_is_held(segment->fd, SMX__LOCK_AT + index))
        return false;
    /* Another copy of libshm in this process is about to lock it; our lock would succeed too. */
    if (state_phase(seen) == SMX__SLOT_CLAIMING && state_pid(seen) == me->pid)
        return false;
    uint32_t generation = next_generation(seen);
    uncover(segment->header, index);
    SMX__CRASH_POINT("slot.uncovered");
    uint64_t claiming = state_word(generation, me->pid, SMX__SLOT_CLAIMING);
    if (!__atomic_compare_exchange_n(&slot->state, &seen, claiming, false, __ATOMIC_ACQUIRE,
                                     __ATOMIC_RELAXED))
        return false;
    SMX__CRASH_POINT("slot.claiming");
    if (smx__lock_byte(segment->fd, SMX__LOCK_AT + index, F_WRLCK) != 0) {
        SMX__CRASH_POINT("slot.refused");
        /* Somebody was faster, or reads lock it: leave no claim that bears our pid. */
        (void)__atomic_compare_exchange_n(&slot->state, &claiming,
                                          state_word(generation, 0, SMX__SLOT_FREE), false,
                                          __ATOMIC_RELAXED, __ATOMIC_RELAXED);
        return false;
    }
    SMX__CRASH_POINT("slot.locked");
    slot->pid_ns = me->pid_ns;
    slot->start = start_time();
    slot->heartbeat = 0;
    memcpy(slot->role, segment->role, sizeof slot->role);
    SMX__CRASH_POINT("slot.filled");
    generation = occupy(slot, claiming, me);
    if (!generation)
        return false;
    SMX__CRASH_POINT("slot.live");
    /* Relaxed: the word is only read by this process, as a value on its own. */
    __atomic_store_n(&segment->proc->word, (uint64_t)generation << 32 | (index + 1),
                     __ATOMIC_RELAXED);
    return true;
}

/* Whether the process that a slot names is there. It may have exec()ed, or be another one of that
 * number, and hold no lock; but to ask this does not take longer the more locks there are. */
static bool looks_live(const struct smx__slot *slot, const struct claimer *me)
{
    /* Relaxed: what comes of it is only in which order slots are tried. */
    uint64_t seen = __atomic_load_n(&slot->state, __ATOMIC_RELAXED);
    if (state_phase(seen) != SMX__SLOT_LIVE || !me->pid_ns || slot->pid_ns != me->pid_ns)
        return false;
    return kill((pid_t)state_pid(seen), 0) == 0 || errno != ESRCH;
}

/* The first slot that is free. Past the first few, those that look live come last: a query walks
 * the list of all locks, so with 1,000 processes asking for each takes milliseconds of a fork(). */
static bool take_any(struct smx_segment *segment)
{
    const struct claimer me = {.pid = (uint64_t)getpid(), .pid_ns = smx__pid_namespace()};
    uint32_t slots = segment->slots;
    for (uint32_t i = 0; i < slots; i++)
        if ((i < EXACT || !looks_live(&slot_table(segment)[i], &me)) && take(segment, i, &me))
            return true;
    for (uint32_t i = 0; i < slots; i++)
        if (take(segment, i, &me))
            return true;
    return false;
}

void smx__slot_claim(struct smx_segment *segment)
{
    uint64_t idle = 0;
    if (__atomic_load_n(&segment->closed, __ATOMIC_RELAXED))
        return;
    /* Acquire: pairs with the release below; the second claimer sees the first one's word. */
    if (!__atomic_compare_exchange_n(&segment->proc->busy, &idle, 1, false, __ATOMIC_ACQUIRE,
                                     __ATOMIC_RELAXED))
        return;
    uint64_t word = __atomic_load_n(&segment->proc->word, __ATOMIC_RELAXED);
    if ((uint32_t)word == 0 && !(smx__fd_check(segment) && take_any(segment)) && word == 0) {
        __atomic_fetch_add(&segment->header->lost[SMX_LOST_SLOTS], 1, __ATOMIC_RELAXED);
        __atomic_store_n(&segment->proc->word, SMX__SPILL_WORD, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&segment->proc->busy, 0, __ATOMIC_RELEASE);
}

struct smx__slot *smx__slot_own(const struct smx_segment *segment)
{
    uint64_t word = __atomic_load_n(&segment->proc->word, __ATOMIC_RELAXED);
    return (uint32_t)word ? &slot_table(segment)[(uint32_t)word - 1] : NULL;
}

void smx__slot_set_role(const struct smx_segment *segment)
{
    uint64_t word = __atomic_load_n(&segment->proc->word, __ATOMIC_RELAXED);
    struct smx__slot *slot = smx__slot_own(segment);
    /* Relaxed: the generation alone tells whether another has taken it meanwhile. */
    if (slot && __atomic_load_n(&slot->state, __ATOMIC_RELAXED) >> 32 == word >> 32)
        memcpy(slot->role, segment->role, sizeof slot->role);
}

void smx__slot_keep(struct smx_segment *segment)
{
    if (!smx__fd_check(segment))
        return;
    regain(segment);
    if (!smx__slot_own(segment))
        smx__slot_claim(segment);
}

void smx__slot_release(struct smx_segment *segment)
{
    uint64_t word = __atomic_load_n(&segment->proc->word, __ATOMIC_RELAXED);
    struct smx__slot *slot = smx__slot_own(segment);
    __atomic_store_n(&segment->closed, 1, __ATOMIC_RELAXED);
    __atomic_store_n(&segment->proc->word, 0, __ATOMIC_RELAXED);
    SMX__CRASH_POINT("close.begun");
    if (!slot || !smx__fd_check(segment))
        return;
    uint64_t seen = __atomic_load_n(&slot->state, __ATOMIC_RELAXED);
    if (seen >> 32 != word >> 32)
        return; /* taken by another since the host closed our descriptor */
    /* Release: our gauge writes are done before anyone may take the slot. */
    __atomic_compare_exchange_n(&slot->state, &seen,
                                state_word((uint32_t)(seen >> 32), 0, SMX__SLOT_FREE), false,
                                __ATOMIC_RELEASE, __ATOMIC_RELAXED);
    SMX__CRASH_POINT("close.freed");
    (void)smx__lock_byte(segment->fd, SMX__LOCK_AT + (slot - slot_table(segment)), F_UNLCK);
    SMX__CRASH_POINT("close.done");
}
