/* SPDX-License-Identifier: MIT
 *
 * self.h - what the agent says about itself: build, scrapes, its own process. The runtime measures
 * and fills struct self_stats; gather turns it into families (smx_agent_*, process_*).
 */
#ifndef SMX_AGENT_SELF_H
#define SMX_AGENT_SELF_H

#include "agent/http/accept.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum self_phase { SELF_UPDATE, SELF_PROCESSES, SELF_GATHER, SELF_ENCODE, SELF_COMPRESS };
enum { SELF_PHASES = SELF_COMPRESS + 1 };

/* A number under a label value of the runtime's choice, as {"readable", 3}. */
struct self_count {
    const char *name;
    uint64_t n;
};

/* The connections of scrapers. */
struct self_connections {
    uint64_t now, most, accepted;
    const struct self_count *dropped; /* by reason, ever */
    size_t n_dropped;
};

/* Whom the HTTP server has turned away, so far, and what its web configuration came to. */
struct self_web {
    uint64_t unauthorized, limited, misdirected; /* requests answered 401, 429, 421 */
    const struct self_count *handshakes;         /* that came to nothing, by reason */
    size_t n_handshakes;                         /* 0: there is no TLS */
    int64_t not_after;                           /* of the certificate; 0: there is none */
    bool has_file, is_good;                      /* it was read the last time, and is in force */
    uint64_t loaded_ns;                          /* CLOCK_REALTIME: what is in force */
};

/* The agent's process, as the kernel sees it. A limit of UINT64_MAX is none,
 * as the Go client shows it. */
struct self_process {
    uint64_t cpu_ns;
    uint64_t open_fds, max_fds;
    uint64_t virtual_bytes, virtual_max_bytes, resident_bytes;
    uint64_t threads;
};

/* How the last reload of the configuration went. */
struct self_config {
    bool successful;
    uint64_t succeeded_ns; /* of the last that did, or of the start; CLOCK_REALTIME */
};

/* All-zero is valid. Pointers are used only during gather_run(). */
struct self_stats {
    const char *version, *revision;     /* NULL is "unknown" */
    uint64_t started_ns;                /* CLOCK_REALTIME */
    uint64_t phase_ns[SELF_PHASES];     /* of the last scrape that finished */
    uint64_t scrapes[EXPOSITION_COUNT]; /* served, by format */
    uint64_t late;                      /* refused: their time was too short */
    uint64_t gathers;                   /* this one, too */
    const struct self_count *segments;  /* segments by state, now */
    size_t n_segments;
    const struct self_count *errors; /* segments that could not be read, by reason, ever */
    size_t n_errors;
    uint64_t segments_left_out; /* files that are not looked at, now */
    uint64_t lines_dropped;     /* of the log, ever */
    struct self_connections connections;
    struct self_web web;
    struct self_process process;
    const struct self_config *config; /* NULL: nothing is said of it */
};

/* Read the agent's own numbers from the kernel. What cannot be read is 0. */
void self_measure(struct self_process *out);

#endif
