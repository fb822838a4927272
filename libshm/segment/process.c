/* SPDX-License-Identifier: MIT
 *
 * process.c - the one file of libshm that owns process-wide state: the table of open segments, the
 * page that says who this process is, and the hooks that run in a forked child and where a thread
 * ends. It does not open files, and it does not know what a slot is; slot.c claims them.
 */
#include "libshm/segment/process.h"

#include "libshm/segment/clock.h"
#include "libshm/segment/rseq.h"
#include "libshm/segment/slot.h"

#include <errno.h>
#include <pthread.h>
#include <smx/scope.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { WITNESS = SMX__MAX_SEGMENTS };

/* Guarded by `lock`, but for readers of entries below `count`. */
static struct {
    struct smx_segment segments[SMX__MAX_SEGMENTS];
    struct smx_proc *procs; /* wiped by the kernel in a child, even of a raw clone(2); one more
                             * than segments: WITNESS, 1 until it is */
    uint32_t count;
    uint32_t lock;
    uint32_t cpus; /* configured */
    bool hooked;
    struct smx__moment first; /* what the time stamp counter is measured from */
} process;

/* Constant once there are handles. */
ptrdiff_t smx_rseq_offset;
uint64_t smx_tsc_scale;
static pthread_key_t thread_end; /* if there is something to do there */

static const struct smx_proc shared_proc = {.word = SMX__SHARED_WORD};

/* Runs in the child, before fork() returns there; only async-signal-safe calls, since another
 * thread of the parent may have held any lock. */
static void after_fork_in_child(void)
{
    __atomic_store_n(&process.lock, 0, __ATOMIC_RELAXED);
    uint32_t n = __atomic_load_n(&process.count, __ATOMIC_RELAXED);
    int saved = errno;
    bool wiped = process.procs[WITNESS].word == 0;
    process.procs[WITNESS].word = 1;
    for (uint32_t i = 0; i < n; i++) {
        /* By hand only where the kernel did not: a signal handler, or a fork handler before ours,
         * may have claimed already. */
        if (!wiped) {
            __atomic_store_n(&process.procs[i].word, 0, __ATOMIC_RELAXED);
            __atomic_store_n(&process.procs[i].busy, 0, __ATOMIC_RELAXED);
        }
        process.segments[i].closed = 0; /* that was the parent's */
        smx__slot_claim(&process.segments[i]);
    }
    smx__rseq_spread(process.cpus);
    errno = saved;
}

bool smx__process_lock(void)
{
    for (int tries = 0; tries < 500; tries++) {
        uint32_t free = 0;
        /* Acquire: pairs with smx__process_unlock, the table's writer before us. */
        if (__atomic_compare_exchange_n(&process.lock, &free, 1, false, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED))
            return true;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return false;
}

void smx__process_unlock(void)
{
    /* Release: pairs with smx__process_lock. */
    __atomic_store_n(&process.lock, 0, __ATOMIC_RELEASE);
}

int smx__process_init(void)
{
    if (!process.procs) {
        size_t size = sizeof(struct smx_proc) * (SMX__MAX_SEGMENTS + 1);
        void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED)
            return -ENOMEM;
        /* Without it the fork handler still does for fork(). What madvise() returns does not
         * tell: qemu's user emulation says 0, and wipes nothing. */
        (void)madvise(page, size, MADV_WIPEONFORK);
        process.procs = page;
        process.procs[WITNESS].word = 1;
    }
    if (!process.hooked) {
        if (pthread_atfork(NULL, NULL, after_fork_in_child) != 0)
            return -ENOMEM;
        process.hooked = true;
        struct smx__moment first = {0, 0};
        smx__clock_begin(&first);
        process.first.tsc = first.tsc;
        /* Release: pairs with smx_now_ns(). */
        __atomic_store_n(&process.first.ns, first.ns, __ATOMIC_RELEASE);
    }
    long cpus = sysconf(_SC_NPROCESSORS_CONF);
    process.cpus = cpus > 0 ? (uint32_t)cpus : 0;
    smx__rseq_spread(process.cpus);
    return smx__rseq_init();
}

