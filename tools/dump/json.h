/* SPDX-License-Identifier: MIT
 *
 * json.h - JSON documents of segments, built with jansson. A failed allocation is remembered and
 * reported once, at the end; in between everything may be NULL.
 *
 * Integers that can pass 2^53 (ticks, times, ids) are decimal strings, so that a parser that has
 * only doubles keeps them exact.
 */
#ifndef SMX_DUMP_JSON_H
#define SMX_DUMP_JSON_H

#include <jansson.h>
#include <smx/reader.h>
#include <stdio.h>

struct json {
    json_t *root; /* an object */
    bool failed;
};

/* Begin a document. Owns: json_end() frees it. */
void json_begin(struct json *json);

/* Print the document and free it. Returns: 0 or -ENOMEM; errors of `out` are seen there. */
int json_end(struct json *json, FILE *out);

/* Put a value into an object, or behind an array's last; takes the value over. */
void json_put(struct json *json, json_t *object, const char *key, json_t *value);
void json_push(struct json *json, json_t *array, json_t *value);
void json_put_str(struct json *json, json_t *object, struct smx_str key, json_t *value);

json_t *json_from_str(struct smx_str string);

/* A count: an integer, from 2^63 on the nearest double. */
json_t *json_from_count(uint64_t count);

/* The same as a string of decimal digits. */
json_t *json_from_exact(uint64_t value);

/* A number; "NaN", "+Inf" or "-Inf" where it is none. */
json_t *json_from_double(double value);

/* A number in the exposed unit: an integer where digits is 0. */
json_t *json_from_ticks(uint64_t ticks, unsigned digits);

/* A path; escaped where it is not UTF-8, which JSON has to be. */
json_t *json_from_path(const char *path);

/* The segment's path, application, instance, labels and number of live processes. */
void json_put_identity(struct json *json, json_t *object, const struct smx_segment_info *info);

#endif
