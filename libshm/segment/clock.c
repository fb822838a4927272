/* SPDX-License-Identifier: MIT
 *
 * clock.c - measures the CPU's time stamp counter against CLOCK_MONOTONIC. A reading of the counter
 * costs less than half of a clock_gettime(), and a timer takes two. It is used where the CPU says
 * that it is invariant (CPUID 0x80000007, EDX bit 8: AMD64 manual volume 3, Intel SDM volume 3,
 * 18.17) and the kernel has it, or a hypervisor's page over it, as its own clock. The moment it is
 * measured from is kept by process.c; this file keeps nothing.
 */
#include "libshm/segment/clock.h"

#include <smx/scope.h>

#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

/* Two readings a microsecond off in 20 ms are 100 ppm; the clock itself is slewed by up to 500. */
enum { MEASURE_NS = 20000000, TRIES = 5 };

uint64_t smx__clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int is_invariant(void)
{
#if defined(__x86_64__)
    unsigned a, b, c, d;
    return __get_cpuid(0x80000007, &a, &b, &c, &d) && (d & 1u << 8) != 0;
#else
    return 0;
#endif
}

static int is_trusted(void)
{
    static const char *const names[] = {"tsc\n", "kvm-clock\n", "hyperv_clocksource_tsc_page\n"};
    char text[64];
    int fd = open("/sys/devices/system/clocksource/clocksource0/current_clocksource",
                  O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(text, names[i]) == 0)
            return 1;
    return 0;
}

/* Both clocks at one moment: of a few tries the one that took least. */
static struct smx__moment look(void)
{
    struct smx__moment best = {0, 0};
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < TRIES; i++) {
        uint64_t before = smx__tsc();
        uint64_t ns = smx__clock_ns(CLOCK_MONOTONIC);
        uint64_t took = smx__tsc() - before;
        if (took < least)
            best = (struct smx__moment){before + took / 2, ns};
        least = took < least ? took : least;
    }
    return best;
}

void smx__clock_begin(struct smx__moment *first)
{
    if (is_invariant() && is_trusted())
        *first = look();
}

uint64_t smx__clock_scale(const struct smx__moment *first, uint64_t now_ns)
{
    if (now_ns - first->ns < MEASURE_NS)
        return 0;
    struct smx__moment now = look();
    uint64_t ns = now.ns - first->ns;
    uint64_t ticks = now.tsc - first->tsc;
    /* A counter of less than 100 MHz or more than 10 GHz is not what we take it for. */
    if (ticks < ns / 10 || ticks / 10 > ns)
        return 0;
    return (uint64_t)((double)ns / (double)ticks * 4294967296.0);
}
