/* SPDX-License-Identifier: MIT
 *
 * gather.c - from readers to a snapshot. Two things are kept from scrape to scrape: the rendered
 * names of each segment, as long as its reader's epoch stands, and the merged list of families, as
 * long as none of them was rendered anew. A scrape in between only points them at the new values.
 */
#include "agent/gather/gather.h"

#include "agent/gather/merge.h"
#include "agent/gather/own.h"
#include "agent/workers/processes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A rendered segment; `serial` is new with every rendering. */
struct kept {
    struct rendered_segment segment;
    uint64_t serial;
    bool used;
};

struct gather {
    struct kept **kept;
    size_t n_kept;
    uint64_t serials;
    struct render_rules rules;
    bool created;
    bool changed; /* since the last run */
    struct render_wants wants;
    /* the merged list, and the serials of what it was made of */
    struct merged merged;
    uint64_t *merged_serials;
    struct own own;
    struct processes *const *processes;
    size_t n_processes;
    const struct health *health; /* or NULL */
    struct process_families process_families;
    const struct smx_segment_info **infos; /* of the segments that are in it */
    size_t n_infos;
    struct exposed *families;
    struct snapshot snapshot;
};

/* The sources of one run, in the order of their precedence. */
struct run {
    size_t n;
    struct kept **kept;
    const struct rendered_segment **segments;
};

int gather_new(struct gather **out)
{
    struct gather *g = calloc(1, sizeof *g);
    if (!g)
        return -ENOMEM;
    *out = g;
    return 0;
}

static void drop_merged(struct gather *g)
{
    merge_fini(&g->merged);
    free(g->merged_serials);
    g->merged_serials = NULL;
}

static void drop_kept(struct gather *g, size_t index)
{
    render_fini(&g->kept[index]->segment);
    free(g->kept[index]);
    g->kept[index] = g->kept[--g->n_kept];
}

void gather_free(struct gather *g)
{
    if (!g)
        return;
    while (g->n_kept)
        drop_kept(g, g->n_kept - 1);
    free(g->kept);
    drop_merged(g);
    own_fini(&g->own);
    process_families_fini(&g->process_families);
    free(g->infos);
    free(g->families);
    free(g);
}

void gather_set(struct gather *g, const struct gather_rules *rules)
{
    while (g->n_kept)
        drop_kept(g, g->n_kept - 1);
    drop_merged(g);
    g->snapshot = (struct snapshot){0};
    g->health = NULL;
    g->n_infos = 0;
    g->rules = (struct render_rules){.filter = rules->filter,
                                     .wishes = rules->wishes,
                                     .labels = rules->labels,
                                     .n_labels = rules->n_labels};
    g->created = rules->created;
    g->changed = true;
}

void gather_messages(struct gather *g)
{
    g->wants.messages = true;
}

void gather_escaping(struct gather *g, enum escaping escaping)
{
    g->wants.escapings[escaping] = true;
}

void gather_processes(struct gather *g, struct processes *const list[], size_t n)
{
    g->processes = list;
    g->n_processes = n;
}

void gather_health(struct gather *g, const struct health *health)
{
    g->health = health;
}

const struct health *gather_has_health(const struct gather *g)
{
    return g->health;
}

static size_t find_kept(const struct gather *g, const smx_reader *reader)
{
    size_t i = 0;
    while (i < g->n_kept && g->kept[i]->segment.reader != reader)
        i++;
    return i;
}

void gather_forget(struct gather *g, const smx_reader *reader)
{
    size_t i = find_kept(g, reader);
    if (i < g->n_kept)
        drop_kept(g, i);
}

static int add_kept(struct gather *g)
{
    struct kept **kept = realloc(g->kept, (g->n_kept + 1) * sizeof *kept);
    if (!kept)
        return -ENOMEM;
    g->kept = kept;
    kept[g->n_kept] = calloc(1, sizeof **kept);
    if (!kept[g->n_kept])
        return -ENOMEM;
    g->n_kept++;
    return 0;
}

/* The rendered names of a reader's segment, made anew if they moved. */
static int keep(struct gather *g, const smx_reader *reader, struct kept **out)
{
    size_t i = find_kept(g, reader);
    if (i == g->n_kept && add_kept(g) < 0)
        return -ENOMEM;
    struct kept *kept = g->kept[i];
    if (!render_holds(&kept->segment, reader)) {
        render_fini(&kept->segment);
        kept->serial = ++g->serials;
        int e = render_segment(&kept->segment, reader, &g->rules);
        if (e < 0)
            return e;
    }
    kept->used = true;
    *out = kept;
    return render_wanted(&kept->segment, &g->wants);
}

/* Whose word on their own names we take before a stranger's. */
static bool is_trusted(const struct smx_segment_info *info)
{
    return info->owner == 0 || info->owner == geteuid();
}

/* Root's and our own first, for a stranger's file may claim any age; then the oldest, then by path:
 * what stands does not change when another segment appears. */
static int by_age(const void *left, const void *right)
{
    const struct kept *a = *(struct kept *const *)left, *b = *(struct kept *const *)right;
    const struct smx_segment_info *x = smx_reader_info(a->segment.reader);
    const struct smx_segment_info *y = smx_reader_info(b->segment.reader);
    if (is_trusted(x) != is_trusted(y))
        return is_trusted(x) ? -1 : 1;
    if (x->created_ns != y->created_ns)
        return x->created_ns < y->created_ns ? -1 : 1;
    return strcmp(x->path, y->path);
}

