/* SPDX-License-Identifier: MIT
 *
 * applications.h - the health of applications as JSON, and as the answers to their probes.
 */
#ifndef SMX_AGENT_APPLICATIONS_H
#define SMX_AGENT_APPLICATIONS_H

#include "agent/health/health.h"
#include "agent/http/json.h"

/* What /health says of them, an array. */
json_t *applications_array(const struct health *health, bool *failed);

/* Whether one of them is not as it should be. That one does not run is its own business, unless a
 * rule says otherwise. */
bool applications_degraded(const struct health *health);

enum application_question { APPLICATION_READY, APPLICATION_LIVE };

/* Answer a probe of an application, "shop" with all its instances, or "shop@eu": append JSON.
 * Returns: the status, 200 if all of them are, 503 if one is not, 404 if there is none; -ENOMEM. */
int applications_probe(const struct health *health, const char *name,
                       enum application_question question, struct buffer *out);

#endif
