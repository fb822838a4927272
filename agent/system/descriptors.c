/* SPDX-License-Identifier: MIT
 *
 * descriptors.c - RLIMIT_NOFILE, raised and divided.
 */
#include "agent/system/descriptors.h"
#include "agent/http/connections.h"
#include "agent/http/intake.h"
#include "agent/segments/segments.h"
#include "agent/workers/proc.h"
#include "agent/workers/workers.h"

#include <stdbool.h>
#include <sys/resource.h>

/* Listening sockets; the standard streams, the loop, the library's loop, signals, inotify; those
 * open for a moment: a directory, /proc, what was accepted while another is dropped. The last ones
 * are for whatever the libraries open. */
enum { OWN = INTAKE_MAX + 8 + 3 + CONNECTIONS_SLACK + 37 };
enum { CONNECTIONS_LEAST = 8, SEGMENTS_LEAST = 8 };

void descriptors_raise(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static size_t clamp(uint64_t n, size_t least, size_t most)
{
    return n < least ? least : n > most ? most : (size_t)n;
}

struct descriptors descriptors_divide(uint64_t limit, uint64_t connections)
{
    uint64_t rest = limit > OWN ? limit - OWN : 0;
    struct descriptors share = {.connections =
                                    clamp(rest / 4, CONNECTIONS_LEAST, (size_t)connections)};
    rest = rest > share.connections ? rest - share.connections : 0;
    share.segments = clamp(rest, SEGMENTS_LEAST, SEGMENTS_MAX);
    rest = rest > share.segments ? rest - share.segments : 0;
    share.processes = clamp(rest / PROC_DESCRIPTORS, 0, WORKERS_MAX);
    return share;
}

struct descriptors descriptors_share(uint64_t connections)
{
    struct rlimit limit;
    bool is_known = getrlimit(RLIMIT_NOFILE, &limit) == 0;
    return descriptors_divide(is_known ? limit.rlim_cur : 0, connections);
}
