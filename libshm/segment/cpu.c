/* SPDX-License-Identifier: MIT
 *
 * cpu.c - reads the machine's and the cgroup's CPU limits, once, when a segment is created.
 */
#include "libshm/segment/cpu.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A small file of the kernel as a string; false if it cannot be read. */
static bool read_text(int directory, const char *name, char *text, size_t size)
{
    int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, text, size - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    return n > 0;
}

unsigned smx__cpu_rows(void)
{
    char text[1024];
    long highest = -1;
    /* "0-3,8-11": the number behind the last separator. */
    if (read_text(AT_FDCWD, "/sys/devices/system/cpu/online", text, sizeof text)) {
        size_t at = strlen(text);
        while (at && (text[at - 1] == '\n' || (text[at - 1] >= '0' && text[at - 1] <= '9')))
            at--;
        highest = strtol(text + at, NULL, 10);
    }
    if (highest < 0)
        highest = sysconf(_SC_NPROCESSORS_CONF) - 1;
    return highest < 0 ? 1 : highest > 4095 ? 4096 : (unsigned)highest + 1;
}

static unsigned affinity(void)
{
    cpu_set_t set[8]; /* 8192 CPUs */
    if (sched_getaffinity(0, sizeof set, set) != 0)
        return UINT_MAX;
    int n = CPU_COUNT_S(sizeof set, set);
    return n > 0 ? (unsigned)n : UINT_MAX;
}

static unsigned quota_of(long quota, long period)
{
    if (quota <= 0 || period <= 0)
        return UINT_MAX;
    return (unsigned)((quota + period - 1) / period);
}

static unsigned quota_v2(int directory)
{
    char text[128];
    char *rest;
    if (!read_text(directory, "cpu.max", text, sizeof text))
        return UINT_MAX;
    long limit = strtol(text, &rest, 10); /* "max" is 0 */
    return quota_of(limit, strtol(rest, NULL, 10));
}

static unsigned quota_v1(int directory)
{
    char limit[64];
    char period[64];
    if (!read_text(directory, "cpu.cfs_quota_us", limit, sizeof limit) ||
        !read_text(directory, "cpu.cfs_period_us", period, sizeof period))
        return UINT_MAX;
    return quota_of(strtol(limit, NULL, 10), strtol(period, NULL, 10));
}

/* What our group says, and each one above it: the tightest holds. The root is one of them, for in a
 * container it is the container's own group, and a path that is the host's leads nowhere there. */
static unsigned tightest(const char *root, const char *group, unsigned (*quota_in)(int directory))
{
    char path[PATH_MAX];
    unsigned least = UINT_MAX;
    int length = snprintf(path, sizeof path, "%s%s", root, group);
    if (length < 0 || (size_t)length >= sizeof path)
        return least;
    while (strlen(path) >= strlen(root)) {
        int directory = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        unsigned n = directory < 0 ? UINT_MAX : quota_in(directory);
        if (directory >= 0)
            close(directory);
        least = n < least ? n : least;
        *strrchr(path, '/') = '\0';
    }
    return least;
}

/* Whether the controllers' names, which a colon ends, have that of the CPU's quota among them. */
static bool has_cpu(const char *names)
{
    while (strncmp(names, "cpu", 3) != 0 || (names[3] != ',' && names[3] != ':')) {
        names += strcspn(names, ",:");
        if (*names++ != ',')
            return false;
    }
    return true;
}

/* /proc/self/cgroup: "0::/group" for v2, "4:cpu,cpuacct:/group" for v1. */
static unsigned quota(void)
{
    char text[4096];
    unsigned least = UINT_MAX;
    if (!read_text(AT_FDCWD, "/proc/self/cgroup", text, sizeof text))
        return least;
    char *next = NULL;
    for (char *line = strtok_r(text, "\n", &next); line; line = strtok_r(NULL, "\n", &next)) {
        char *controllers = strchr(line, ':');
        char *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group)
            continue;
        unsigned n = UINT_MAX;
        if (group == controllers + 1)
            n = tightest("/sys/fs/cgroup", group + 1, quota_v2);
        else if (has_cpu(controllers + 1))
            n = tightest("/sys/fs/cgroup/cpu", group + 1, quota_v1);
        least = n < least ? n : least;
    }
    return least;
}

unsigned smx__cpu_allowed(void)
{
    unsigned mask = affinity();
    unsigned limit = quota();
    return limit < mask ? limit : mask;
}

bool smx__cpu_rows_pay(unsigned rows, unsigned allowed)
{
    return rows <= 64 && !(rows > 8 && rows / 4 > allowed);
}
