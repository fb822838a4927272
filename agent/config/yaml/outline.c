/* SPDX-License-Identifier: MIT
 *
 * outline.c - libyaml's events to a tree. Only this file knows libyaml.
 */
#include "agent/config/yaml/outline.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

/* While it is made. */
struct maker {
    struct outline *outline;
    struct outline_error *error;
    struct outline_node *open[OUTLINE_DEPTH_MAX], *last[OUTLINE_DEPTH_MAX]; /* and its last child */
    size_t depth;
    char *key; /* read, and its value is to come */
    size_t key_line;
    size_t documents;
    const char *text;
    size_t length;
};

static int refuse(struct maker *m, size_t line, const char *format, const char *name)
{
    m->error->line = line;
    snprintf(m->error->why, sizeof m->error->why, format, name);
    return -EINVAL;
}

static size_t line_of(const yaml_event_t *event)
{
    return event->start_mark.line + 1;
}

static bool is_null(const yaml_event_t *event)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    if (event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    for (size_t i = 0; i < sizeof nulls / sizeof nulls[0]; i++)
        if (strcmp((const char *)event->data.scalar.value, nulls[i]) == 0)
            return true;
    return false;
}

static void append(struct outline_node *parent, struct outline_node **last,
                   struct outline_node *node)
{
    node->parent = parent;
    node->index = parent->n_children++;
    if (*last)
        (*last)->next = node;
    else
        parent->first = node;
    *last = node;
}

/* A new node behind the last child of what is open. */
static struct outline_node *add(struct maker *m, const yaml_event_t *event, enum outline_kind kind)
{
    struct outline *o = m->outline;
    struct outline_node **nodes = realloc(o->nodes, (o->n + 1) * sizeof *nodes);
    if (!nodes)
        return NULL;
    o->nodes = nodes;
    struct outline_node *node = calloc(1, sizeof *node);
    if (!node)
        return NULL;
    nodes[o->n] = node;
    *node = (struct outline_node){
        .kind = kind, .number = o->n++, .line = line_of(event), .key = m->key};
    node->key_line = m->key ? m->key_line : node->line;
    m->key = NULL;
    if (m->depth > 0)
        append(m->open[m->depth - 1], &m->last[m->depth - 1], node);
    return node;
}

/* A key stands in paths, and these in errors of one line. */
static bool is_word(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
            return false;
    return true;
}

static int add_key(struct maker *m, const yaml_event_t *event)
{
    const char *key = (const char *)event->data.scalar.value;
    const struct outline_node *mapping = m->open[m->depth - 1];
    m->key_line = line_of(event);
    if (!is_word(key, event->data.scalar.length))
        return refuse(m, m->key_line, "a key with a control character in it", NULL);
    if (outline_key(mapping, key))
        return refuse(m, m->key_line, "the key %.200s stands here a second time", key);
    m->key = strdup(key);
    return m->key ? 0 : -ENOMEM;
}

static bool wants_key(const struct maker *m)
{
    return m->depth > 0 && m->open[m->depth - 1]->kind == OUTLINE_MAPPING && !m->key;
}

static int add_scalar(struct maker *m, const yaml_event_t *event)
{
    if (wants_key(m))
        return add_key(m, event);
    struct outline_node *node = add(m, event, OUTLINE_SCALAR);
    if (!node)
        return -ENOMEM;
    node->is_null = is_null(event);
    node->text = strdup((const char *)event->data.scalar.value);
    if (!node->text)
        return -ENOMEM;
    if (strlen(node->text) != event->data.scalar.length)
        return refuse(m, node->line, "a value with a NUL in it", NULL);
    return 0;
}

static int open_node(struct maker *m, const yaml_event_t *event, enum outline_kind kind)
{
    if (wants_key(m))
        return refuse(m, line_of(event), "a key must be a word, and not a list or a mapping", NULL);
    if (m->depth == OUTLINE_DEPTH_MAX)
        return refuse(m, line_of(event), "too many levels, 16 are the most", NULL);
    struct outline_node *node = add(m, event, kind);
    if (!node)
        return -ENOMEM;
    m->open[m->depth] = node;
    m->last[m->depth++] = NULL;
    return 0;
}

