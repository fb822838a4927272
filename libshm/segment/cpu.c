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
static bool read_text(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
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
    if (read_text("/sys/devices/system/cpu/online", text, sizeof text)) {
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

/* cgroup v2: cpu.max of our group and of each one above it; the tightest holds. */
static unsigned quota_v2(const char *group)
{
    char path[PATH_MAX];
    char text[128];
    unsigned least = UINT_MAX;
    int length = snprintf(path, sizeof path - 16, "/sys/fs/cgroup%s", group);
    if (length < 0 || (size_t)length >= sizeof path - 16)
        return least;
    while (length > (int)strlen("/sys/fs/cgroup")) {
        memcpy(path + length, "/cpu.max", sizeof "/cpu.max");
        if (read_text(path, text, sizeof text)) {
            char *rest;
            long quota = strtol(text, &rest, 10); /* "max" is 0 */
            unsigned n = quota_of(quota, strtol(rest, NULL, 10));
            least = n < least ? n : least;
        }
        path[length] = '\0';
        length = (int)(strrchr(path, '/') - path);
    }
    return least;
}

static unsigned quota_v1(const char *group)
{
    static const char *const files[2] = {"cpu.cfs_quota_us", "cpu.cfs_period_us"};
    long value[2] = {0, 0};
    for (int i = 0; i < 2; i++) {
        char path[PATH_MAX];
        char text[64];
        int length = snprintf(path, sizeof path, "/sys/fs/cgroup/cpu%s/%s", group, files[i]);
        if (length < 0 || (size_t)length >= sizeof path || !read_text(path, text, sizeof text))
            return UINT_MAX;
        value[i] = strtol(text, NULL, 10);
    }
    return quota_of(value[0], value[1]);
}

/* /proc/self/cgroup: "0::/group" for v2, "4:cpu,cpuacct:/group" for v1. */
static unsigned quota(void)
{
    char text[4096];
    unsigned least = UINT_MAX;
    if (!read_text("/proc/self/cgroup", text, sizeof text))
        return least;
    char *next = NULL;
    for (char *line = strtok_r(text, "\n", &next); line; line = strtok_r(NULL, "\n", &next)) {
        char *controllers = strchr(line, ':');
        char *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group)
            continue;
        *group++ = '\0';
        unsigned n = UINT_MAX;
        if (strcmp(line, "0:") == 0 || controllers[1] == '\0')
            n = quota_v2(group);
        else if (strncmp(controllers + 1, "cpu", 3) == 0 && controllers[4] != 's')
            n = quota_v1(group);
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
