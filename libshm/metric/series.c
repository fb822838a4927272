/* SPDX-License-Identifier: MIT
 *
 * series.c - finds and creates series. The way of a lookup that hits is a hot path: hash the label
 * values, walk a chain, compare; it writes nothing and, while values are shorter than eight bytes,
 * calls nothing.
 */
#include "libshm/diag.h"
#include "libshm/metric/family.h"
#include "libshm/names.h"
#include "libshm/metric/registry.h"
#include "libshm/metric/value.h"

#include <errno.h>

/* The parts of a lookup become one function, which knows its type and whom to compare with. */
#define HOT __attribute__((always_inline)) static inline

/* The values asked for. */
struct wanted {
    uint32_t family; /* ref */
    uint32_t hash;
    unsigned n;
    const char *const *strings;
    struct smx__value value[SMX_LABELS_MAX];
};

static inline bool same_values(const struct smx__record *record, const void *what)
{
    const struct smx__series *series = (const struct smx__series *)(const void *)record;
    const struct wanted *w = what;
    if (series->family != w->family)
        return false;
    const char *at = (const char *)(series + 1);
    for (unsigned i = 0; i < w->n; i++) {
        uint16_t length;
        memcpy(&length, at, sizeof length);
        at += sizeof length;
        if (length != w->value[i].length || !smx__has_value(at, w->strings[i], &w->value[i]))
            return false;
        at += length;
    }
    return true;
}

/* Walk the chain of the values, as smx__registry_walk() does. */
HOT struct smx__series *walk(const struct smx_segment *segment, const struct wanted *w,
                             uint32_t mine)
{
    const struct smx__key key = {
        .hash = w->hash, .kind = SMX__RECORD_SERIES, .same = same_values, .what = w};
    return (struct smx__series *)(void *)smx__registry_walk(segment, &key, mine);
}

/* Measure and hash the values; false if they are not n strings and a NULL. */
HOT bool prepare(const struct smx_segment *segment, const struct smx__family *family,
                 const char *const values[], struct wanted *w)
{
    const uint32_t limit = smx__word_limit();
    w->family = smx__ref((uint64_t)((const char *)family - (const char *)segment->header));
    w->strings = values;
    w->n = family->n_labels;
    uint64_t h = segment->header->hash_seed ^ (uint64_t)w->family * UINT64_C(0x9e3779b97f4a7c15);
    for (unsigned i = 0; i < w->n; i++) {
        if (!values || !values[i])
            return false;
        h = smx__hash(h, values[i], limit, &w->value[i]);
    }
    w->hash = (uint32_t)(h ^ h >> 32);
    return !values || !values[w->n];
}

static bool valid_values(const struct wanted *w)
{
    for (unsigned i = 0; i < w->n; i++)
        if (w->value[i].length > SMX_STRING_MAX || !smx__is_utf8(w->strings[i], w->value[i].length))
            return false;
    return true;
}

static int write_series(struct smx_segment *segment, const struct smx__family *family,
                        const struct wanted *w, uint64_t *at)
{
    uint64_t size = sizeof(struct smx__series);
    for (unsigned i = 0; i < w->n; i++)
        size += 2 + w->value[i].length;
    size = (size + 7) & ~UINT64_C(7);
    uint64_t cell;
    int error = smx__allocate(segment, size, 8, at);
    if (error)
        return error;
    error = smx__family_cells(segment, family, &cell);
    if (error) {
        /* Or else failing lookups would eat what smaller things still fit into. */
        smx__give_back(segment, *at, size);
        return error;
    }
    struct smx__series *series = smx__at(segment, *at);
    char *text = (char *)(series + 1);
    for (unsigned i = 0; i < w->n; i++) {
        uint16_t length = (uint16_t)w->value[i].length;
        memcpy(text, &length, sizeof length);
        memcpy(text + 2, w->strings[i], length);
        text += 2 + length;
    }
    series->record =
        (struct smx__record){.hash = w->hash, .kind = SMX__RECORD_SERIES, .size = (uint32_t)size};
    series->family = w->family;
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
                                        const struct wanted *w)
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
    const struct smx__series *published = walk(segment, w, smx__ref(at));
    if (!published)
        return overflow(segment, family, SMX_LOST_SPACE);
    /* Counted last, by the winner alone: counting first makes the losers of this race, and whoever
     * is killed in between, use up the cap. So it is passed by one for each thread that is at
     * this point at the same time, at most. */
    if (published == smx__at(segment, at))
        __atomic_fetch_add(&family->n_series, 1, __ATOMIC_RELEASE);
    return published;
}

/* A series that is hidden, or that nobody has announced yet (its maker may have been killed):
 * make it known. */
static void show(const struct smx_segment *segment, struct smx__series *series)
{
    /* Relaxed: readers see it through `published`, which moves with release. Announce first: if we
     * are killed before the store, the next one announces once more. */
    smx__announce(segment);
    __atomic_store_n(&series->state, SMX__ANNOUNCED, __ATOMIC_RELAXED);
    smx__announce(segment);
}