static int check_bounds(struct maker *m, const yaml_event_t *event)
{
    const struct outline_node *in = m->depth > 0 ? m->open[m->depth - 1] : NULL;
    if (m->outline->n >= OUTLINE_NODES_MAX)
        return refuse(m, line_of(event), "too many values, 16384 are the most", NULL);
    if (in && in->n_children >= OUTLINE_WIDTH_MAX)
        return refuse(m, line_of(event), "too many entries, 1024 are the most in one place", NULL);
    return 0;
}

/* An anchor alone does no harm, but there is nothing that it would be for. */
static const char *anchor_of(const yaml_event_t *event)
{
    const yaml_char_t *anchor = NULL;
    if (event->type == YAML_SCALAR_EVENT)
        anchor = event->data.scalar.anchor;
    else if (event->type == YAML_SEQUENCE_START_EVENT)
        anchor = event->data.sequence_start.anchor;
    else if (event->type == YAML_MAPPING_START_EVENT)
        anchor = event->data.mapping_start.anchor;
    else if (event->type == YAML_ALIAS_EVENT)
        anchor = event->data.alias.anchor;
    return (const char *)anchor;
}

static int take_value(struct maker *m, const yaml_event_t *event)
{
    if (anchor_of(event))
        return refuse(m, line_of(event), "anchors and aliases (&%.100s) are not taken here",
                      anchor_of(event));
    int rc = check_bounds(m, event);
    if (rc < 0)
        return rc;
    if (event->type == YAML_SCALAR_EVENT)
        return add_scalar(m, event);
    return open_node(m, event,
                     event->type == YAML_MAPPING_START_EVENT ? OUTLINE_MAPPING : OUTLINE_LIST);
}

static int take(struct maker *m, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        return m->documents++ == 0 ? 0
                                   : refuse(m, line_of(event), "a second document begins", NULL);
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        m->depth--;
        return 0;
    case YAML_ALIAS_EVENT:
    case YAML_SCALAR_EVENT:
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT:
        return take_value(m, event);
    default:
        return 0;
    }
}

static size_t count_lines(const struct maker *m, size_t before)
{
    size_t line = 1;
    for (size_t i = 0; i < before && i < m->length; i++)
        line += m->text[i] == '\n';
    return line;
}

/* Whether a line is indented by a tab, which YAML forbids and nobody sees. */
static bool has_tab(const struct maker *m, size_t line)
{
    const char *at = m->text, *end = m->text + m->length;
    for (size_t i = 1; at && i < line; i++) {
        at = memchr(at, '\n', (size_t)(end - at));
        at = at ? at + 1 : NULL;
    }
    while (at && at < end && *at == ' ')
        at++;
    return at && at < end && *at == '\t';
}

static int fail(struct maker *m, const yaml_parser_t *parser)
{
    const char *problem = parser->problem ? parser->problem : "not YAML";
    size_t line = parser->problem_mark.line + 1;
    switch (parser->error) {
    case YAML_MEMORY_ERROR:
        return -ENOMEM;
    case YAML_READER_ERROR:
        return refuse(m, count_lines(m, parser->problem_offset), "not UTF-8 text: %s", problem);
    default:
        if (has_tab(m, line))
            return refuse(m, line, "a tab: lines are indented by spaces", NULL);
        return refuse(m, line, "not YAML: %s", problem);
    }
}

static int parse(struct maker *m, yaml_parser_t *parser)
{
    yaml_event_type_t type;
    do {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event))
            return fail(m, parser);
        type = event.type;
        int rc = take(m, &event);
        yaml_event_delete(&event);
        if (rc < 0)
            return rc;
    } while (type != YAML_STREAM_END_EVENT);
    return 0;
}

