/* SPDX-License-Identifier: MIT
 *
 * family.c - registers families: writes a checked draft into the segment and publishes it, or finds
 * the one that is there and compares. Rules are draft.c's, chains registry.h's.
 */
#include "libshm/metric/family.h"

#include "libshm/crash.h"
#include "libshm/metric/bounds.h"
#include "libshm/diag.h"
#include "libshm/metric/draft.h"
#include "libshm/names.h"
#include "libshm/metric/registry.h"
#include "libshm/metric/value.h"

#include <errno.h>

static bool same_name(const struct smx__record *record, const void *what)
{
    const struct smx__family *family = (const struct smx__family *)(const void *)record;
    const struct smx__draft *d = what;
    return record->kind == SMX__RECORD_FAMILY && family->name_len == d->family.name_len &&
           memcmp(family + 1, d->name, family->name_len) == 0;
}

int smx__family_cells(struct smx_segment *segment, const struct smx__family *family,
                      const struct smx_hist *hist, uint64_t *at)
{
    switch (family->type) {
    case SMX_COUNTER:
        return smx__allocate_cell(segment, SMX__CELLS_COUNTER, at);
    case SMX_GAUGE:
        return smx__allocate_cell(
            segment, family->mode == SMX_LAST ? SMX__CELLS_LAST : SMX__CELLS_GAUGE, at);
    default:
        return smx__allocate_histogram(segment, hist, at);
    }
}

/* The texts behind a family's record. Returns their bytes; writes them if `to` is not NULL. */
static size_t pack(const struct smx__draft *d, char *to)
{
    size_t at = 0;
#define PUT(from, n) (to ? (void)memcpy(to + at, (from), (n)) : (void)0, at += (n))
    PUT(d->name, d->family.name_len);
    PUT(d->unit, d->family.unit_len);
    PUT(d->help, d->family.help_len);
    for (unsigned i = 0; i < d->family.n_labels; i++) {
        uint16_t length = (uint16_t)strlen(d->metric->labels[i]);
        PUT(&length, sizeof length);
        PUT(d->metric->labels[i], length);
    }
#undef PUT
    return at;
}

static bool same_labels(const struct smx__family *family, const struct smx__draft *d)
{
    const char *at =
        (const char *)(family + 1) + family->name_len + family->unit_len + family->help_len;
    for (unsigned i = 0; i < family->n_labels; i++) {
        uint16_t length;
        memcpy(&length, at, sizeof length);
        if (length != strlen(d->metric->labels[i]) ||
            memcmp(at + 2, d->metric->labels[i], length) != 0)
            return false;
        at += 2 + length;
    }
    return true;
}

/* The first thing in which a draft contradicts a family, NULL if nothing. Help may differ. */
static const char *contradiction(const struct smx_segment *segment,
                                 const struct smx__family *family, const struct smx__draft *d)
{
    const struct smx__family *f = &d->family;
    if (family->type != f->type || family->is_double != f->is_double)
        return "type";
    if (family->unit_len != f->unit_len ||
        memcmp((const char *)(family + 1) + family->name_len, d->unit, f->unit_len) != 0)
        return "unit";
    if (family->n_labels != f->n_labels || !same_labels(family, d))
        return "label names";
    if (family->mode != f->mode)
        return "mode";
    if (family->digits != f->digits)
        return "digits";
    if (family->type != SMX_HISTOGRAM)
        return NULL;
    if (family->exponential != f->exponential || family->schema != f->schema ||
        family->first_index != f->first_index || family->n_bounds != f->n_bounds ||
        smx__family_hist(segment, family)->n_buckets != d->n_buckets ||
        (f->n_bounds && memcmp(smx__at(segment, family->hist_bounds), d->metric->bounds,
                               f->n_bounds * sizeof(double)) != 0))
        return "buckets";
    return NULL;
}

/* The fields of a descriptor that follow from the draft and the segment; not yet its index. */
static void plan_hist(const struct smx_segment *segment, const struct smx__draft *d,
                      struct smx_hist *hist)
{
    const struct smx__header *h = segment->header;
    uint64_t row = (SMX_HIST_BUCKETS + (uint64_t)d->n_buckets) * sizeof(uint64_t);
    uint64_t stride = 128;
    while (stride < row)
        stride *= 2;
    unsigned digits = d->family.digits;
    bool seconds = strcmp(d->unit, "seconds") == 0;
    *hist = (struct smx_hist){
        .rows = h->rows,
        .mask = h->hist_stripes - 1u,
        .stride = (uint32_t)stride,
        .n_buckets = d->n_buckets,
        .digits = digits,
        .ns_per_tick = seconds ? smx__power_of_ten(9 - digits) : 1,
    };
}

