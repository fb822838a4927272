/* SPDX-License-Identifier: MIT
 *
 * faults.c - stands before the functions of libc that can fail for want of something: counts the
 * calls, and lets those fail that faults.h names. It is built twice. For a program's own objects
 * the linker leads each call of X to __wrap_X (--wrap); as a library to preload (FAULTS_PRELOAD) it
 * has the functions' own names, and finds the real ones behind itself.
 *
 * All take and give integers and pointers, six at most: on x86-64 and aarch64 one definition, with
 * six registers handed on as they come, does for each.
 */
#include "shim/faults.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

static struct faults none;
struct faults *faults = &none;

void faults_arm(uint32_t first, uint32_t last, int error)
{
    faults->last = last;
    faults->error = error;
    faults->calls = 0;
    /* Release: pairs with strikes(), in whichever process. */
    __atomic_store_n(&faults->first, first, __ATOMIC_RELEASE);
}

uint32_t faults_end(void)
{
    __atomic_store_n(&faults->first, 0, __ATOMIC_RELAXED);
    return faults->calls;
}

static bool strikes(const char *name)
{
    uint32_t first = __atomic_load_n(&faults->first, __ATOMIC_ACQUIRE);
    if (first == 0 || (faults->only[0] && strcmp(faults->only, name) != 0))
        return false;
    uint32_t call = __atomic_add_fetch(&faults->calls, 1, __ATOMIC_RELAXED);
    if (call < first || call > faults->last)
        return false;
    strncpy(faults->name, name, sizeof faults->name - 1);
    errno = faults->error;
    return true;
}

typedef long function(long, long, long, long, long, long);

#ifdef FAULTS_PRELOAD

#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* Before there is a file nothing fails, so what this itself calls is real. */
__attribute__((constructor)) static void map_file(void)
{
    const char *path = getenv("SMX_FAULTS");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *at =
        fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *faults, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd >= 0)
        close(fd);
    if (at != MAP_FAILED)
        faults = at;
}

#define NAME(name) #name
#define REAL(name)                                                                                 \
    static function *found;                                                                        \
    if (!found)                                                                                    \
        found = (function *)(uintptr_t)dlsym(RTLD_NEXT, #name);                                    \
    function *real = found;
#else
#define NAME(name) "__wrap_" #name
#define REAL(name)                                                                                 \
    extern function real_##name __asm__("__real_" #name);                                          \
    function *real = real_##name;
#endif

/* A function, and what it returns when it fails. */
#define FAULT(name, failure) FAULT_IF(name, failure, true)

/* The same for calls with certain arguments alone. */
#define FAULT_IF(name, failure, condition)                                                         \
    __attribute__((visibility("default"))) function fault_##name __asm__(NAME(name));              \
    long fault_##name(long a, long b, long c, long d, long e, long f)                              \
    {                                                                                              \
        REAL(name)                                                                                 \
        return (condition) && strikes(#name) ? (failure) : real(a, b, c, d, e, f);                 \
    }

FAULT(access, -1)
FAULT(faccessat, -1)
FAULT(fallocate, -1)
FAULT(fchmod, -1)
FAULT(fcntl, -1)
FAULT(fdopendir, 0)
FAULT(fstat, -1)
FAULT(fstatat, -1)
FAULT(fstatfs, -1)
FAULT(ftruncate, -1)
FAULT(getrandom, -1)
FAULT(linkat, -1)
FAULT(lseek, -1)
FAULT(lstat, -1)
FAULT(madvise, -1)
FAULT(mkdir, -1)
FAULT(mmap, -1)
FAULT(mprotect, -1)
FAULT(munlock, -1)
FAULT(open, -1)
FAULT(openat, -1)
FAULT(opendir, 0)
FAULT(pread, -1)
FAULT(pthread_atfork, faults->error)
FAULT(pthread_key_create, faults->error)
FAULT(read, -1)
FAULT(readdir, 0)
FAULT(renameat, -1)
FAULT(sched_getaffinity, -1)
FAULT(stat, -1)
FAULT(accept4, -1)
FAULT_IF(epoll_ctl, -1, b == EPOLL_CTL_ADD) /* the others need nothing */
FAULT(inotify_add_watch, -1)
FAULT(recv, -1)
FAULT(send, -1)
FAULT(sendmsg, -1)
FAULT(write, -1)
FAULT(writev, -1)

#ifndef FAULTS_PRELOAD
/* It does not fail; time passes when the test says so. */
int wrapped_clock_gettime(clockid_t clock, struct timespec *now) __asm__("__wrap_clock_gettime");
int wrapped_clock_gettime(clockid_t clock, struct timespec *now)
{
    extern int real(clockid_t, struct timespec *) __asm__("__real_clock_gettime");
    int result = real(clock, now);
    now->tv_sec += faults->later_s;
    return result;
}

FAULT(asprintf, -1)
FAULT(calloc, 0)
FAULT(malloc, 0)
FAULT(realloc, 0)
FAULT(reallocarray, 0)
FAULT(strdup, 0)
#endif
