/* SPDX-License-Identifier: MIT
 *
 * processes.c - rows of numbers as families, in the shape that an application's have: so that there
 * may be thousands, the encoders take them in slices, and a selection by application finds them.
 * What does not change from scrape to scrape, names and labels, is rendered once.
 */
#include "agent/workers/processes.h"

#include "agent/encode/number.h"
#include "agent/gather/label.h"
#include "agent/gather/message.h"
#include "agent/workers/definitions.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* One family of one application. */
struct family {
    struct smx_family_info info;
    struct smx_series_info *series;
    struct rendered rendered;
};

/* What must be the same for the texts to hold. */
struct key {
    char role[sizeof((struct process_row *)0)->role];
    uint32_t worker, known;
};

struct level {
    struct key *keys;
    size_t n;
    struct family *families[PROCESS_DEFINITIONS]; /* NULL: none has such a value */
};

struct process_texts {
    struct level levels[PROCESS_LEVELS];
    bool messages;
};

/* Labels of one series: app, app_instance, role, worker, type, and those of the rules. */
enum { LABELS_MAX = 5 + RENDER_LABELS_MAX };
struct labels {
    struct smx_label at[LABELS_MAX];
    size_t n;
    char worker[16];
};

static struct smx_str str(const char *text)
{
    return (struct smx_str){text, strlen(text)};
}

static void add_label(struct labels *labels, const char *name, struct smx_str value)
{
    if (value.length) /* an empty one is none */
        labels->at[labels->n++] = (struct smx_label){str(name), value};
}

static void labels_of(struct labels *out, const struct processes *p, enum process_level level,
                      const struct process_row *row, const char *type)
{
    out->n = 0;
    add_label(out, "app", p->app);
    add_label(out, "app_instance", p->instance);
    if (level != PROCESS_BY_APP)
        add_label(out, "role", str(row->role));
    if (level == PROCESS_EACH) {
        snprintf(out->worker, sizeof out->worker, "%u", row->worker);
        add_label(out, "worker", str(out->worker));
    }
    if (type)
        add_label(out, "type", str(type));
}

static void put_text(struct buffer *out, struct smx_str name, const struct labels *labels)
{
    buffer_put(out, name.at, name.length);
    buffer_puts(out, "{");
    for (size_t i = 0; i < labels->n; i++)
        label_put(out, labels->at[i].name, labels->at[i].value);
    buffer_puts(out, "} ");
}

static void put_message(struct buffer *out, struct buffer *pairs, enum smx_type type,
                        const struct labels *labels)
{
    pairs->length = 0;
    for (size_t i = 0; i < labels->n; i++)
        message_label(pairs, labels->at[i].name, labels->at[i].value);
    message_open(out, type, pairs->at, pairs->length);
}

static void drop_family(struct family *family)
{
    if (!family)
        return;
    free(family->rendered.text.ends);
    free(family->rendered.text.at);
    free(family->rendered.message.ends);
    free(family->rendered.message.at);
    free(family->series);
    free(family);
}

static void drop_level(struct level *level)
{
    for (size_t d = 0; d < PROCESS_DEFINITIONS; d++)
        drop_family(level->families[d]);
    free(level->keys);
    *level = (struct level){0};
}

void processes_fini(struct processes *processes)
{
    if (!processes->texts)
        return;
    for (size_t i = 0; i < PROCESS_LEVELS; i++)
        drop_level(&processes->texts->levels[i]);
    free(processes->texts);
    processes->texts = NULL;
}

static bool has(const struct process_row *row, const struct process_definition *d)
{
    return process_row_has(row, d->first);
}

/* What the texts of a family are written into. */
struct texts {
    struct buffer text, message, pairs;
    bool messages;
    const struct render_rules *rules;
};

static int keep(struct kept_bytes *kept, struct buffer *bytes)
{
    int rc = buffer_reserve(bytes, RENDER_SLACK);
    kept->at = bytes->at;
    *bytes = (struct buffer){0};
    return rc;
}

/* Series k, or nothing where a filter hides it, which asks about its own labels. */
static void render(struct family *family, size_t k, struct labels *labels, struct texts *t)
{
    if (filter_has_labels(t->rules->filter, labels->at, labels->n)) {
        labels->n = label_add_missing(labels->at, labels->n, t->rules->labels, t->rules->n_labels);
        put_text(&t->text, family->info.name, labels);
        if (t->messages)
            put_message(&t->message, &t->pairs, family->info.type, labels);
    }
    family->rendered.text.ends[k] = t->text.length;
    if (t->messages)
        family->rendered.message.ends[k] = t->message.length;
}

static void render_rows(struct family *family, const struct processes *p, enum process_level level,
                        const struct process_definition *d, struct texts *t)
{
    size_t k = 0;
    struct labels labels;
    for (size_t i = 0; i < p->n[level]; i++) {
        const struct process_row *row = &p->rows[level][i];
        for (unsigned type = 0; has(row, d) && type < d->n_types; type++) {
            labels_of(&labels, p, level, row, d->n_types > 1 ? process_types[type] : NULL);
            render(family, k++, &labels, t);
        }
    }
}

static struct family *new_family(const struct process_definition *d, enum process_level level,
                                 size_t n)
{
    struct family *family = calloc(1, sizeof *family);
    if (!family)
        return NULL;
    family->series = calloc(n, sizeof *family->series);
    family->info = (struct smx_family_info){.name = str(d->says[level].name),
                                            .help = str(d->says[level].help),
                                            .unit = str(d->unit ? d->unit : ""),
                                            .type = d->type,
                                            .is_double = d->type == SMX_GAUGE && d->digits,
                                            .digits = d->digits,
                                            .series = family->series,
                                            .n_series = n};
    family->rendered.n_series = n;
    family->rendered.text.ends = calloc(n, sizeof(size_t));
    family->rendered.message.ends = calloc(n, sizeof(size_t));
    if (family->series && family->rendered.text.ends && family->rendered.message.ends)
        return family;
    drop_family(family);
    return NULL;
}

