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
static struct smx__series *walk(const struct smx_segment *segment, const struct asked *a,
                                uint32_t mine)
{
    const struct smx__key key = {a->wanted.hash, a->wanted.size, same_values, a};
    return (struct smx__series *)(void *)smx__registry_walk(segment, &key, mine);
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

static int write_series(struct smx_segment *segment, const struct smx__family *family,
                        const struct asked *w, uint64_t *at)
{
    const uint64_t size = w->wanted.size;
    uint64_t cell;
    int error = smx__allocate(segment, size, 8, at);
    if (error)
        return error;
    SMX__CRASH_POINT("series.allocated");
    error = smx__family_cells(segment, family, smx__family_hist(segment, family), &cell);
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
    series->record = (struct smx__record){
        .hash = w->wanted.hash, .kind = SMX__RECORD_SERIES, .size = (uint32_t)size};
    series->family = w->wanted.family;
    series->cell = cell;
    return 0;
}

static const struct smx__series *overflow(const struct smx_segment *segment,
                                          const struct smx__family *family, enum smx_lost reason)
{
    smx__lose(segment, reason);
    return family->overflow ? smx__at(segment, family->overflow) : NULL;
}

/* Create the series, or find the one that another was faster with. */
static const struct smx__series *create(struct smx_segment *segment, struct smx__family *family,
                                        const struct asked *w)
{
    if (!valid_values(w)) {
        smx__lose(segment, SMX_LOST_INVALID);
        return NULL;
    }
    /* Acquire: pairs with the release below. Who has counted has published before: if the cap was
     * reached by another's making this very series, it is found now. */
    if (__atomic_load_n(&family->n_series, __ATOMIC_ACQUIRE) >= family->max_series) {
        const struct smx__series *made = walk(segment, w, 0);
        return made ? made : overflow(segment, family, SMX_LOST_SERIES_CAP);
    }
    uint64_t at;
    if (write_series(segment, family, w, &at) != 0)
        return overflow(segment, family, SMX_LOST_SPACE);
    SMX__CRASH_POINT("series.complete");
    const struct smx__series *published = walk(segment, w, smx__ref(at));
    SMX__CRASH_POINT("series.published");
    if (!published)
        return overflow(segment, family, SMX_LOST_SPACE);
    /* Counted last, by the winner alone: counting first makes the losers of this race, and whoever
     * is killed in between, use up the cap. So it is passed by one for each thread that is at
     * this point at the same time, at most. */
    if (published == smx__at(segment, at)) {
        __atomic_fetch_add(&family->n_series, 1, __ATOMIC_RELEASE);
        SMX__CRASH_POINT("series.counted");
    }
    return published;
}

/* A series that is hidden, or that nobody has announced yet (its maker may have been killed): make
 * it known. It is visible before it is announced, and announced before it is marked as that:
 * whoever is killed in between leaves the rest to the next one. */
static void show(const struct smx_segment *segment, struct smx__series *series)
{
    uint32_t visible = 0;
    /* Relaxed: readers see it through `published`, which moves with release. */
    __atomic_store_n(&series->state, visible, __ATOMIC_RELAXED);
    SMX__CRASH_POINT("show.visible");
    smx__announce(segment);
    SMX__CRASH_POINT("show.announced");
    /* Release: who finds the mark announces nothing, so it comes last. If the series was hidden
     * again meanwhile, it stays so. */
    (void)__atomic_compare_exchange_n(&series->state, &visible, SMX__ANNOUNCED, false,
                                      __ATOMIC_RELEASE, __ATOMIC_RELAXED);
    SMX__CRASH_POINT("show.marked");
}

const struct smx__series *smx__series_make(smx_family handle, const char *const values[],
                                           enum smx_type type, bool is_double)
{
    struct asked w;
    if (!smx__family_is(handle.record, type, is_double))
        return NULL;
    if (!prepare(handle, values, &w)) {
        smx__lose(handle.segment, SMX_LOST_INVALID);
        return NULL;
    }
    const struct smx__series *series = walk(handle.segment, &w, 0);
    if (!series) {
        int saved = errno;
        series = create(handle.segment, (struct smx__family *)(uintptr_t)handle.record, &w);
        errno = saved;
    }
    if (series && __atomic_load_n(&series->state, __ATOMIC_RELAXED) != SMX__ANNOUNCED)
        show(handle.segment, (struct smx__series *)(uintptr_t)series);
    return series;
}

int smx_series_remove(smx_family handle, const char *const values[])
{
    struct asked w;
    if (!handle.record || !prepare(handle, values, &w))
        return -EINVAL;
    struct smx__series *series = walk(handle.segment, &w, 0);
    if (!series)
        return -ENOENT;
    /* Relaxed: as in show(). */
    __atomic_fetch_or(&series->state, SMX__HIDDEN, __ATOMIC_RELAXED);
    SMX__CRASH_POINT("remove.hidden");
    smx__announce(handle.segment);
    SMX__CRASH_POINT("remove.done");
    return 0;
}
