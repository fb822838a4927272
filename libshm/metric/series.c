/* SPDX-License-Identifier: MIT
 *
 * series.c - creates, shows and hides series, lock-free. Called by with.c for what its hot path did
 * not find.
 */
#include "libshm/metric/series.h"

#include "libshm/crash.h"
#include "libshm/metric/family.h"
#include "libshm/metric/find.h"
#include "libshm/names.h"

#include <errno.h>

/* Compare-and-swap loops give up after this many defeats: each means that another one succeeded. */
enum { MAX_TRIES = 1000 };

/* The values asked for. */
struct asked {
    struct smx__wanted wanted;
    unsigned n;
    const char *const *strings;
};

/* Measure and hash the values; false if they are not as many strings as there are labels, and a
 * NULL. By bytes: with.c's way may have failed for a string that it cannot read by words. */
static bool prepare(smx_family family, const char *const values[], struct asked *out)
{
    static const char *const none[] = {NULL};
    const struct smx__family *record = family.record;
    uint64_t hash = smx__wanted_seed(family), size = 0;
    *out = (struct asked){.n = record->n_labels, .strings = values ? values : none};
    for (unsigned i = 0; i < out->n; i++) {
        if (!out->strings[i])
            return false;
        size += smx__padded(out->strings[i]);
        hash = smx__mix_string(hash, out->strings[i]);
    }
    out->wanted = smx__wanted(family, smx__mixed(hash), size);
    return !out->strings[out->n];
}

static bool same_values(const struct smx__record *record, const void *what)
{
    const struct asked *a = what;
    const char *at = (const char *)record + sizeof(struct smx__series);
    bool same = smx__wanted_shape(&a->wanted, record);
    for (unsigned i = 0; same && i < a->n; i++) {
        /* No further than the record goes, whose size is that of all values. */
        same = strcmp(at, a->strings[i]) == 0;
        at += smx__padded(a->strings[i]);
    }
    return same;
}

/* Walk the chain of the values, as smx__registry_walk() does. */
static struct smx__series *walk(struct smx_segment *segment, const struct asked *a, uint32_t mine,
                                bool *broken)
{
    const struct smx__key key = {a->wanted.hash, a->wanted.size, same_values, a};
    return (struct smx__series *)(void *)smx__registry_walk(segment, &key, mine, broken);
}

static bool valid_values(const struct asked *a)
{
    for (unsigned i = 0; i < a->n; i++) {
        size_t length = strlen(a->strings[i]);
        if (length > SMX_STRING_MAX || !smx__is_utf8(a->strings[i], length))
            return false;
    }
    return true;
}

static int write_series(struct smx_segment *segment, const struct smx__known *known,
                        const struct asked *w, uint64_t *at)
{
    const uint64_t size = w->wanted.size;
    uint64_t cell;
    int error = smx__allocate(segment, size, 8, at);
    if (error)
        return error;
    SMX__CRASH_POINT("series.allocated");
    error = smx__family_cells(segment, &known->family, known->hist, &cell);
    if (error) {
        /* Or else failing lookups would eat what smaller things still fit into. */
        smx__give_back(segment, *at, size);
        return error;
    }
    SMX__CRASH_POINT("series.cells");
    struct smx__series *series = smx__at(segment, *at);
    char *text = (char *)(series + 1);
    for (unsigned i = 0; i < w->n; i++) {
        memcpy(text, w->strings[i], strlen(w->strings[i]));
        text += smx__padded(w->strings[i]);
    }
    SMX__CRASH_POINT("series.values");
    series->record.hash = w->wanted.hash;
    series->record.kind = SMX__RECORD_SERIES;
    series->family = w->wanted.family;
    series->cell = cell;
    smx__record_complete(&series->record, size);
    return 0;
}

static struct smx__series *overflow(struct smx_segment *segment, const struct smx__known *known,
                                    enum smx_lost reason)
{
    uint64_t at = known->family.overflow;
    smx__lose(segment, reason);
    if (at % 8 || !smx__reach(segment, at, sizeof(struct smx__series)))
        return NULL;
    return smx__at(segment, at);
}

/* Why something could not be written. */
static enum smx_lost reason_of(int error)
{
    return error == -EPROTO ? SMX_LOST_DAMAGED : SMX_LOST_SPACE;
}

