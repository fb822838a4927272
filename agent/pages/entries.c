/* SPDX-License-Identifier: MIT
 *
 * entries.c - a small table: the pages of everything have places of their own, selections take the
 * places of others, the oldest first, that nobody waits for.
 */
#include "agent/pages/entries.h"

static void empty(struct entry *e)
{
    page_fini(&e->page);
    view_fini(&e->view);
    selection_free(e->selection);
    e->selection = NULL;
}

void entries_init(struct entries *entries)
{
    for (unsigned i = 0; i < WHOLE; i++) {
        entries->at[i].page.format = (enum exposition)(i / ESCAPING_COUNT);
        entries->at[i].page.escaping = (enum escaping)(i % ESCAPING_COUNT);
    }
}

void entries_fini(struct entries *entries)
{
    for (size_t i = 0; i < ENTRIES; i++)
        empty(&entries->at[i]);
}

bool entries_any(const struct entries *entries, enum page_state state)
{
    for (size_t i = 0; i <= LOOK; i++)
        if (entries->at[i].page.state == state)
            return true;
    return false;
}

struct entry *entries_whole(struct entries *entries, const struct accepted *accepted)
{
    return &entries->at[accepted->format * ESCAPING_COUNT + accepted->escaping];
}

static bool is_of(const struct entry *e, const struct accepted *accepted,
                  const struct selection *selection)
{
    return e->page.format == accepted->format && e->page.escaping == accepted->escaping &&
           selection_equal(e->selection, selection);
}

/* The place of the oldest selection that nobody waits for, emptied; NULL: there is none. */
static struct entry *replace(struct entries *entries)
{
    for (size_t i = 0; i < SELECTIONS; i++) {
        entries->replaced = (entries->replaced + 1) % SELECTIONS;
        struct entry *e = &entries->at[WHOLE + entries->replaced];
        if (!e->waiters) {
            empty(e);
            return e;
        }
    }
    return NULL;
}

struct entry *entries_find(struct entries *entries, const struct accepted *accepted,
                           struct selection *selection)
{
    if (!selection)
        return entries_whole(entries, accepted);
    for (size_t i = WHOLE; i < ENTRIES; i++)
        if (is_of(&entries->at[i], accepted, selection)) {
            selection_free(selection);
            return &entries->at[i];
        }
    struct entry *e = replace(entries);
    if (!e) {
        selection_free(selection);
        return NULL;
    }
    e->page.format = accepted->format;
    e->page.escaping = accepted->escaping;
    e->selection = selection;
    return e;
}

void entries_forget(struct entries *entries)
{
    for (size_t i = WHOLE; i < ENTRIES; i++)
        if (!entries->at[i].waiters)
            empty(&entries->at[i]);
}

void entry_stop(struct entry *e)
{
    page_stop(&e->page);
    view_fini(&e->view);
}
