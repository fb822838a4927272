/* SPDX-License-Identifier: MIT
 *
 * names.h - which names and texts are legal. Shared by the writer, which refuses, and the reader,
 * which leaves out.
 */
#ifndef SMX_NAMES_H
#define SMX_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* UTF-8 without NUL, not empty: metric names as Prometheus 3 has them. How long a name may be is
 * the writer's rule, in bytes. */
bool smx__is_metric_name(const char *at, size_t length);

/* The same, not starting with __ . */
bool smx__is_label_name(const char *at, size_t length);

/* [a-zA-Z_][a-zA-Z0-9_]*: units. OpenMetrics cannot quote them. */
bool smx__is_unit(const char *at, size_t length);

/* Applications and instances: A-Z a-z 0-9 _ . -, 1..63 bytes, no dot in front. */
bool smx__is_app_name(const char *at, size_t length);

/* Well-formed UTF-8 without NUL, overlong forms and surrogates (Unicode 15, table 3-7). */
bool smx__is_utf8(const char *at, size_t length);

/* Make text of whatever is there: each byte that is not of such a sequence becomes a question mark,
 * and so do control characters. */
void smx__make_line(char *text);

/* Label names that the exposition gives to something else in every family. */
bool smx__is_reserved_label(const char *name);

/* Whether packed labels - (len u16, name, len u16, value)*, as in the header - have this name. */
bool smx__has_label(const uint8_t *labels, size_t length, const char *name);

#endif
