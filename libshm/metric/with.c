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

/* The cell of the series of these values if that is there, shown, and found at once; or NULL. */
SMX__HOT void *find(smx_family family, const char *const values[], enum smx_type type,
                    bool is_double)
{
    const struct smx__known *known = smx__known(family);
    struct key key;
    if (!smx__family_is(family.record, type, is_double) || !values || !family.segment->by_words)
        return NULL;
    const unsigned n = known->family.n_labels;
    if (!smx__words_of(&key.words, smx__wanted_seed(family), values, n) || values[n])
        return NULL;
    key.wanted = smx__wanted(family, key.words.hash, key.words.n * sizeof(uint64_t));
    const struct smx__key wanted = {key.words.hash, key.wanted.size, same_words, &key};
    const struct smx__series *series = (const struct smx__series *)(const void *)smx__registry_walk(
        family.segment, &wanted, 0, NULL);
    if (!series || !smx__is_announced(__atomic_load_n(&series->state, __ATOMIC_RELAXED)))
        return NULL;
    uint64_t cell = smx__series_cell(series);
    if (__builtin_expect(smx__cell_number(cell, type) >=
                             __atomic_load_n(&known->cell_limit, __ATOMIC_RELAXED),
                         0))
        return NULL;
    return smx__at(family.segment, cell);
}

static inline smx_counter counter_of(smx_family family, void *cell)
{
    const struct smx_segment *segment = family.segment;
    return (smx_counter){cell, segment->rows, segment->counter_mask};
}

__attribute__((noinline)) static smx_counter counter_made(smx_family family,
                                                          const char *const values[])
{
    void *cell = smx__series_make(family, values, SMX_COUNTER, false);
    return cell ? counter_of(family, cell) : (smx_counter){NULL, 0, 0};
}

smx_counter smx_counter_with(smx_family family, const char *const values[])
{
    void *cell = find(family, values, SMX_COUNTER, false);
    return __builtin_expect(cell != NULL, 1) ? counter_of(family, cell)
                                             : counter_made(family, values);
}

/* Whose value a gauge cell is: this process', or everybody's. */
static const struct smx_proc *proc_of(smx_family family)
{
    const struct smx__family *record = family.record;
    return record->mode == SMX_LAST ? smx__process_shared() : family.segment->proc;
}

static inline smx_gauge gauge_of(smx_family family, void *cell)
{
    return (smx_gauge){cell, proc_of(family)};
}

__attribute__((noinline)) static smx_gauge gauge_made(smx_family family, const char *const values[])
{
    void *cell = smx__series_make(family, values, SMX_GAUGE, false);
    return cell ? gauge_of(family, cell) : (smx_gauge){NULL, NULL};
}

smx_gauge smx_gauge_with(smx_family family, const char *const values[])
{
    void *cell = find(family, values, SMX_GAUGE, false);
    return __builtin_expect(cell != NULL, 1) ? gauge_of(family, cell) : gauge_made(family, values);
}

static inline smx_fgauge fgauge_of(smx_family family, void *cell)
{
    return (smx_fgauge){cell, proc_of(family)};
}

__attribute__((noinline)) static smx_fgauge fgauge_made(smx_family family,
                                                        const char *const values[])
{
    void *cell = smx__series_make(family, values, SMX_GAUGE, true);
    return cell ? fgauge_of(family, cell) : (smx_fgauge){NULL, NULL};
}

smx_fgauge smx_fgauge_with(smx_family family, const char *const values[])
{
    void *cell = find(family, values, SMX_GAUGE, true);
    return __builtin_expect(cell != NULL, 1) ? fgauge_of(family, cell)
                                             : fgauge_made(family, values);
}

static inline smx_histogram histogram_of(smx_family family, void *cell)
{
    return (smx_histogram){cell, smx__known(family)->hist};
}

__attribute__((noinline)) static smx_histogram histogram_made(smx_family family,
                                                              const char *const values[])
{
    void *cell = smx__series_make(family, values, SMX_HISTOGRAM, false);
    return cell ? histogram_of(family, cell) : (smx_histogram){NULL, NULL};
}

smx_histogram smx_histogram_with(smx_family family, const char *const values[])
{
    void *cell = find(family, values, SMX_HISTOGRAM, false);
    return __builtin_expect(cell != NULL, 1) ? histogram_of(family, cell)
                                             : histogram_made(family, values);
}

static smx_stateset stateset_of(smx_family family, void *cell)
{
    return (smx_stateset){{cell, proc_of(family)}};
}

smx_stateset smx_stateset_with(smx_family family, const char *const values[])
{
    void *cell = find(family, values, SMX_STATESET, false);
    if (!cell)
        cell = smx__series_make(family, values, SMX_STATESET, false);
    return cell ? stateset_of(family, cell) : (smx_stateset){{NULL, NULL}};
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

smx_stateset smx_stateset_new(smx_segment *segment, const struct smx_metric *metric,
                              struct smx_diag *diag)
{
    if (!plain(segment, metric, diag))
        return (smx_stateset){{NULL, NULL}};
    return smx_stateset_with(smx_stateset_family(segment, metric, diag),
                             (const char *const[]){NULL});
}

smx_family smx_info(smx_segment *segment, const struct smx_metric *metric,
                    const char *const values[], struct smx_diag *diag)
{
    smx_family family = smx_info_family(segment, metric, diag);
    if (!family.record)
        return family;
    void *cell = smx__series_make(family, values, SMX_INFO, false);
    if (cell) {
        smx_gauge_set(gauge_of(family, cell), 1);
        return family;
    }
    (void)smx__fail(diag, -EINVAL, "metric %.100s: no series of these label values", metric->name);
    return (smx_family){NULL, NULL};
}
