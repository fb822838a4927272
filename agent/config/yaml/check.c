/* SPDX-License-Identifier: MIT
 *
 * check.c - an outline and a schema, walked together. The kinds of values that our schemas use are
 * known here, no others.
 */
#include "agent/config/yaml/check.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int check_refuse(struct check_error *error, const struct outline_node *node, const char *expected)
{
    char got[OUTLINE_GOT_SIZE];
    outline_got(node, got);
    error->node = node;
    error->at_key = false;
    value_refuse(error->why, "expected %s, got %s", expected, got);
    return -EINVAL;
}

/* How many letters one must insert, remove or exchange to make the one of the other; words of up
 * to 31 letters, more are far. */
static size_t distance(const char *a, const char *b)
{
    enum { LETTERS = 32 };
    size_t row[LETTERS], n = strlen(a), m = strlen(b);
    if (n >= LETTERS || m >= LETTERS)
        return LETTERS;
    for (size_t k = 0; k <= m; k++)
        row[k] = k;
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t k = 1; k <= m; k++) {
            size_t least = diagonal + (a[i - 1] != b[k - 1]);
            diagonal = row[k];
            least = row[k] + 1 < least ? row[k] + 1 : least;
            row[k] = row[k - 1] + 1 < least ? row[k - 1] + 1 : least;
        }
    }
    return row[m];
}

/* The key that was meant, if one is close: a third of its letters may be wrong. */
static const char *nearest(const char *key, const cyaml_schema_field_t *fields)
{
    const char *found = NULL;
    size_t best = SIZE_MAX;
    for (; fields->key; fields++) {
        size_t d = distance(key, fields->key);
        if (d < best && d <= (strlen(fields->key) + 2) / 3) {
            best = d;
            found = fields->key;
        }
    }
    return found;
}

static int refuse_key(struct check_error *error, const struct outline_node *node,
                      const cyaml_schema_field_t *fields)
{
    const char *meant = nearest(node->key, fields);
    error->node = node;
    error->at_key = true;
    if (meant)
        return value_refuse(error->why, "unknown key; did you mean %s?", meant);
    int n = snprintf(error->why, sizeof error->why, "unknown key; there are");
    for (size_t i = 0; fields[i].key && n > 0 && (size_t)n < sizeof error->why; i++)
        n += snprintf(error->why + n, sizeof error->why - (size_t)n, "%s %s",
                      i == 0              ? ""
                      : fields[i + 1].key ? ","
                                          : " and",
                      fields[i].key);
    return -EINVAL;
}

static const cyaml_schema_field_t *find_field(const cyaml_schema_field_t *fields, const char *key)
{
    while (fields->key && strcmp(fields->key, key) != 0)
        fields++;
    return fields->key ? fields : NULL;
}

/* A key that is missing may stand there misspelt: that is told first. */
static int check_mapping(const struct outline_node *node, const cyaml_schema_field_t *fields,
                         struct check_error *error)
{
    if (node->kind != OUTLINE_MAPPING)
        return check_refuse(error, node, "a mapping");
    for (const struct outline_node *child = node->first; child; child = child->next)
        if (!find_field(fields, child->key))
            return refuse_key(error, child, fields);
    for (; fields->key; fields++) {
        if ((fields->value.flags & CYAML_FLAG_OPTIONAL) || outline_key(node, fields->key))
            continue;
        error->node = node;
        error->at_key = true;
        return value_refuse(error->why, "the key %s is missing", fields->key);
    }
    return 0;
}

static int check_list(const struct outline_node *node, const cyaml_schema_value_t *schema,
                      struct check_error *error)
{
    if (node->kind != OUTLINE_LIST)
        return check_refuse(error, node, "a list");
    if (node->n_children >= schema->sequence.min && node->n_children <= schema->sequence.max)
        return 0;
    error->node = node;
    error->at_key = false;
    return value_refuse(error->why, "expected %u to %u entries, got %zu", schema->sequence.min,
                        schema->sequence.max, node->n_children);
}

