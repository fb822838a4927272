/* SPDX-License-Identifier: MIT
 *
 * check.h - whether an outline is what a schema of libcyaml describes. Every error that libcyaml
 * would find, and those that it lets through, is found here first and told with its line and key.
 */
#ifndef SMX_AGENT_CONFIG_YAML_CHECK_H
#define SMX_AGENT_CONFIG_YAML_CHECK_H

#include "agent/config/yaml/outline.h"
#include "agent/config/value.h"

#include <cyaml/cyaml.h>

/* What is wrong at a node. */
struct check_error {
    const struct outline_node *node;
    bool at_key;              /* and not at its value */
    char why[VALUE_WHY_SIZE]; /* a sentence, as: expected a list, got nothing */
};

/* Say that something else was expected. Returns: -EINVAL. */
int check_refuse(struct check_error *error, const struct outline_node *node, const char *expected);

/* Returns: 0, -ENOMEM, or -EINVAL and says what is wrong first in the file. */
int check_outline(const struct outline *outline, const cyaml_schema_value_t *root,
                  struct check_error *error);

#endif