/* Explicit bounds may lie close together: the fewest bits that tell them apart, or no index. */
static void index_explicit(const struct smx__draft *d, struct smx_hist *hist)
{
    uint64_t threshold[SMX_BOUNDS_MAX + 1] = {0};
    for (uint32_t i = 0; i < d->n_buckets; i++)
        threshold[i] = smx__draft_threshold(d, i);
    for (unsigned bits = 2; bits <= 8; bits++) {
        smx__hist_plan(hist, threshold[d->n_buckets - 2], bits);
        if (smx__hist_serves(hist, threshold))
            return;
    }
    smx__hist_plan(hist, 0, 8);
}

/* With schema + 1 bits a key is narrower than a bucket. */
static void index_exponential(const struct smx__draft *d, struct smx_hist *hist)
{
    unsigned bits = d->family.schema > 0 ? (unsigned)d->family.schema + 1 : 1;
    smx__hist_plan(hist, smx__draft_threshold(d, d->n_buckets - 2), bits);
}

static void index_hist(const struct smx__draft *d, struct smx_hist *hist)
{
    if (d->family.exponential)
        index_exponential(d, hist);
    else
        index_explicit(d, hist);
}

/* What a family takes of the segment, one behind the other; and its overflow series' cells. */
struct parts {
    struct smx_hist plan; /* histograms */
    uint64_t hist, bounds, record, overflow;
    uint64_t size;
    uint64_t cell;
};

static void plan_parts(const struct smx_segment *segment, const struct smx__draft *d,
                       struct parts *p)
{
    *p = (struct parts){0};
    if (d->family.type == SMX_HISTOGRAM) {
        plan_hist(segment, d, &p->plan);
        index_hist(d, &p->plan);
        p->bounds = (smx__hist_size(&p->plan) + 7) & ~UINT64_C(7);
        p->record = p->bounds + d->family.n_bounds * sizeof(double);
    }
    p->overflow = (p->record + sizeof(struct smx__family) + pack(d, NULL) + 7) & ~UINT64_C(7);
    p->size = p->overflow + (d->family.n_labels ? sizeof(struct smx__series) : 0);
}

/* All or nothing, and before anything is written: or else a server that tries again and again while
 * there is no room would use up what is left. */
static int allocate_parts(struct smx_segment *segment, const struct smx__draft *d, struct parts *p)
{
    uint64_t at;
    int error = smx__allocate(segment, p->size, d->family.type == SMX_HISTOGRAM ? 64 : 8, &at);
    if (error)
        return error;
    if (d->family.n_labels)
        error = smx__family_cells(segment, &d->family, &p->plan, &p->cell);
    if (error)
        smx__give_back(segment, at, p->size);
    p->hist += at;
    p->bounds += at;
    p->record += at;
    p->overflow += at;
    return error;
}

/* Write the descriptor of a histogram draft, and its explicit bounds. */
static void write_hist(struct smx_segment *segment, struct smx__draft *d, const struct parts *p)
{
    struct smx_hist *hist = smx__at(segment, p->hist);
    *hist = p->plan;
    SMX__CRASH_POINT("hist.planned");
    for (uint32_t i = 0; i < hist->n_buckets; i++)
        smx__thresholds(hist)[i] = smx__draft_threshold(d, i);
    SMX__CRASH_POINT("hist.thresholds");
    smx__hist_fill(hist);
    SMX__CRASH_POINT("hist.filled");
    d->family.hist = p->hist;
    if (d->family.n_bounds) {
        d->family.hist_bounds = p->bounds;
        memcpy(smx__at(segment, p->bounds), d->metric->bounds, d->family.n_bounds * sizeof(double));
    }
}

/* The series that takes the updates past the cap; made with the family, so that it is there when
 * nothing else fits any more. Announced only when it is first asked for, and with it the family,
 * whose maker may have been killed before it did. */
static void write_overflow(struct smx_segment *segment, struct smx__draft *d, const struct parts *p)
{
    struct smx__series *series = smx__at(segment, p->overflow);
    series->record.kind = SMX__RECORD_SERIES;
    series->record.size = sizeof *series;
    series->family = smx__ref(p->record);
    series->cell = p->cell;
    SMX__CRASH_POINT("overflow.filled");
    d->family.overflow = p->overflow;
}

