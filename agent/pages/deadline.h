/* SPDX-License-Identifier: MIT
 *
 * deadline.h - until when an answer is of use to a scraper that tells its timeout.
 */
#ifndef SMX_AGENT_DEADLINE_H
#define SMX_AGENT_DEADLINE_H

#include <stdint.h>

#define DEADLINE_NONE UINT64_MAX

/* By the header X-Prometheus-Scrape-Timeout-Seconds, or NULL: when it is over, less what is not
 * ours, by loop_now_ns(); or DEADLINE_NONE. */
uint64_t deadline_of(const char *timeout);

#endif
