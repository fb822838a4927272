/* SPDX-License-Identifier: MIT
 *
 * status.h - the agent's state as the pages that show it to people and probes see it. A view: the
 * pointers hold during one answer.
 */
#ifndef SMX_AGENT_STATUS_H
#define SMX_AGENT_STATUS_H

#include "agent/gather/gather.h"
#include "agent/health/health.h"
#include "agent/http/listen.h"
#include "agent/system/sandbox.h"
#include "agent/segments/segments.h"
#include "agent/workers/workers.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct status {
    const char *loop; /* its back end */
    const struct sandbox *sandbox;
    uint64_t uptime_ns;
    bool draining; /* asked to stop */
    bool looked;   /* the segments that were there at the start have been read */
    const struct listen_socket *sockets;
    size_t n_sockets;
    const struct segments *segments;
    const struct health *health;             /* of the applications, as of now */
    const struct workers *workers;           /* or NULL */
    const struct gather_conflict *conflicts; /* of the last scrape */
    size_t n_conflicts;
};

/* Whether a directory is as it should be: read, or not there yet, which is waited for. */
static inline bool status_directory_ok(const struct directory *directory)
{
    return directory->state == DIRECTORY_READ || directory->state == DIRECTORY_ABSENT;
}

#endif