int outline_init(struct outline *out, const char *text, size_t length, struct outline_error *error)
{
    struct maker m = {.outline = out, .error = error, .text = text, .length = length};
    yaml_parser_t parser;
    *out = (struct outline){0};
    if (!yaml_parser_initialize(&parser))
        return -ENOMEM;
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, length);
    int rc = parse(&m, &parser);
    yaml_parser_delete(&parser);
    free(m.key);
    if (rc < 0)
        outline_fini(out);
    return rc;
}

void outline_fini(struct outline *outline)
{
    for (size_t i = 0; i < outline->n; i++) {
        free(outline->nodes[i]->key);
        free(outline->nodes[i]->text);
        free(outline->nodes[i]);
    }
    free(outline->nodes);
    *outline = (struct outline){0};
}

const struct outline_node *outline_key(const struct outline_node *node, const char *key)
{
    const struct outline_node *child = node->kind == OUTLINE_MAPPING ? node->first : NULL;
    while (child && strcmp(child->key, key) != 0)
        child = child->next;
    return child;
}

const struct outline_node *outline_at(const struct outline_node *node, size_t index)
{
    const struct outline_node *child = node->kind == OUTLINE_LIST ? node->first : NULL;
    while (child && child->index != index)
        child = child->next;
    return child;
}

/* One step of a path: [2], or a key that ends before the next dot or bracket. */
static const struct outline_node *step(const struct outline_node *node, const char **path)
{
    char key[OUTLINE_PATH_SIZE];
    if (**path == '[') {
        char *end;
        size_t index = strtoul(*path + 1, &end, 10);
        *path = *end == ']' ? end + 1 : end;
        return outline_at(node, index);
    }
    *path += **path == '.';
    size_t length = strcspn(*path, ".[");
    snprintf(key, sizeof key, "%.*s", (int)length, *path);
    *path += length;
    return outline_key(node, key);
}

const struct outline_node *outline_find(const struct outline *outline, const char *path)
{
    const struct outline_node *node = outline->n ? outline->nodes[0] : NULL;
    while (node && *path) {
        const struct outline_node *child = step(node, &path);
        if (!child)
            return node;
        node = child;
    }
    return node;
}

void outline_path(const struct outline_node *node, char out[OUTLINE_PATH_SIZE])
{
    const struct outline_node *chain[OUTLINE_DEPTH_MAX + 1];
    size_t depth = 0, used = 0;
    for (; node && node->parent && depth <= OUTLINE_DEPTH_MAX; node = node->parent)
        chain[depth++] = node;
    out[0] = 0;
    while (depth > 0 && used < OUTLINE_PATH_SIZE) {
        const struct outline_node *next = chain[--depth];
        size_t left = OUTLINE_PATH_SIZE - used;
        int n = next->key ? snprintf(out + used, left, "%s%s", used ? "." : "", next->key)
                          : snprintf(out + used, left, "[%zu]", next->index);
        used += n > 0 ? (size_t)n : left;
    }
}

void outline_got(const struct outline_node *node, char out[OUTLINE_GOT_SIZE])
{
    enum { SHOWN = 60 };
    if (node->kind != OUTLINE_SCALAR || node->is_null) {
        snprintf(out, OUTLINE_GOT_SIZE, "%s",
                 node->kind == OUTLINE_LIST      ? "a list"
                 : node->kind == OUTLINE_MAPPING ? "a mapping"
                                                 : "nothing");
        return;
    }
    size_t length = strlen(node->text), shown = length;
    if (length > SHOWN)
        for (shown = SHOWN; shown > 0 && ((unsigned char)node->text[shown] & 0xc0) == 0x80;)
            shown--;
    snprintf(out, OUTLINE_GOT_SIZE, "\"%.*s%s\"", (int)shown, node->text,
             shown < length ? "..." : "");
    for (char *c = out; *c; c++)
        *c = (unsigned char)*c < ' ' || *c == 0x7f ? ' ' : *c;
}
