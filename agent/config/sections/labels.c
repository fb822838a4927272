/* SPDX-License-Identifier: MIT
 *
 * labels.c - labels that the agent adds, by names of the user's choice: a mapping that libcyaml
 * cannot describe, so it is read from the outline. The whole mapping yields to --labels.add.
 */
#include "agent/config/file.h"

#include <string.h>

static int use(struct loading *l, struct settings *settings, const struct outline_node *node)
{
    char expected[VALUE_WHY_SIZE];
    bool of_value;
    if (node->kind != OUTLINE_SCALAR || node->is_null)
        return loading_refuse_node(l, node, "a text");
    struct smx_label label = {{node->key, strlen(node->key)}, {node->text, strlen(node->text)}};
    if (settings_add_label(settings, label, &of_value, expected) == 0)
        return 0;
    return of_value ? loading_refuse_node(l, node, expected)
                    : loading_refuse_key(l, node, expected);
}

int config_labels_use(struct loading *l, const struct config_file *file)
{
    const struct outline_node *labels = loading_find(l, "labels");
    struct options nowhere;
    int rc = 0;
    (void)file;
    if (!labels || labels->is_null)
        return 0;
    if (labels->kind != OUTLINE_MAPPING)
        return loading_refuse_node(l, labels, "a mapping");
    struct settings *settings = &loading_target(l, OPTION_LABELS_ADD, &nowhere)->settings;
    for (const struct outline_node *node = labels->first; node && rc == 0; node = node->next)
        rc = use(l, settings, node);
    return rc;
}