static int order(struct gather *g, const struct gather_source sources[], struct run *run)
{
    for (size_t i = 0; i < g->n_kept; i++)
        g->kept[i]->used = false;
    for (size_t i = 0; i < run->n; i++) {
        int e = keep(g, sources[i].reader, &run->kept[i]);
        if (e < 0)
            return e;
    }
    qsort(run->kept, run->n, sizeof *run->kept, by_age);
    for (size_t i = 0; i < run->n; i++)
        run->segments[i] = &run->kept[i]->segment;
    return 0;
}

static bool merged_holds(const struct gather *g, const struct run *run)
{
    if (!g->merged_serials || g->merged.n_segments != run->n)
        return false;
    for (size_t i = 0; i < run->n; i++)
        if (g->merged_serials[i] != run->kept[i]->serial)
            return false;
    return true;
}

static int merge(struct gather *g, const struct run *run)
{
    if (merged_holds(g, run))
        return 0;
    drop_merged(g);
    uint64_t *serials = calloc(run->n + 1, sizeof *serials);
    if (!serials)
        return -ENOMEM;
    int e = merge_init(&g->merged, run->segments, run->n, g->created);
    if (e < 0) {
        free(serials);
        return e;
    }
    for (size_t i = 0; i < run->n; i++)
        serials[i] = run->kept[i]->serial;
    g->merged_serials = serials;
    return 0;
}

static int expose_own(struct gather *g, const struct run *run, const struct self_stats *self)
{
    free(g->infos);
    g->n_infos = 0;
    g->infos = calloc(run->n + 1, sizeof *g->infos);
    if (!g->infos)
        return -ENOMEM;
    for (size_t i = 0; i < run->n; i++)
        if (!g->merged.left_out[i])
            g->infos[g->n_infos++] = smx_reader_info(run->segments[i]->reader);
    own_reset(&g->own);
    self_expose(&g->own, self);
    conflicts_expose(&g->own, g->merged.conflicts, g->merged.n_conflicts);
    usage_expose(&g->own, g->infos, g->n_infos, g->rules.filter);
    if (g->health)
        health_expose(&g->own, g->health, &g->rules, NULL);
    return own_finish(&g->own);
}

/* The agent's own families first, then those of the processes, then those of the applications. */
static int compose(struct gather *g)
{
    const struct process_families *processes = &g->process_families;
    size_t n = g->own.n + processes->n + g->merged.n_families;
    struct exposed *families = realloc(g->families, n * sizeof *families);
    if (!families)
        return -ENOMEM;
    g->families = families;
    n = 0;
    for (size_t i = 0; i < g->own.n; i++)
        if (filter_has_family(g->rules.filter, g->own.families[i].name))
            families[n++] = g->own.families[i];
    for (size_t i = 0; i < processes->n; i++)
        if (filter_has_family(g->rules.filter, processes->at[i].name))
            families[n++] = processes->at[i];
    memcpy(families + n, g->merged.families, g->merged.n_families * sizeof *families);
    n += g->merged.n_families;
    g->snapshot = (struct snapshot){.families = families,
                                    .n = n,
                                    .n_parts = processes->n_parts + g->merged.n_parts,
                                    .created = g->created};
    return 0;
}

static void drop_unused(struct gather *g)
{
    for (size_t i = g->n_kept; i-- > 0;)
        if (!g->kept[i]->used)
            drop_kept(g, i);
}

/* Their texts, where they are by other rules. */
static void forget_processes(struct gather *g)
{
    for (size_t i = 0; g->changed && i < g->n_processes; i++)
        processes_fini(g->processes[i]);
    g->changed = false;
}

int gather_run(struct gather *g, const struct gather_source sources[], size_t n,
               const struct self_stats *self, const struct snapshot **out)
{
    struct run run = {.n = n};
    run.kept = calloc(n + 1, sizeof *run.kept);
    run.segments = calloc(n + 1, sizeof *run.segments);
    int e = run.kept && run.segments ? order(g, sources, &run) : -ENOMEM;
    if (e == 0)
        e = merge(g, &run);
    if (e == 0) {
        merge_point(&g->merged, run.segments);
        e = expose_own(g, &run, self);
    }
    if (e == 0)
        forget_processes(g);
    if (e == 0)
        e = process_families_make(&g->process_families, g->processes, g->n_processes, &g->rules,
                                  g->wants.messages);
    if (e == 0)
        e = compose(g);
    drop_unused(g);
    free(run.kept);
    free(run.segments);
    if (e == 0)
        *out = &g->snapshot;
    return e;
}

const struct render_rules *gather_in_force(const struct gather *g)
{
    return &g->rules;
}

const struct snapshot *gather_snapshot(const struct gather *g)
{
    return &g->snapshot;
}

const struct smx_segment_info *const *gather_infos(const struct gather *g, size_t *n)
{
    *n = g->n_infos;
    return g->infos;
}

const struct gather_conflict *gather_conflicts(const struct gather *g, size_t *n)
{
    *n = g->merged.n_conflicts;
    return g->merged.conflicts;
}
