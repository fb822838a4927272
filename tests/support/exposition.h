/* SPDX-License-Identifier: MIT
 *
 * exposition.h - whether a body is an exposition, by a parser that shares nothing with the
 * encoders: the Prometheus text format 0.0.4 or OpenMetrics 1.0.0, as strictly as the agent writes
 * them.
 */
#ifndef SMX_TESTS_EXPOSITION_H
#define SMX_TESTS_EXPOSITION_H

#include <stdbool.h>
#include <stddef.h>

/* What breaks the format, or NULL: UTF-8; every line; TYPE, HELP and UNIT of a family at most once
 * and before its samples; families in one piece; names that fit their type; no series twice, labels
 * without a value left out as Prometheus does; buckets ascending up to +Inf, which is the count;
 * "# EOF" at the end of OpenMetrics and nowhere else. *line is then the line's number. */
const char *exposition_fault(const char *body, size_t length, bool openmetrics, size_t *line);

/* Whether text is UTF-8 without a NUL. */
bool exposition_is_utf8(const char *text, size_t length);

#endif
