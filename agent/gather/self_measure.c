/* SPDX-License-Identifier: MIT
 *
 * self_measure.c - the agent's own process from the kernel: one line of /proc/self/stat, the
 * number of entries of /proc/self/fd, two limits, one clock. Costs some 10 us a scrape.
 */
#include "agent/gather/self.h"

#include "agent/workers/proc.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* Fields of /proc/self/stat, as proc(5) numbers them. */
enum { STAT_THREADS = 20, STAT_VIRTUAL_BYTES = 23, STAT_RESIDENT_PAGES = 24 };

/* That of the directory itself, which is open for this, does not count. To list thousands of them,
 * for there are some for each process that is looked at, would take milliseconds. */
static uint64_t count_fds(void)
{
    int fds = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fds < 0)
        return 0;
    uint64_t n = proc_count_fds(fds);
    close(fds);
    return n < UINT64_MAX && n > 0 ? n - 1 : 0;
}

static uint64_t limit(__rlimit_resource_t resource)
{
    struct rlimit l;
    if (getrlimit(resource, &l) < 0)
        return 0;
    return l.rlim_cur == RLIM_INFINITY ? UINT64_MAX : l.rlim_cur;
}

static uint64_t cpu_ns(void)
{
    struct timespec t;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) < 0)
        return 0;
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The number of a field of the line, in the kernel's counting: `behind` is where field 3 starts. */
static uint64_t field(const char *behind, unsigned number)
{
    for (unsigned i = 3; i < number && behind; i++) {
        behind = strchr(behind, ' ');
        behind = behind ? behind + 1 : NULL;
    }
    return behind ? strtoull(behind, NULL, 10) : 0;
}

/* Counted from behind the last ')': the command name before it may hold anything. */
static void read_stat(struct self_process *out)
{
    char line[1024];
    int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t n = read(fd, line, sizeof line - 1);
    close(fd);
    if (n <= 0)
        return;
    line[n] = '\0';
    const char *behind = strrchr(line, ')');
    if (!behind || behind[1] != ' ')
        return;
    out->threads = field(behind + 2, STAT_THREADS);
    out->virtual_bytes = field(behind + 2, STAT_VIRTUAL_BYTES);
    out->resident_bytes = field(behind + 2, STAT_RESIDENT_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
}

void self_measure(struct self_process *out)
{
    *out = (struct self_process){.cpu_ns = cpu_ns(),
                                 .open_fds = count_fds(),
                                 .max_fds = limit(RLIMIT_NOFILE),
                                 .virtual_max_bytes = limit(RLIMIT_AS)};
    read_stat(out);
}
