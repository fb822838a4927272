/* SPDX-License-Identifier: MIT
 *
 * json.c - values for jansson's documents.
 */
#include "agent/http/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

json_t *json_from_text(const char *bytes)
{
    json_t *value = json_string(bytes);
    if (value)
        return value;
    char *copy = strdup(bytes);
    if (!copy)
        return NULL;
    for (char *c = copy; *c; c++)
        if ((unsigned char)*c >= 0x80)
            *c = '?';
    value = json_string(copy);
    free(copy);
    return value;
}

json_t *json_from_number(uint64_t n)
{
    return json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);
}

json_t *json_from_ns(uint64_t ns)
{
    return ns == UINT64_MAX ? json_null() : json_real((double)ns / 1e9);
}

/* The functions of jansson take NULL for a value, and report it. */
void json_put(json_t *object, const char *name, json_t *value, bool *failed)
{
    if (json_object_set_new(object, name, value) < 0)
        *failed = true;
}

void json_push(json_t *array, json_t *value, bool *failed)
{
    if (json_array_append_new(array, value) < 0)
        *failed = true;
}

/* A decimal of 15 digits comes back as it was; with more 0.1 would be 0.10000000000000001. */
int json_finish(json_t *root, bool failed, struct buffer *out)
{
    char *json = failed ? NULL : json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    json_decref(root);
    if (!json)
        return -ENOMEM;
    buffer_puts(out, json);
    buffer_puts(out, "\n");
    free(json);
    return out->failed ? -ENOMEM : 0;
}
