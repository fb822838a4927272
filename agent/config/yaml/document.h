/* SPDX-License-Identifier: MIT
 *
 * document.h - a YAML file as the structs of a schema, and as an outline, by which what is wrong
 * with it is told: FILE:LINE: KEY: what was expected and what is there.
 */
#ifndef SMX_AGENT_CONFIG_YAML_DOCUMENT_H
#define SMX_AGENT_CONFIG_YAML_DOCUMENT_H

#include "agent/config/yaml/outline.h"

#include <cyaml/cyaml.h>
#include <stdarg.h>

enum { DOCUMENT_WHY_SIZE = 1024 };

struct document {
    const char *path; /* borrowed */
    struct outline outline;
    char *why; /* DOCUMENT_WHY_SIZE, of whoever opened it */
};

/* Read a file: check it by the schema of its root, a pointer to a mapping, and make the structs;
 * *data is NULL if it is empty. path and why are used until it is closed, also after a failure.
 * Returns: 0, -ENOMEM, -EINVAL and what is wrong with the file, or the negative errno with which it
 * cannot be read. */
int document_open(struct document *out, const char *path, const cyaml_schema_value_t *root,
                  void **data, char why[DOCUMENT_WHY_SIZE]);
void document_close(struct document *document);

/* Free what document_open() has made. */
void document_free(const cyaml_schema_value_t *root, void *data);

/* Say what was expected at a path, as a format makes it, or at a node. Returns: -EINVAL. */
int document_refuse(const struct document *document, const char *expected, const char *path, ...)
    __attribute__((format(printf, 3, 4)));
int document_vrefuse(const struct document *document, const char *expected, const char *path,
                     va_list arguments) __attribute__((format(printf, 3, 0)));
int document_refuse_node(const struct document *document, const struct outline_node *node,
                         const char *expected);

/* The same at its key. */
int document_refuse_key(const struct document *document, const struct outline_node *node,
                        const char *expected);

/* The same, with a sentence of one's own instead of what was expected and what is there. */
int document_say(const struct document *document, const struct outline_node *node,
                 const char *sentence);

/* What lies exactly at a path; NULL: nothing does. */
const struct outline_node *document_find(const struct document *document, const char *path);

#endif
