/* SPDX-License-Identifier: MIT
 *
 * cgroup.c - below the root of the hierarchy that has the memory controller: cgroup2, or a version
 * 1 mount beside it.
 */
#include "support/cgroup.h"

#include "support/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The places, and what the two versions call the same file. */
static const struct version {
    const char *root, *limit, *used;
} versions[] = {
    {"/sys/fs/cgroup", "memory.max", "memory.current"},
    {"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"},
};

static struct {
    const struct version *version;
    char path[128];
} group;

static int open_in(const char *name, int flags)
{
    char path[192];
    snprintf(path, sizeof path, "%s/%s", group.path, name);
    return open(path, flags | O_CLOEXEC);
}

static int put(const char *name, const char *text)
{
    int fd = open_in(name, O_WRONLY);
    if (fd < 0)
        return -1;
    ssize_t n = write(fd, text, strlen(text));
    close(fd);
    return n < 0 ? -1 : 0;
}

bool cgroup_make(void)
{
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        group.version = &versions[i];
        snprintf(group.path, sizeof group.path, "%s/smx-test-%d", versions[i].root, (int)getpid());
        if (mkdir(group.path, 0755) != 0)
            continue;
        int fd = open_in(versions[i].limit, O_WRONLY);
        if (fd >= 0) {
            close(fd);
            return true;
        }
        rmdir(group.path);
    }
    return false;
}

int cgroup_enter(void)
{
    return put("cgroup.procs", "0");
}

int cgroup_limit(uint64_t bytes)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)bytes);
    /* Swap would put the end off; where there is none there is no such file. */
    (void)put("memory.swap.max", "0");
    return put(group.version->limit, text);
}

uint64_t cgroup_used(void)
{
    char text[32];
    int fd = open_in(group.version->used, O_RDONLY);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    return strtoull(text, NULL, 10);
}

static bool is_removed(void *unused)
{
    (void)unused;
    return rmdir(group.path) == 0 || errno != EBUSY;
}

/* The kernel lets the last process go a moment after it was waited for. */
void cgroup_remove(void)
{
    (void)eventually(is_removed, NULL);
}
