/* SPDX-License-Identifier: MIT
 *
 * health.h - how applications are: their processes, their own checks, the operator's rules, and
 * what follows from these for whoever has to decide whether to send them work, or to start them
 * anew.
 *
 * Pure: from the last snapshots of their segments, the rules and the time to a report. It reads no
 * file and no clock. What has been read a while ago is judged as of then: reports and heartbeats
 * may have come since, and nobody is called hung because we have not looked.
 */
#ifndef SMX_AGENT_HEALTH_HEALTH_H
#define SMX_AGENT_HEALTH_HEALTH_H

#include "agent/health/rules.h"

#include <smx/reader.h>

/* An application's segment; the strings are borrowed. */
struct health_source {
    const char *app, *instance, *path;
    const smx_reader *reader; /* with a snapshot; or NULL */
    const char *why;          /* then: why it cannot be read; NULL: it will be, in a moment */
    uint64_t age_ns;          /* of the snapshot */
};

enum health_status {
    HEALTH_OK,
    HEALTH_DEGRADED, /* it works, but something is not as it should be */
    HEALTH_FAILED,   /* something without which it does not work */
    HEALTH_STOPPED,  /* an application of which no process lives */
    HEALTH_UNKNOWN,  /* an application whose segment cannot be read, or was not yet */
};
const char *health_status_name(enum health_status status);

/* The processes of a role that live. */
struct health_role {
    const char *name; /* may be empty */
    size_t live;
    size_t hung;             /* by a rule */
    uint64_t last_beat_ns;   /* the newest heartbeat, CLOCK_REALTIME; 0: none */
    uint64_t oldest_beat_ns; /* of those that have ever sent one the longest silence; 0: none */
};

/* More roles are counted under "(other)". */
enum { HEALTH_ROLES_MAX = 32 };

struct health_check {
    const struct smx_check_info *info;
    struct smx_check_result result;
    enum health_status status; /* failed also if it is silent */
};

enum { HEALTH_WHY_SIZE = 256 };

struct health_finding {
    const struct health_rule *rule;
    enum health_status status;
    char why[HEALTH_WHY_SIZE]; /* what was found; may end in the middle of a character */
};

struct health_app {
    struct health_source source;
    uint64_t at_ns; /* of which all this is true, CLOCK_REALTIME: when the snapshot was read */
    enum health_status status;
    bool ready; /* to be sent work: its processes live and nothing critical has failed */
    bool live; /* false: none of its processes lives, or those hang that a critical rule is about */
    struct health_role *roles;
    size_t n_roles;
    size_t n_live, n_hung;
    uint64_t last_beat_ns;
    struct health_check *checks;
    size_t n_checks;
    struct health_finding *findings; /* of the rules that are for it */
    size_t n_findings;
};

/* A report. All-zero is empty. */
struct health {
    struct health_app *apps; /* one for each source, then those that only rules name */
    size_t n;
    struct health_role *roles; /* what the apps point into, and how much of it is used */
    struct health_check *checks;
    struct health_finding *findings;
    size_t n_roles, n_checks, n_findings;
    size_t room_apps, room_roles, room_checks, room_findings;
};

struct health_input {
    const struct health_source *sources;
    size_t n;
    struct health_rules rules;
    uint64_t now_ns; /* CLOCK_REALTIME */
};

/* Make a report. It points into the readers and the rules, and holds as long as these do.
 * Returns: 0, -ENOMEM. */
int health_evaluate(struct health *out, const struct health_input *input);
void health_fini(struct health *health);

/* Whether an application has this name and, unless that is NULL, is this instance. */
bool health_is_named(const struct health_app *app, const char *name, const char *instance);

/* Judge a rule about a metric by what a segment has of it. */
void health_judge_metric(const smx_reader *reader, const struct health_rule *rule,
                         struct health_finding *out);

#endif