/* glibc allocates memory for the values of later keys, which a signal handler must not. */
enum { KEYS_WITH_ROOM = 32 };

int smx__process_set_rseq(ptrdiff_t offset, void (*at_thread_end)(void *))
{
    if (smx_rseq_offset)
        return 0;
    if (at_thread_end && pthread_key_create(&thread_end, at_thread_end) != 0)
        return -ENOMEM;
    /* Release: pairs with the handles that are made after this; and the key is there before it. */
    __atomic_store_n(&smx_rseq_offset, offset, __ATOMIC_RELEASE);
    return 0;
}

bool smx__process_at_thread_end(void *argument)
{
    return thread_end < KEYS_WITH_ROOM && pthread_setspecific(thread_end, argument) == 0;
}

/* Whoever comes here once there is enough to measure sets the scale; all would set the same. */
uint64_t smx_now_ns(void)
{
    uint64_t now = smx__clock_ns(CLOCK_MONOTONIC);
    /* Acquire: pairs with smx__process_init(). Relaxed: the scale stands alone. */
    if (!__atomic_load_n(&smx_tsc_scale, __ATOMIC_RELAXED) &&
        __atomic_load_n(&process.first.ns, __ATOMIC_ACQUIRE)) {
        uint64_t scale = smx__clock_scale(&process.first, now);
        if (scale)
            __atomic_store_n(&smx_tsc_scale, scale, __ATOMIC_RELAXED);
    }
    return now;
}

struct smx_segment *smx__process_find(dev_t device, ino_t inode)
{
    /* Acquire: pairs with smx__process_commit; entries below count are complete. */
    uint32_t n = __atomic_load_n(&process.count, __ATOMIC_ACQUIRE);
    for (uint32_t i = 0; i < n; i++)
        if (process.segments[i].device == device && process.segments[i].inode == inode)
            return &process.segments[i];
    return NULL;
}

int smx__process_fd(dev_t device, ino_t inode)
{
    struct smx_segment *segment = smx__process_find(device, inode);
    return segment && smx__fd_check(segment) ? segment->fd : -1;
}

struct smx_segment *smx__process_next(void)
{
    if (process.count == SMX__MAX_SEGMENTS)
        return NULL;
    struct smx_segment *segment = &process.segments[process.count];
    memset(segment, 0, sizeof *segment);
    segment->proc = &process.procs[process.count];
    segment->fd = -1;
    return segment;
}

void smx__process_commit(void)
{
    /* Release: pairs with smx__process_find. */
    __atomic_store_n(&process.count, process.count + 1, __ATOMIC_RELEASE);
}

struct smx_segment *smx__process_owner(const struct smx_proc *proc)
{
    uintptr_t distance = (uintptr_t)proc - (uintptr_t)process.procs;
    bool ours = process.procs && distance < SMX__MAX_SEGMENTS * sizeof *proc;
    return ours ? &process.segments[distance / sizeof *proc] : NULL;
}

struct smx_segment *smx__process_at(const void *address)
{
    /* Acquire: pairs with smx__process_commit; entries below count are complete. */
    uint32_t n = __atomic_load_n(&process.count, __ATOMIC_ACQUIRE);
    for (uint32_t i = 0; i < n; i++) {
        struct smx_segment *segment = &process.segments[i];
        uintptr_t distance = (uintptr_t)address - (uintptr_t)segment->header;
        if (distance < segment->length)
            return segment;
    }
    return NULL;
}

const struct smx_proc *smx__process_shared(void)
{
    return &shared_proc;
}

uint64_t smx__pid_namespace(void)
{
    struct stat st;
    return stat("/proc/self/ns/pid", &st) == 0 ? st.st_ino : 0;
}
