/* SPDX-License-Identifier: MIT
 *
 * rules.h - what the operator asks of applications beside their own checks. The strings are
 * borrowed.
 */
#ifndef SMX_AGENT_HEALTH_RULES_H
#define SMX_AGENT_HEALTH_RULES_H

#include <smx/reader.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HEALTH_RULES_MAX = 256 };

enum health_kind {
    HEALTH_WORKERS,   /* so many processes of a role live, and do not hang, at least */
    HEALTH_HEARTBEAT, /* no process that has ever sent a heartbeat is silent for longer */
    HEALTH_METRIC,    /* each series that matches is within bounds */
};

struct health_matcher {
    const char *label, *value;
};

/* What a rule is of its kind; the rest is zero. */
struct health_rule {
    enum health_kind kind;
    const char *name;     /* no two have one */
    const char *app;      /* NULL: every application */
    const char *instance; /* of it; NULL: all of them */
    bool critical;        /* an application that fails is not ready */
    const char *role;     /* workers, heartbeat; NULL: any */
    uint64_t least;       /* workers: 1 or more */
    uint64_t max_age_ns;  /* heartbeat */
    const char *metric;   /* the family's name in its segment */
    struct health_matcher labels[SMX_LABELS_MAX];
    size_t n_labels;
    double min, max;    /* metric, in the exposed unit; infinite where there is no bound */
    bool may_be_absent; /* metric: that no series matches is fine */
};

struct health_rules {
    const struct health_rule *at;
    size_t n;
};

/* "workers", "heartbeat", "metric". */
const char *health_kind_name(enum health_kind kind);

#endif