/* What a lookup has left to do that did not find a series, or one that is not shown. */
__attribute__((noinline)) static const struct smx__series *make(struct smx_segment *segment,
                                                                const struct smx__family *family,
                                                                const struct wanted *w,
                                                                struct smx__series *series)
{
    const struct smx__series *made = series;
    if (!series) {
        int saved = errno;
        made = create(segment, (struct smx__family *)(uintptr_t)family, w);
        errno = saved;
    }
    if (made && __atomic_load_n(&made->state, __ATOMIC_RELAXED) != SMX__ANNOUNCED)
        show(segment, (struct smx__series *)(uintptr_t)made);
    return made;
}

/* The series of these values in a family of this type, or NULL. */
HOT const struct smx__series *series_with(smx_segment *segment, const struct smx__family *family,
                                          const char *const values[], enum smx_type type,
                                          bool is_double)
{
    struct wanted w;
    if (!family || family->type != type || family->is_double != is_double)
        return NULL;
    if (!prepare(segment, family, values, &w)) {
        smx__lose(segment, SMX_LOST_INVALID);
        return NULL;
    }
    struct smx__series *series = walk(segment, &w, 0);
    if (series && __atomic_load_n(&series->state, __ATOMIC_RELAXED) == SMX__ANNOUNCED)
        return series;
    return make(segment, family, &w, series);
}

int smx_series_remove(smx_family handle, const char *const values[])
{
    const struct smx__family *family = handle.record;
    struct wanted w;
    if (!family || !prepare(handle.segment, family, values, &w))
        return -EINVAL;
    struct smx__series *series = walk(handle.segment, &w, 0);
    if (!series)
        return -ENOENT;
    /* Relaxed: as in show(). */
    __atomic_fetch_or(&series->state, SMX__HIDDEN, __ATOMIC_RELAXED);
    smx__announce(handle.segment);
    return 0;
}

smx_counter smx_counter_with(smx_family family, const char *const values[])
{
    const struct smx__series *series =
        series_with(family.segment, family.record, values, SMX_COUNTER, false);
    if (!series)
        return (smx_counter){NULL, 0, 0};
    const struct smx__header *h = family.segment->header;
    return (smx_counter){smx__at(family.segment, series->cell), h->rows, h->counter_stripes - 1u};
}

/* Whose value a gauge cell is: this process', or everybody's. */
static const struct smx_proc *proc_of(smx_family family)
{
    const struct smx__family *record = family.record;
    return record->mode == SMX_LAST ? smx__process_shared() : family.segment->proc;
}

smx_gauge smx_gauge_with(smx_family family, const char *const values[])
{
    const struct smx__series *series =
        series_with(family.segment, family.record, values, SMX_GAUGE, false);
    if (!series)
        return (smx_gauge){NULL, NULL};
    return (smx_gauge){smx__at(family.segment, series->cell), proc_of(family)};
}

smx_fgauge smx_fgauge_with(smx_family family, const char *const values[])
{
    const struct smx__series *series =
        series_with(family.segment, family.record, values, SMX_GAUGE, true);
    if (!series)
        return (smx_fgauge){NULL, NULL};
    return (smx_fgauge){smx__at(family.segment, series->cell), proc_of(family)};
}

smx_histogram smx_histogram_with(smx_family family, const char *const values[])
{
    const struct smx__series *series =
        series_with(family.segment, family.record, values, SMX_HISTOGRAM, false);
    if (!series)
        return (smx_histogram){NULL, NULL};
    return (smx_histogram){smx__at(family.segment, series->cell),
                           smx__family_hist(family.segment, family.record)};
}

/* A metric without labels: a description that has some is refused. */
static bool plain(smx_segment *segment, const struct smx_metric *metric, struct smx_diag *diag)
{
    if (!metric || !metric->labels[0])
        return true;
    if (segment)
        smx__lose(segment, SMX_LOST_INVALID);
    (void)smx__fail(diag, -EINVAL, "metric %.100s: has labels; register the family and use _with()",
                    metric->name ? metric->name : "");
    return false;
}

static const char *const no_values[] = {NULL};

smx_counter smx_counter_new(smx_segment *segment, const struct smx_metric *metric,
                            struct smx_diag *diag)
{
    if (!plain(segment, metric, diag))
        return (smx_counter){NULL, 0, 0};
    return smx_counter_with(smx_counter_family(segment, metric, diag), no_values);
}

smx_gauge smx_gauge_new(smx_segment *segment, const struct smx_metric *metric,
                        struct smx_diag *diag)
{
    if (!plain(segment, metric, diag))
        return (smx_gauge){NULL, NULL};
    return smx_gauge_with(smx_gauge_family(segment, metric, diag), no_values);
}

smx_fgauge smx_fgauge_new(smx_segment *segment, const struct smx_metric *metric,
                          struct smx_diag *diag)
{
    if (!plain(segment, metric, diag))
        return (smx_fgauge){NULL, NULL};
    return smx_fgauge_with(smx_fgauge_family(segment, metric, diag), no_values);
}

smx_histogram smx_histogram_new(smx_segment *segment, const struct smx_metric *metric,
                                struct smx_diag *diag)
{
    if (!plain(segment, metric, diag))
        return (smx_histogram){NULL, NULL};
    return smx_histogram_with(smx_histogram_family(segment, metric, diag), no_values);
}
