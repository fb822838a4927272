/* SPDX-License-Identifier: MIT
 *
 * document.c - the steps from a path to structs: read, outline, check by the schema, let libcyaml
 * fill them in. Only this file calls libcyaml.
 */
#include "agent/config/yaml/document.h"
#include "agent/config/yaml/check.h"
#include "agent/config/yaml/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* FILE:LINE: KEY: sentence; a sentence about the whole file has neither line nor key. */
static int refuse(const struct document *d, size_t line, const char *key, const char *sentence)
{
    char at[24] = "";
    if (line)
        snprintf(at, sizeof at, ":%zu", line);
    snprintf(d->why, DOCUMENT_WHY_SIZE, "%s%s: %s%s%s", d->path, at, key, key[0] ? ": " : "",
             sentence);
    return -EINVAL;
}

static int refuse_check(const struct document *d, const struct check_error *error)
{
    char path[OUTLINE_PATH_SIZE];
    outline_path(error->node, path);
    return refuse(d, error->at_key ? error->node->key_line : error->node->line, path, error->why);
}

int document_say(const struct document *d, const struct outline_node *node, const char *sentence)
{
    char path[OUTLINE_PATH_SIZE];
    outline_path(node, path);
    return refuse(d, node->line, path, sentence);
}

int document_refuse_node(const struct document *d, const struct outline_node *node,
                         const char *expected)
{
    struct check_error error;
    check_refuse(&error, node, expected);
    return refuse_check(d, &error);
}

int document_refuse_key(const struct document *d, const struct outline_node *node,
                        const char *expected)
{
    struct check_error error = {.node = node, .at_key = true};
    value_refuse(error.why, "expected %s", expected);
    return refuse_check(d, &error);
}

int document_vrefuse(const struct document *d, const char *expected, const char *format,
                     va_list arguments)
{
    char path[OUTLINE_PATH_SIZE];
    vsnprintf(path, sizeof path, format, arguments);
    return document_refuse_node(d, outline_find(&d->outline, path), expected);
}

int document_refuse(const struct document *d, const char *expected, const char *path, ...)
{
    va_list arguments;
    va_start(arguments, path);
    int rc = document_vrefuse(d, expected, path, arguments);
    va_end(arguments);
    return rc;
}

const struct outline_node *document_find(const struct document *d, const char *path)
{
    char found[OUTLINE_PATH_SIZE];
    const struct outline_node *node = outline_find(&d->outline, path);
    if (!node)
        return NULL;
    outline_path(node, found);
    return strcmp(found, path) == 0 ? node : NULL;
}

/* The first of libcyaml's messages. None is expected, as the check was before. */
static void keep_message(cyaml_log_t level, void *context, const char *format, va_list arguments)
{
    char *message = context;
    (void)level;
    if (message[0])
        return;
    vsnprintf(message, VALUE_WHY_SIZE, format, arguments);
    message[strcspn(message, "\r\n")] = 0;
}

static int fill(const struct document *d, const char *text, size_t length,
                const cyaml_schema_value_t *root, void **data)
{
    char message[VALUE_WHY_SIZE] = "", sentence[VALUE_WHY_SIZE + 64];
    const cyaml_config_t how = {.log_fn = keep_message,
                                .log_ctx = message,
                                .log_level = CYAML_LOG_ERROR,
                                .mem_fn = cyaml_mem,
                                .flags = CYAML_CFG_NO_ALIAS};
    cyaml_err_t e = cyaml_load_data((const uint8_t *)text, length, &how, root, data, NULL);
    if (e == CYAML_ERR_OOM)
        return -ENOMEM;
    if (e == CYAML_OK)
        return 0;
    snprintf(sentence, sizeof sentence, "%s (%s)", message, cyaml_strerror(e));
    return refuse(d, 0, "", sentence);
}

static int use(const struct document *d, const char *text, size_t length,
               const cyaml_schema_value_t *root, void **data)
{
    const struct outline_node *top = d->outline.n ? d->outline.nodes[0] : NULL;
    struct check_error error;
    if (!top || top->is_null)
        return 0;
    int rc = check_outline(&d->outline, root, &error);
    if (rc == -EINVAL)
        return refuse_check(d, &error);
    return rc == 0 ? fill(d, text, length, root, data) : rc;
}

int document_open(struct document *out, const char *path, const cyaml_schema_value_t *root,
                  void **data, char why[DOCUMENT_WHY_SIZE])
{
    struct outline_error error;
    char *text, reason[TEXT_WHY_SIZE];
    size_t length;
    *out = (struct document){.path = path, .why = why};
    *data = NULL;
    int rc = text_read(path, &text, &length, reason);
    if (rc < 0) {
        refuse(out, 0, "", reason);
        return rc;
    }
    rc = outline_init(&out->outline, text, length, &error);
    if (rc == -EINVAL)
        refuse(out, error.line, "", error.why);
    if (rc == 0)
        rc = use(out, text, length, root, data);
    free(text);
    return rc;
}

void document_close(struct document *document)
{
    outline_fini(&document->outline);
}

void document_free(const cyaml_schema_value_t *root, void *data)
{
    const cyaml_config_t how = {.mem_fn = cyaml_mem};
    cyaml_free(&how, root, data, 0);
}
