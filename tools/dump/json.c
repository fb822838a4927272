/* SPDX-License-Identifier: MIT
 *
 * json.c - the pieces that JSON documents of segments are made of.
 */
#include "json.h"
#include "common/number.h"
#include "common/plain.h"
#include "dump.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void json_begin(struct json *json)
{
    *json = (struct json){.root = json_object()};
    json_put(json, json->root, "schema", json_integer(DUMP_SCHEMA));
}

int json_end(struct json *json, FILE *out)
{
    int result = json->failed ? -ENOMEM : 0;
    /* ASCII only: a terminal takes U+0080..U+009F for commands. */
    if (result == 0 && json_dumpf(json->root, out, JSON_INDENT(1) | JSON_ENSURE_ASCII) != 0 &&
        !ferror(out))
        result = -ENOMEM;
    if (result == 0)
        putc('\n', out);
    json_decref(json->root);
    return result;
}

void json_put(struct json *json, json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value) != 0)
        json->failed = true;
}

void json_put_str(struct json *json, json_t *object, struct smx_str key, json_t *value)
{
    if (json_object_setn_new(object, key.at, key.length, value) != 0)
        json->failed = true;
}

void json_push(struct json *json, json_t *array, json_t *value)
{
    if (json_array_append_new(array, value) != 0)
        json->failed = true;
}

json_t *json_from_str(struct smx_str string)
{
    return json_stringn(string.at, string.length);
}

json_t *json_from_count(uint64_t count)
{
    return count <= INT64_MAX ? json_integer((json_int_t)count) : json_real((double)count);
}

json_t *json_from_exact(uint64_t value)
{
    char text[NUMBER_SIZE];
    return json_string(number_ticks(text, value, 0));
}

json_t *json_from_double(double value)
{
    char text[NUMBER_SIZE];
    return isfinite(value) ? json_real(value) : json_string(number_double(text, value));
}

json_t *json_from_ticks(uint64_t ticks, unsigned digits)
{
    return digits == 0 ? json_from_count(ticks) : json_real(number_ticks_double(ticks, digits));
}

json_t *json_from_path(const char *path)
{
    json_t *string = json_string(path);
    if (string)
        return string;
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (out) {
        plain_text(out, path);
        string = fclose(out) == 0 ? json_string(text) : NULL;
        free(text);
    }
    return string;
}

void json_put_identity(struct json *json, json_t *object, const struct smx_segment_info *info)
{
    json_put(json, object, "path", json_from_path(info->path));
    json_put(json, object, "app", json_from_str(info->app));
    json_put(json, object, "instance", json_from_str(info->instance));
    json_t *labels = json_object();
    for (size_t i = 0; i < info->n_labels; i++)
        json_put_str(json, labels, info->labels[i].name, json_from_str(info->labels[i].value));
    json_put(json, object, "labels", labels);
    json_put(json, object, "live_processes", json_integer((json_int_t)info->n_live));
}
