/* SPDX-License-Identifier: MIT
 *
 * with.c - handles: of a family's series by label values, of a metric without labels. Finding a
 * series that is there is a hot path: it writes nothing and calls nothing; all else is series.c's.
 * Each type has its tail call, so that the way of a hit saves no registers for it.
 */
#include "libshm/diag.h"
#include "libshm/metric/family.h"
#include "libshm/metric/find.h"
#include "libshm/metric/series.h"

#include <errno.h>

struct key {
    struct smx__wanted wanted;
    struct smx__words words;
};

static inline bool same_words(const struct smx__record *record, const void *what)
{
    const struct smx__series *series = (const struct smx__series *)(const void *)record;
    const struct key *k = what;
    return smx__wanted_shape(&k->wanted, record) &&
           smx__words_same(&k->words, (const uint64_t *)(series + 1));
}

/* The series of these values if it is there, shown, and found at once; or NULL. */
SMX__HOT const struct smx__series *find(smx_family family, const char *const values[],
                                        enum smx_type type, bool is_double)
{
    const struct smx__family *record = family.record;
    struct key key;
    if (!smx__family_is(record, type, is_double) || !values || !family.segment->by_words)
        return NULL;
    const unsigned n = record->n_labels;
    if (n > SMX_LABELS_MAX || !smx__words_of(&key.words, smx__wanted_seed(family), values, n) ||
        values[n])
        return NULL;
    key.wanted = smx__wanted(family, key.words.hash, key.words.n * sizeof(uint64_t));
    const struct smx__key wanted = {key.words.hash, key.wanted.size, same_words, &key};
    const struct smx__series *series =
        (const struct smx__series *)(const void *)smx__registry_walk(family.segment, &wanted, 0);
    if (!series || __atomic_load_n(&series->state, __ATOMIC_RELAXED) != SMX__ANNOUNCED)
        return NULL;
    return series;
}

static inline smx_counter counter_of(smx_family family, const struct smx__series *series)
{
    const struct smx_segment *segment = family.segment;
    return (smx_counter){smx__at(segment, series->cell), segment->rows, segment->counter_mask};
}

__attribute__((noinline)) static smx_counter counter_made(smx_family family,
                                                          const char *const values[])
{
    const struct smx__series *series = smx__series_make(family, values, SMX_COUNTER, false);
    return series ? counter_of(family, series) : (smx_counter){NULL, 0, 0};
}

smx_counter smx_counter_with(smx_family family, const char *const values[])
{
    const struct smx__series *series = find(family, values, SMX_COUNTER, false);
    return __builtin_expect(series != NULL, 1) ? counter_of(family, series)
                                               : counter_made(family, values);
}

/* Whose value a gauge cell is: this process', or everybody's. */
static const struct smx_proc *proc_of(smx_family family)
{
    const struct smx__family *record = family.record;
    return record->mode == SMX_LAST ? smx__process_shared() : family.segment->proc;
}

static inline smx_gauge gauge_of(smx_family family, const struct smx__series *series)
{
    return (smx_gauge){smx__at(family.segment, series->cell), proc_of(family)};
}

__attribute__((noinline)) static smx_gauge gauge_made(smx_family family, const char *const values[])
{
    const struct smx__series *series = smx__series_make(family, values, SMX_GAUGE, false);
    return series ? gauge_of(family, series) : (smx_gauge){NULL, NULL};
}

smx_gauge smx_gauge_with(smx_family family, const char *const values[])
{
    const struct smx__series *series = find(family, values, SMX_GAUGE, false);
    return __builtin_expect(series != NULL, 1) ? gauge_of(family, series)
                                               : gauge_made(family, values);
}

static inline smx_fgauge fgauge_of(smx_family family, const struct smx__series *series)
{
    return (smx_fgauge){smx__at(family.segment, series->cell), proc_of(family)};
}

__attribute__((noinline)) static smx_fgauge fgauge_made(smx_family family,
                                                        const char *const values[])
{
    const struct smx__series *series = smx__series_make(family, values, SMX_GAUGE, true);
    return series ? fgauge_of(family, series) : (smx_fgauge){NULL, NULL};
}

smx_fgauge smx_fgauge_with(smx_family family, const char *const values[])
{
    const struct smx__series *series = find(family, values, SMX_GAUGE, true);
    return __builtin_expect(series != NULL, 1) ? fgauge_of(family, series)
                                               : fgauge_made(family, values);
}

static inline smx_histogram histogram_of(smx_family family, const struct smx__series *series)
{
    return (smx_histogram){smx__at(family.segment, series->cell),
                           smx__family_hist(family.segment, family.record)};
}

__attribute__((noinline)) static smx_histogram histogram_made(smx_family family,
                                                              const char *const values[])
{
    const struct smx__series *series = smx__series_make(family, values, SMX_HISTOGRAM, false);
    return series ? histogram_of(family, series) : (smx_histogram){NULL, NULL};
}

smx_histogram smx_histogram_with(smx_family family, const char *const values[])
{
    const struct smx__series *series = find(family, values, SMX_HISTOGRAM, false);
    return __builtin_expect(series != NULL, 1) ? histogram_of(family, series)
                                               : histogram_made(family, values);
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

smx_counter smx_counter_new(smx_segment *segment, const struct smx_metric *metric,
                            struct smx_diag *diag)
{
    if (!plain(segment, metric, diag))
        return (smx_counter){NULL, 0, 0};
    return smx_counter_with(smx_counter_family(segment, metric, diag), (const char *const[]){NULL});
}

smx_gauge smx_gauge_new(smx_segment *segment, const struct smx_metric *metric,
                        struct smx_diag *diag)
{
    if (!plain(segment, metric, diag))
        return (smx_gauge){NULL, NULL};
    return smx_gauge_with(smx_gauge_family(segment, metric, diag), (const char *const[]){NULL});
}

smx_fgauge smx_fgauge_new(smx_segment *segment, const struct smx_metric *metric,
                          struct smx_diag *diag)
{
    if (!plain(segment, metric, diag))
        return (smx_fgauge){NULL, NULL};
    return smx_fgauge_with(smx_fgauge_family(segment, metric, diag), (const char *const[]){NULL});
}

smx_histogram smx_histogram_new(smx_segment *segment, const struct smx_metric *metric,
                                struct smx_diag *diag)
{
    if (!plain(segment, metric, diag))
        return (smx_histogram){NULL, NULL};
    return smx_histogram_with(smx_histogram_family(segment, metric, diag),
                              (const char *const[]){NULL});
}