static int write_family(struct smx_segment *segment, struct smx__draft *d, uint32_t hash,
                        uint64_t *at)
{
    struct parts p;
    plan_parts(segment, d, &p);
    int error = allocate_parts(segment, d, &p);
    if (error)
        return error;
    SMX__CRASH_POINT("family.allocated");
    if (d->family.type == SMX_HISTOGRAM)
        write_hist(segment, d, &p);
    if (d->family.n_labels)
        write_overflow(segment, d, &p);
    struct smx__family *family = smx__at(segment, p.record);
    *family = d->family;
    SMX__CRASH_POINT("family.fields");
    family->record = (struct smx__record){
        .hash = hash, .kind = SMX__RECORD_FAMILY, .size = (uint32_t)(p.overflow - p.record)};
    if (!family->max_series)
        family->max_series = segment->header->max_series;
    pack(d, (char *)(family + 1));
    SMX__CRASH_POINT("family.texts");
    *at = p.record;
    return 0;
}

/* Find the draft's family, or publish it. */
static int enter(struct smx_segment *segment, struct smx__draft *d, const struct smx__family **out,
                 struct smx_diag *diag)
{
    struct smx__key key = {
        .hash = smx__mixed(smx__mix_string(segment->seed, d->name)),
        .size = sizeof(struct smx__family) + d->family.name_len,
        .same = same_name,
        .what = d,
    };
    struct smx__record *found = smx__registry_walk(segment, &key, 0);
    uint64_t at;
    if (!found) {
        int error = write_family(segment, d, key.hash, &at);
        if (error) {
            smx__lose(segment, SMX_LOST_SPACE);
            return smx__fail(diag, error, "metric %.100s: no room in %.100s: %s", d->name,
                             segment->path, smx_strerror(error));
        }
        SMX__CRASH_POINT("family.complete");
        found = smx__registry_walk(segment, &key, smx__ref(at));
        SMX__CRASH_POINT("family.published");
        smx__announce(segment);
        SMX__CRASH_POINT("family.announced");
    }
    if (!found)
        return smx__fail(diag, -EPROTO, "metric %.100s: the registry of %.100s is damaged", d->name,
                         segment->path);
    const struct smx__family *family = (const struct smx__family *)(const void *)found;
    const char *wrong = contradiction(segment, family, d);
    if (wrong) {
        smx__lose(segment, SMX_LOST_CONFLICT);
        return smx__fail(diag, -EEXIST, "metric %.100s: registered before with another %s", d->name,
                         wrong);
    }
    *out = family;
    return 0;
}

/* A label that the segment gives to every series would stand twice in each line. */
static int check_constant(const struct smx_segment *segment, const struct smx__draft *d,
                          struct smx_diag *diag)
{
    const struct smx__header *h = segment->header;
    size_t length = h->labels_len < sizeof h->labels ? h->labels_len : sizeof h->labels;
    for (unsigned i = 0; i < d->family.n_labels; i++)
        if (smx__has_label(h->labels, length, d->metric->labels[i]))
            return smx__fail(diag, -EINVAL,
                             "metric %.100s: label \"%.64s\" is a constant label of the segment",
                             d->name, d->metric->labels[i]);
    return 0;
}

static smx_family register_family(smx_segment *segment, const struct smx_metric *metric,
                                  enum smx_type type, bool is_double, struct smx_diag *diag)
{
    int saved = errno;
    struct smx__draft draft;
    const struct smx__family *family = NULL;
    if (!segment) {
        (void)smx__fail(diag, -ENOENT, "metric %.100s: there is no segment",
                        metric && metric->name ? metric->name : "");
        return (smx_family){NULL, NULL};
    }
    int error = smx__draft(metric, type, is_double, segment->prefix, &draft, diag);
    if (!error)
        error = check_constant(segment, &draft, diag);
    if (error)
        smx__lose(segment, SMX_LOST_INVALID);
    else
        error = enter(segment, &draft, &family, diag);
    errno = saved;
    return error ? (smx_family){NULL, NULL} : (smx_family){segment, family};
}

smx_family smx_counter_family(smx_segment *segment, const struct smx_metric *metric,
                              struct smx_diag *diag)
{
    return register_family(segment, metric, SMX_COUNTER, false, diag);
}

smx_family smx_gauge_family(smx_segment *segment, const struct smx_metric *metric,
                            struct smx_diag *diag)
{
    return register_family(segment, metric, SMX_GAUGE, false, diag);
}

smx_family smx_fgauge_family(smx_segment *segment, const struct smx_metric *metric,
                             struct smx_diag *diag)
{
    return register_family(segment, metric, SMX_GAUGE, true, diag);
}

smx_family smx_histogram_family(smx_segment *segment, const struct smx_metric *metric,
                                struct smx_diag *diag)
{
    return register_family(segment, metric, SMX_HISTOGRAM, false, diag);
}