static int make_family(struct family **out, const struct processes *p, enum process_level level,
                       const struct process_definition *d, struct texts *t)
{
    size_t n = 0;
    for (size_t i = 0; d->says[level].name && i < p->n[level]; i++)
        n += has(&p->rows[level][i], d) ? d->n_types : 0;
    if (n == 0)
        return 0;
    struct family *family = new_family(d, level, n);
    if (!family)
        return -ENOMEM;
    *out = family;
    render_rows(family, p, level, d, t);
    int text = keep(&family->rendered.text, &t->text);
    int message = t->messages ? keep(&family->rendered.message, &t->message) : 0;
    return text < 0 || message < 0 || t->pairs.failed ? -ENOMEM : 0;
}

static struct key key_of(const struct process_row *row)
{
    struct key key = {.worker = row->worker, .known = row->known};
    memcpy(key.role, row->role, sizeof key.role);
    return key;
}

static bool holds(const struct level *level, const struct process_row *rows, size_t n)
{
    if (level->n != n)
        return false;
    for (size_t i = 0; i < n; i++) {
        struct key key = key_of(&rows[i]);
        if (memcmp(&level->keys[i], &key, sizeof key) != 0)
            return false;
    }
    return true;
}

static int make_level(struct level *out, const struct processes *p, enum process_level level,
                      struct texts *t)
{
    int rc = 0;
    drop_level(out);
    for (size_t d = 0; d < PROCESS_DEFINITIONS && rc == 0; d++)
        rc = make_family(&out->families[d], p, level, &process_definitions[d], t);
    if (rc == 0 && p->n[level]) {
        out->keys = calloc(p->n[level], sizeof *out->keys);
        rc = out->keys ? 0 : -ENOMEM;
    }
    if (rc < 0) {
        drop_level(out);
        return rc;
    }
    for (size_t i = 0; i < p->n[level]; i++)
        out->keys[i] = key_of(&p->rows[level][i]);
    out->n = p->n[level];
    return 0;
}

static void put_value(struct smx_series_info *series, const struct process_definition *d,
                      uint64_t value)
{
    series->present = true;
    if (d->type == SMX_COUNTER)
        series->count = value;
    else if (d->digits)
        series->real = number_scaled(value, d->digits);
    else
        series->integer = value > INT64_MAX ? INT64_MAX : (int64_t)value;
}

/* In the same order as the texts. */
static void put_values(struct family *family, const struct process_definition *d,
                       const struct process_row *rows, size_t n)
{
    struct smx_series_info *series = family->series;
    for (size_t i = 0; i < n; i++)
        for (unsigned type = 0; has(&rows[i], d) && type < d->n_types; type++)
            put_value(series++, d, rows[i].values[d->first + type]);
}

static int show(struct processes *p, const struct render_rules *rules, bool messages)
{
    struct texts t = {.rules = rules, .messages = messages};
    int rc = 0;
    if (!p->texts)
        p->texts = calloc(1, sizeof *p->texts);
    if (!p->texts)
        return -ENOMEM;
    for (size_t i = 0; i < PROCESS_LEVELS && rc == 0; i++) {
        struct level *level = &p->texts->levels[i];
        if ((messages && !p->texts->messages) || !holds(level, p->rows[i], p->n[i]))
            rc = make_level(level, p, (enum process_level)i, &t);
        for (size_t d = 0; d < PROCESS_DEFINITIONS; d++)
            if (level->families[d])
                put_values(level->families[d], &process_definitions[d], p->rows[i], p->n[i]);
    }
    if (rc == 0)
        p->texts->messages = messages;
    buffer_fini(&t.text);
    buffer_fini(&t.message);
    buffer_fini(&t.pairs);
    return rc;
}

static void compose_family(struct process_families *out, struct processes *const list[], size_t n,
                           enum process_level level, size_t d)
{
    const struct process_definition *definition = &process_definitions[d];
    struct exposed exposed = {.type = definition->type};
    const struct part **link = &exposed.first;
    for (size_t i = 0; i < n; i++) {
        const struct family *family = list[i]->texts->levels[level].families[d];
        if (!family)
            continue;
        struct part *part = &out->parts[out->n_parts++];
        *part = (struct part){
            .family = &family->info, .rendered = &family->rendered, .app = list[i]->app};
        *link = part;
        link = &part->next;
    }
    if (!exposed.first)
        return;
    exposed.name = exposed.first->family->name;
    exposed.help = exposed.first->family->help;
    exposed.unit = exposed.first->family->unit;
    out->at[out->n++] = exposed;
}

int process_families_make(struct process_families *out, struct processes *const list[], size_t n,
                          const struct render_rules *rules, bool messages)
{
    int rc = 0;
    process_families_fini(out);
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = show(list[i], rules, messages);
    if (rc < 0 || n == 0)
        return rc;
    out->at = calloc((size_t)PROCESS_LEVELS * PROCESS_DEFINITIONS, sizeof *out->at);
    out->parts = calloc(n * PROCESS_LEVELS * PROCESS_DEFINITIONS, sizeof *out->parts);
    if (!out->at || !out->parts) {
        process_families_fini(out);
        return -ENOMEM;
    }
    for (unsigned level = 0; level < PROCESS_LEVELS; level++)
        for (size_t d = 0; d < PROCESS_DEFINITIONS; d++)
            compose_family(out, list, n, (enum process_level)level, d);
    return 0;
}

void process_families_fini(struct process_families *families)
{
    free(families->at);
    free(families->parts);
    *families = (struct process_families){0};
}
