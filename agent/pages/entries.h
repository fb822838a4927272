/* SPDX-License-Identifier: MIT
 *
 * entries.h - which pages there are, and who waits for each: one of everything for each format and
 * escaping, and some of what scrapers have selected. Whose turn it is to be made is not known here.
 */
#ifndef SMX_AGENT_ENTRIES_H
#define SMX_AGENT_ENTRIES_H

#include "agent/gather/selection.h"
#include "agent/gather/view.h"
#include "agent/http/accept.h"
#include "agent/pages/page.h"
#include "agent/pages/waiters.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* So many selections at a time; the pages of those that nobody waits for go when others come. */
enum { WHOLE = EXPOSITION_COUNT * ESCAPING_COUNT, SELECTIONS = 16, ENTRIES = WHOLE + SELECTIONS };

/* One more, which is no page, wants all to be read because somebody looks. */
enum { LOOK = ENTRIES };

/* A page and those who wait for it. */
struct entry {
    struct page page;
    struct selection *selection; /* NULL: of everything */
    struct view view;            /* what is encoded then */
    struct waiter *waiters;
    uint64_t since_ns;  /* while it is wanted: what was read since then will do */
    uint64_t looked_ns; /* since then; 0: not yet. What comes later is not waited for */
};

/* The first WHOLE are those of everything. */
struct entries {
    struct entry at[ENTRIES + 1];
    size_t replaced; /* the last of the selections that was */
};

void entries_init(struct entries *entries);
void entries_fini(struct entries *entries);

/* Whether the page of one of them, or LOOK, is in this state. */
bool entries_any(const struct entries *entries, enum page_state state);

/* The page of everything in a format and escaping. */
struct entry *entries_whole(struct entries *entries, const struct accepted *accepted);

/* Where the page of a selection, which is taken, is or can be made; NULL: nowhere. */
struct entry *entries_find(struct entries *entries, const struct accepted *accepted,
                           struct selection *selection);

/* The pages of selections were for those who came soon after each other: let go of all that nobody
 * waits for. */
void entries_forget(struct entries *entries);

/* End what was begun with it. */
void entry_stop(struct entry *entry);

#endif