/* Create the series, or find the one that another was faster with. */
static struct smx__series *create(struct smx_segment *segment, const struct smx__known *known,
                                  const struct asked *w)
{
    struct smx__family *shared = smx__at(segment, known->at);
    bool broken = false;
    /* Acquire: pairs with the release below. Who has counted has published before: if the cap was
     * reached by another's making this very series, it is found now. */
    if (__atomic_load_n(&shared->n_series, __ATOMIC_ACQUIRE) >= known->family.max_series) {
        struct smx__series *made = walk(segment, w, 0, &broken);
        return made ? made : overflow(segment, known, SMX_LOST_SERIES_CAP);
    }
    uint64_t at;
    int error = write_series(segment, known, w, &at);
    if (error)
        return overflow(segment, known, reason_of(error));
    SMX__CRASH_POINT("series.complete");
    struct smx__series *published = walk(segment, w, smx__ref(at), &broken);
    SMX__CRASH_POINT("series.published");
    if (!published)
        return overflow(segment, known, SMX_LOST_DAMAGED);
    /* Counted last, by the winner alone: counting first makes the losers of this race, and whoever
     * is killed in between, use up the cap. So it is passed by one for each thread that is at
     * this point at the same time, or was killed at it, at most. */
    if (published == smx__at(segment, at)) {
        __atomic_fetch_add(&shared->n_series, 1, __ATOMIC_RELEASE);
        SMX__CRASH_POINT("series.counted");
    }
    return published;
}

/* A series that is hidden, or that nobody has announced yet (its maker may have been killed): make
 * it known. It is visible before it is announced, and announced before it is marked as that:
 * whoever is killed in between leaves the rest to the next one. Marked only if it is as it was
 * announced: or else a removal in between, undone by one who is killed then, would go unsaid. */
static void show(const struct smx_segment *segment, struct smx__series *series)
{
    /* Relaxed: readers see it through `published`, which moves with release. */
    uint32_t seen = __atomic_load_n(&series->state, __ATOMIC_RELAXED);
    for (int tries = 0; !smx__is_announced(seen) && tries < MAX_TRIES; tries++) {
        const uint32_t visible = seen & ~SMX__FLAGS;
        if (seen != visible && !__atomic_compare_exchange_n(&series->state, &seen, visible, false,
                                                            __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            continue;
        SMX__CRASH_POINT("show.visible");
        smx__announce(segment);
        SMX__CRASH_POINT("show.announced");
        seen = visible;
        /* Release: who finds the mark announces nothing (invariant 9). */
        if (__atomic_compare_exchange_n(&series->state, &seen, visible | SMX__ANNOUNCED, false,
                                        __ATOMIC_RELEASE, __ATOMIC_RELAXED))
            break;
    }
    SMX__CRASH_POINT("show.marked");
}

static void hide(const struct smx_segment *segment, struct smx__series *series)
{
    uint32_t seen = __atomic_load_n(&series->state, __ATOMIC_RELAXED);
    for (int tries = 0; tries < MAX_TRIES; tries++) {
        uint32_t hidden = (seen & ~SMX__FLAGS) + SMX__REMOVAL + SMX__HIDDEN;
        /* Relaxed: as in show(). */
        if (__atomic_compare_exchange_n(&series->state, &seen, hidden, false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED))
            break;
    }
    SMX__CRASH_POINT("remove.hidden");
    smx__announce(segment);
    SMX__CRASH_POINT("remove.done");
}

/* Find the series, or create it, unless its chain is broken: then every lookup would leave one more
 * record behind. */
static struct smx__series *find_or_create(struct smx_segment *segment,
                                          const struct smx__known *known, const struct asked *w)
{
    bool broken = false;
    struct smx__series *series = walk(segment, w, 0, &broken);
    if (series)
        return series;
    if (!valid_values(w)) {
        smx__lose(segment, SMX_LOST_INVALID);
        return NULL;
    }
    return broken ? overflow(segment, known, SMX_LOST_DAMAGED) : create(segment, known, w);
}

void *smx__series_make(smx_family handle, const char *const values[], enum smx_type type,
                       bool is_double)
{
    struct smx__known *known = smx__known(handle);
    struct asked w;
    if (!smx__family_is(handle.record, type, is_double))
        return NULL;
    if (!prepare(handle, values, &w)) {
        smx__lose(handle.segment, SMX_LOST_INVALID);
        return NULL;
    }
    int saved = errno;
    struct smx__series *series = find_or_create(handle.segment, known, &w);
    errno = saved;
    if (!series)
        return NULL;
    if (!smx__is_announced(__atomic_load_n(&series->state, __ATOMIC_RELAXED)))
        show(handle.segment, series);
    void *cell = smx__known_cell(handle.segment, known, smx__series_cell(series));
    if (!cell)
        smx__lose(handle.segment, SMX_LOST_DAMAGED);
    return cell;
}

int smx_series_remove(smx_family handle, const char *const values[])
{
    struct asked w;
    if (!handle.record || !prepare(handle, values, &w))
        return -EINVAL;
    bool broken = false;
    struct smx__series *series = walk(handle.segment, &w, 0, &broken);
    if (!series)
        return -ENOENT;
    hide(handle.segment, series);
    return 0;
}
