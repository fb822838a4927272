/* SPDX-License-Identifier: MIT
 *
 * json.h - JSON of what is not known to be text. A failed allocation is remembered, and asked for
 * once, of the whole document: an incomplete one is not sent. In between everything may be NULL.
 */
#ifndef SMX_AGENT_JSON_H
#define SMX_AGENT_JSON_H

#include "agent/encode/buffer.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* A string; where it is not UTF-8, the bytes past ASCII become question marks. */
json_t *json_from_text(const char *bytes);

json_t *json_from_number(uint64_t n);

/* Seconds, and null for UINT64_MAX. */
json_t *json_from_ns(uint64_t ns);

/* Put a value into an object, or behind an array's last; takes the value over. */
void json_put(json_t *object, const char *name, json_t *value, bool *failed);
void json_push(json_t *array, json_t *value, bool *failed);

/* Append a document and a newline, and free it. Returns: 0, -ENOMEM. */
int json_finish(json_t *root, bool failed, struct buffer *out);

#endif
