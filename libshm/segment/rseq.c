/* SPDX-License-Identifier: MIT
 *
 * rseq.c - finds out who registers threads for rseq(2), and, in a build for it (SMX_REGISTER_RSEQ),
 * does it itself if libc does not.
 *
 * In such a build it owns each thread's struct rseq. That is all the state here, and none of it is
 * the process'. It lies in initial-exec TLS, at one distance from the thread pointer in every
 * thread; the distance is smx_rseq_offset, which process.c keeps.
 *
 * A thread's way: UNINITIALIZED -> registered, at its first update or smx_open() -> gone, when it
 * ends. Or refused, because somebody else has registered an area of his: then it stays as it is,
 * and its updates go to the atomic rows. A child of fork() has its parent's thread's registration:
 * the kernel sees to that, and so a worker needs no system call for it, in a sandbox, say.
 */
#include "libshm/segment/rseq.h"

#include "libshm/segment/process.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <unistd.h>

/* libc's, if it has them; the size is above 0 if it registered its threads. */
/* NOLINTBEGIN(*-reserved-identifier) */
extern const ptrdiff_t __rseq_offset __attribute__((weak));
extern const unsigned int __rseq_size __attribute__((weak));
/* NOLINTEND(*-reserved-identifier) */

#if SMX_HAVE_RSEQ
static uintptr_t thread_pointer(void)
{
    uintptr_t thread;
#if defined(__x86_64__)
    __asm__("movq %%fs:0, %0" : "=r"(thread));
#else
    __asm__("mrs %0, tpidr_el0" : "=r"(thread));
#endif
    return thread;
}
#endif

#if SMX__REGISTERS

#if !defined(SYS_rseq) && defined(__x86_64__)
#define SYS_rseq 334
#elif !defined(SYS_rseq)
#define SYS_rseq 293
#endif

/* Of linux/rseq.h, which a libc of this kind may come without. */
enum { FLAG_UNREGISTER = 1 };
#define UNINITIALIZED UINT32_MAX

struct area {
    uint32_t cpu_id_start;
    uint32_t cpu_id;
    uint64_t rseq_cs;
    uint32_t flags;
    uint32_t reserved[3];
} __attribute__((aligned(32)));
_Static_assert(sizeof(struct area) == 32, "what the kernel takes");

/* Of this thread. */
struct membership {
    struct area area;
    bool over; /* refused, or the thread is about to end: no further try */
};
static __thread struct membership self
    __attribute__((tls_model("initial-exec"))) = {.area = {.cpu_id = UNINITIALIZED}};

static ptrdiff_t own_offset(void)
{
    return (ptrdiff_t)((uintptr_t)&self.area - thread_pointer());
}

static long rseq(struct area *area, int flags)
{
    int saved = errno;
    long result = syscall(SYS_rseq, area, sizeof *area, flags, SMX__RSEQ_SIG);
    errno = saved;
    return result;
}

/* The thread ends. On musl its area goes away while it still runs, with its stack; a kernel that
 * wrote there would kill the process. */
static void leave(void *membership)
{
    struct membership *m = membership;
    /* First: a signal handler's update shall not register again. */
    m->over = true;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    (void)rseq(&m->area, FLAG_UNREGISTER);
}

void smx__rseq_join(void)
{
    if (self.over || self.area.cpu_id != UNINITIALIZED || smx_rseq_offset != own_offset())
        return;
    /* Who cannot be made to leave must not join. */
    if (!smx__process_at_thread_end(&self)) {
        self.over = true;
        return;
    }
    /* A signal handler that came between may have joined: then cpu_id is one, and this fails. */
    if (rseq(&self.area, 0) != 0 && self.area.cpu_id == UNINITIALIZED) {
        self.over = true;
        (void)smx__process_at_thread_end(NULL);
    }
}

static int init_own(void)
{
    int error = smx__process_set_rseq(own_offset(), leave);
    if (!error)
        smx__rseq_join();
    return error;
}

#else

static int init_own(void)
{
    return 0;
}

#endif

/* The kernel writes nothing to an area that is not registered, and a sequence that finds it so
 * takes the atomic row by cpu_id_start, which would be 0 in every process. It has to be the number
 * of a CPU: others may use it as an index. */
void smx__rseq_spread(uint32_t cpus)
{
#if SMX_HAVE_RSEQ && !SMX__REGISTERS
    if (cpus == 0 || smx__rseq_works())
        return;
    uint32_t *cpu_id_start = (uint32_t *)(thread_pointer() + (uintptr_t)__rseq_offset);
    *cpu_id_start = (uint32_t)getpid() % cpus;
#else
    (void)cpus;
#endif
}

int smx__rseq_init(void)
{
#ifndef SMX_NO_RSEQ
    if (&__rseq_size && &__rseq_offset && __rseq_size > 0)
        return smx__process_set_rseq(__rseq_offset, NULL);
#endif
    return init_own();
}
