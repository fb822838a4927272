/* SPDX-License-Identifier: MIT
 *
 * view.c - selecting costs a look at each family, and a copy of the parts that are wanted when not
 * all applications are.
 */
#include "agent/gather/view.h"

#include <errno.h>
#include <stdlib.h>

static void add(struct view *v, const struct exposed *family)
{
    v->families[v->snapshot.n++] = *family;
}

/* A family with those of its parts that are wanted, if any are. */
static void add_parts(struct view *v, const struct exposed *family, const struct selection *s,
                      struct part **free_part)
{
    struct exposed some = *family;
    const struct part **link = &some.first;
    for (const struct part *p = family->first; p; p = p->next) {
        if (!selection_has_app(s, p->app))
            continue;
        struct part *copy = (*free_part)++;
        *copy = *p;
        *link = copy;
        link = &copy->next;
    }
    *link = NULL;
    if (some.first)
        add(v, &some);
}

static void add_families(struct view *v, const struct snapshot *all, const struct selection *s)
{
    struct part *free_part = v->parts;
    for (size_t i = 0; i < all->n; i++) {
        const struct exposed *family = &all->families[i];
        if (!selection_has_family(s, family->name, family->type))
            continue;
        if (!selection_by_app(s))
            add(v, family);
        else if (family->first)
            add_parts(v, family, s, &free_part);
    }
}

static int add_usage(struct view *v, const struct gather *gather, const struct selection *s)
{
    const struct render_rules *rules = gather_in_force(gather);
    size_t n, wanted = 0;
    const struct smx_segment_info *const *all = gather_infos(gather, &n);
    const struct smx_segment_info **infos = calloc(n + 1, sizeof *infos);
    if (!infos)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        if (selection_has_app(s, all[i]->app))
            infos[wanted++] = all[i];
    usage_expose(&v->own, infos, wanted, rules->filter);
    if (gather_has_health(gather))
        health_expose(&v->own, gather_has_health(gather), rules, s);
    free(infos);
    int rc = own_finish(&v->own);
    for (size_t i = 0; rc == 0 && i < v->own.n; i++)
        if (selection_has_family(s, v->own.families[i].name, v->own.families[i].type) &&
            filter_has_family(rules->filter, v->own.families[i].name))
            add(v, &v->own.families[i]);
    return rc;
}

int view_init(struct view *out, const struct gather *gather, const struct selection *selection)
{
    const struct snapshot *all = gather_snapshot(gather);
    *out = (struct view){0};
    out->families = calloc(all->n + OWN_MAX, sizeof *out->families);
    out->parts = calloc(all->n_parts + 1, sizeof *out->parts);
    int rc = out->families && out->parts ? 0 : -ENOMEM;
    out->snapshot.families = out->families;
    out->snapshot.created = all->created;
    if (rc == 0 && selection_by_app(selection))
        rc = add_usage(out, gather, selection);
    if (rc == 0)
        add_families(out, all, selection);
    if (rc < 0)
        view_fini(out);
    return rc;
}

void view_fini(struct view *view)
{
    free(view->families);
    free(view->parts);
    own_fini(&view->own);
    *view = (struct view){0};
}
