/* SPDX-License-Identifier: MIT
 *
 * outline.h - a YAML text as a tree in which every value knows its line and its key path. libcyaml
 * fills the structs, but does not know where in the file a value stood, takes "maybe" for true and
 * 12x for 12, and has no mappings with keys of the user's choice: hence this, which is what errors
 * are told by. What a configuration has no use for is refused here: aliases, a second document,
 * what is not UTF-8, and more than a bounded number, depth and width of values.
 */
#ifndef SMX_AGENT_CONFIG_YAML_OUTLINE_H
#define SMX_AGENT_CONFIG_YAML_OUTLINE_H

#include <stdbool.h>
#include <stddef.h>

enum { OUTLINE_DEPTH_MAX = 16, OUTLINE_WIDTH_MAX = 1024, OUTLINE_NODES_MAX = 16384 };
enum { OUTLINE_PATH_SIZE = 256, OUTLINE_GOT_SIZE = 96, OUTLINE_WHY_SIZE = 320 };

enum outline_kind { OUTLINE_SCALAR, OUTLINE_LIST, OUTLINE_MAPPING };

struct outline_node {
    enum outline_kind kind;
    bool is_null;      /* a scalar: empty, ~ or null, and not in quotes */
    size_t line;       /* where it begins, from 1 */
    size_t key_line;   /* where its key stands, or itself in a list */
    size_t index;      /* in its parent */
    size_t number;     /* in the outline, where what holds others comes before them */
    size_t n_children; /* of a list or a mapping */
    char *key;         /* in a mapping, else NULL */
    char *text;        /* of a scalar, else NULL */
    const struct outline_node *parent, *first, *next;
};

/* All-zero is empty. The nodes stay where they are. */
struct outline {
    struct outline_node **nodes; /* the first is the root; none: an empty text */
    size_t n;
};

/* Where and why a text is no outline. */
struct outline_error {
    size_t line;
    char why[OUTLINE_WHY_SIZE];
};

/* Read a text. Returns: 0, -ENOMEM, or -EINVAL and says where and why. */
int outline_init(struct outline *out, const char *text, size_t length, struct outline_error *error);
void outline_fini(struct outline *outline);

/* The child of that key, of that place; NULL: there is none. */
const struct outline_node *outline_key(const struct outline_node *node, const char *key);
const struct outline_node *outline_at(const struct outline_node *node, size_t index);

/* What lies at a path, as health.rules[2].app; else the nearest above it that is there. */
const struct outline_node *outline_find(const struct outline *outline, const char *path);

/* The path of a node, cut if it is too long; "" is the root. */
void outline_path(const struct outline_node *node, char out[OUTLINE_PATH_SIZE]);

/* What a node is, for who expected something else: "many", a list, a mapping, nothing. */
void outline_got(const struct outline_node *node, char out[OUTLINE_GOT_SIZE]);

#endif
