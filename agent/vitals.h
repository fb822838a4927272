/* SPDX-License-Identifier: MIT
 *
 * vitals.h - from the table of segments to the health of their applications.
 */
#ifndef SMX_AGENT_VITALS_H
#define SMX_AGENT_VITALS_H

#include "agent/health/health.h"
#include "agent/segments/segments.h"

struct vitals_name {
    char app[64], instance[64];
};

/* All-zero is empty. What it is of may come and go: the names of those that cannot be read stay. */
struct vitals {
    struct health health;
    struct health_source *sources;
    struct vitals_name *names; /* of those whose file is all that is known of them */
    size_t room;
};

/* Judge what the readers show, as of now. Returns: 0, -ENOMEM. */
int vitals_take(struct vitals *vitals, const struct segments *segments,
                const struct health_rules *rules);
void vitals_fini(struct vitals *vitals);

#endif