static int check_text(const struct outline_node *node, const cyaml_schema_value_t *schema,
                      char why[VALUE_WHY_SIZE])
{
    size_t length = strlen(node->text);
    if (length >= schema->string.min && length <= schema->string.max)
        return 0;
    return value_refuse(why, "a text of %u to %u bytes", schema->string.min, schema->string.max);
}

static int check_number(const char *text, const cyaml_schema_value_t *schema,
                        char why[VALUE_WHY_SIZE])
{
    uint64_t n, most = UINT64_MAX >> (64 - 8 * schema->data_size);
    return value_number(text, 0, most, &n, why);
}

static int check_float(const char *text, char why[VALUE_WHY_SIZE])
{
    char *end;
    double number = strtod(text, &end);
    bool plain = strspn(text, "+-.0123456789eE") == strlen(text);
    return plain && end != text && !*end && isfinite(number) ? 0 : value_refuse(why, "a number");
}

static int check_word(const char *text, const cyaml_schema_value_t *schema,
                      char why[VALUE_WHY_SIZE])
{
    int n = snprintf(why, VALUE_WHY_SIZE, "one of");
    for (uint32_t i = 0; i < schema->enumeration.count && (size_t)n < VALUE_WHY_SIZE; i++) {
        const char *word = schema->enumeration.strings[i].str;
        if (strcmp(text, word) == 0)
            return 0;
        n += snprintf(why + n, VALUE_WHY_SIZE - (size_t)n, "%s %s", i ? "," : "", word);
    }
    return -EINVAL;
}

static int check_scalar(const struct outline_node *node, const cyaml_schema_value_t *schema,
                        char why[VALUE_WHY_SIZE])
{
    bool yes;
    switch (schema->type) {
    case CYAML_STRING:
        return check_text(node, schema, why);
    case CYAML_BOOL:
        return value_bool(node->text, &yes, why);
    case CYAML_UINT:
        return check_number(node->text, schema, why);
    case CYAML_FLOAT:
        return check_float(node->text, why);
    case CYAML_ENUM:
        return check_word(node->text, schema, why);
    default:
        assert(false && "a kind of value that no schema of ours uses");
        return -EINVAL;
    }
}

static int check_node(const struct outline_node *node, const cyaml_schema_value_t *schema,
                      struct check_error *error)
{
    char expected[VALUE_WHY_SIZE], nothing[] = "";
    bool nullable = (schema->flags & CYAML_FLAG_POINTER_NULL_STR) == CYAML_FLAG_POINTER_NULL_STR;
    if (schema->type == CYAML_IGNORE || (node->is_null && nullable))
        return 0;
    if (schema->type == CYAML_MAPPING)
        return check_mapping(node, schema->mapping.fields, error);
    if (schema->type == CYAML_SEQUENCE)
        return check_list(node, schema, error);
    if (node->kind != OUTLINE_SCALAR || node->is_null) {
        /* What it would have to be is said by what is wrong with an empty one. */
        const struct outline_node empty = {.text = nothing};
        bool told = schema->type != CYAML_STRING && check_scalar(&empty, schema, expected) < 0;
        return check_refuse(error, node, told ? expected : "a text");
    }
    int rc = check_scalar(node, schema, expected);
    return rc < 0 ? check_refuse(error, node, expected) : 0;
}

/* The schema of what lies in something that is as it should be; NULL: of what is ignored. */
static const cyaml_schema_value_t *find_schema(const struct outline_node *node,
                                               const cyaml_schema_value_t *around)
{
    if (!around || around->type == CYAML_IGNORE)
        return NULL;
    return around->type == CYAML_SEQUENCE ? around->sequence.entry
                                          : &find_field(around->mapping.fields, node->key)->value;
}

int check_outline(const struct outline *outline, const cyaml_schema_value_t *root,
                  struct check_error *error)
{
    const cyaml_schema_value_t **schemas = calloc(outline->n + 1, sizeof *schemas);
    int rc = schemas ? 0 : -ENOMEM;
    for (size_t i = 0; rc == 0 && i < outline->n; i++) {
        const struct outline_node *node = outline->nodes[i];
        schemas[i] = node->parent ? find_schema(node, schemas[node->parent->number]) : root;
        if (schemas[i])
            rc = check_node(node, schemas[i], error);
    }
    free(schemas);
    return rc;
}
