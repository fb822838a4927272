/* SPDX-License-Identifier: MIT
 *
 * family.c - registers families: writes a checked draft into the segment and publishes it, or finds
 * the one that is there and compares. Rules are draft.c's, chains registry.h's; what the process
 * then works with is known.c's.
 */
#include "libshm/metric/family.h"

#include "libshm/crash.h"
#include "libshm/metric/bounds.h"
#include "libshm/diag.h"
#include "libshm/metric/known.h"
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
    case SMX_INFO:
    case SMX_STATESET:
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
    for (unsigned i = 0; i < smx__draft_n_counted(d); i++) {
        const char *text = smx__draft_counted(d, i);
        uint16_t length = (uint16_t)strlen(text);
        PUT(&length, sizeof length);
        PUT(text, length);
    }
#undef PUT
    return at;
}

/* A family's record that was found: a copy of its fields, and its texts in the segment. They may
 * change under us, but not where they end. */
struct found {
    struct smx__family family;
    const char *texts;
    uint64_t size; /* of the texts */
};

/* Take n bytes off the front of the texts; NULL if there are less. */
static const char *take(struct found *f, uint64_t n)
{
    if (n > f->size)
        return NULL;
    const char *at = f->texts;
    f->texts += n;
    f->size -= n;
    return at;
}

static bool takes(struct found *f, const char *wanted, uint64_t n)
{
    const char *at = take(f, n);
    return at && memcmp(at, wanted, n) == 0;
}

/* Whether the counted strings from the first up to the last are the draft's. */
static bool same_counted(struct found *f, const struct smx__draft *d, unsigned first, unsigned last)
{
    for (unsigned i = first; i < last; i++) {
        const char *text = smx__draft_counted(d, i);
        uint16_t length = (uint16_t)strlen(text);
        if (!takes(f, (const char *)&length, sizeof length) || !takes(f, text, length))
            return false;
    }
    return true;
}

static bool same_buckets(struct smx_segment *segment, const struct smx__family *family,
                         const struct smx__draft *d)
{
    const struct smx__family *f = &d->family;
    struct smx_hist plan;
    uint64_t bounds = f->n_bounds * sizeof(double);
    if (family->exponential != f->exponential || family->schema != f->schema ||
        family->first_index != f->first_index || family->n_bounds != f->n_bounds ||
        !smx__reach(segment, family->hist, sizeof plan) ||
        (bounds && !smx__reach(segment, family->hist_bounds, bounds)))
        return false;
    smx__known_plan(segment, d, &plan);
    /* rows, mask, stride and n_buckets: what all who add to the cells must agree on. */
    return memcmp(smx__at(segment, family->hist), &plan, offsetof(struct smx_hist, shift)) == 0 &&
           (!bounds ||
            memcmp(smx__at(segment, family->hist_bounds), d->metric->bounds, bounds) == 0);
}

/* The first thing in which a draft contradicts a family, NULL if nothing. Help may differ. */
static const char *contradiction(struct smx_segment *segment, struct found *found,
                                 const struct smx__draft *d)
{
    const struct smx__family *family = &found->family;
    const struct smx__family *f = &d->family;
    if (family->type != f->type || family->is_double != f->is_double)
        return "type";
    if (family->unit_len != f->unit_len || !take(found, f->name_len) ||
        !takes(found, d->unit, f->unit_len))
        return "unit";
    if (family->n_labels != f->n_labels || !take(found, family->help_len) ||
        !same_counted(found, d, 0, f->n_labels))
        return "label names";
    if (family->n_states != f->n_states ||
        !same_counted(found, d, f->n_labels, smx__draft_n_counted(d)))
        return "states";
    if (family->mode != f->mode)
        return "mode";
    if (family->digits != f->digits)
        return "digits";
    if (family->type == SMX_HISTOGRAM && !same_buckets(segment, family, d))
        return "buckets";
    return NULL;
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
        smx__known_plan(segment, d, &p->plan);
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
    smx__known_fill(&p->plan, d, hist);
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
    series->family = smx__ref(p->record);
    series->cell = p->cell;
    smx__record_complete(&series->record, sizeof *series);
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
    family->record = (struct smx__record){.hash = hash, .kind = SMX__RECORD_FAMILY};
    if (!family->max_series)
        family->max_series = segment->header->max_series;
    pack(d, (char *)(family + 1));
    smx__record_complete(&family->record, p.overflow - p.record);
    SMX__CRASH_POINT("family.texts");
    *at = p.record;
    return 0;
}

static int damaged(const struct smx_segment *segment, const struct smx__draft *d,
                   struct smx_diag *diag)
{
    smx__lose(segment, SMX_LOST_DAMAGED);
    return smx__fail(diag, -EPROTO, "metric %.100s: the registry of %.100s is damaged", d->name,
                     segment->path);
}

/* The family at an offset as this process knows it, if it is the draft's. */
static int recognise(struct smx_segment *segment, const struct smx__draft *d, uint64_t at,
                     const struct smx__known **out, struct smx_diag *diag)
{
    struct found found;
    memcpy(&found.family, smx__at(segment, at), sizeof found.family);
    uint64_t size = found.family.record.size;
    if (size < sizeof found.family || !smx__reach(segment, at, size))
        return damaged(segment, d, diag);
    found.texts = smx__at(segment, at + sizeof found.family);
    found.size = size - sizeof found.family;
    const char *wrong = contradiction(segment, &found, d);
    if (wrong) {
        smx__lose(segment, SMX_LOST_CONFLICT);
        return smx__fail(diag, -EEXIST, "metric %.100s: registered before with another %s", d->name,
                         wrong);
    }
    const struct smx__known *known = smx__known_find(segment, at, &found.family);
    if (!known)
        known = smx__known_add(segment, at, &found.family, d);
    if (!known) {
        smx__lose(segment, SMX_LOST_SPACE);
        return smx__fail(diag, -ENOMEM, "metric %.100s: %s", d->name, smx_strerror(-ENOMEM));
    }
    *out = known;
    return 0;
}

/* Find the draft's family, or publish it. */
static int enter(struct smx_segment *segment, struct smx__draft *d, const struct smx__known **out,
                 struct smx_diag *diag)
{
    struct smx__key key = {
        .hash = smx__mixed(smx__mix_string(segment->seed, d->name)),
        .size = sizeof(struct smx__family) + d->family.name_len,
        .same = same_name,
        .what = d,
    };
    bool broken = false;
    struct smx__record *found = smx__registry_walk(segment, &key, 0, &broken);
    uint64_t at;
    if (!found && !broken) {
        int error = write_family(segment, d, key.hash, &at);
        if (error) {
            smx__lose(segment, error == -EPROTO ? SMX_LOST_DAMAGED : SMX_LOST_SPACE);
            return smx__fail(diag, error, "metric %.100s: no room in %.100s: %s", d->name,
                             segment->path, smx_strerror(error));
        }
        SMX__CRASH_POINT("family.complete");
        found = smx__registry_walk(segment, &key, smx__ref(at), &broken);
        SMX__CRASH_POINT("family.published");
        smx__announce(segment);
        SMX__CRASH_POINT("family.announced");
    }
    if (!found)
        return damaged(segment, d, diag);
    return recognise(segment, d, smx__offset(segment, found), out, diag);
}

/* A label that the segment gives to every series would stand twice in each line; a stateset's name
 * is one. */
static int check_constant(const struct smx_segment *segment, const struct smx__draft *d,
                          struct smx_diag *diag)
{
    const struct smx__header *h = segment->header;
    size_t length = h->labels_len < sizeof h->labels ? h->labels_len : sizeof h->labels;
    unsigned n = d->family.n_labels;
    for (unsigned i = 0; i < n + (d->family.type == SMX_STATESET); i++) {
        const char *label = i < n ? d->metric->labels[i] : d->name;
        if (smx__has_label(h->labels, length, label))
            return smx__fail(diag, -EINVAL,
                             "metric %.100s: label \"%.64s\" is a constant label of the segment",
                             d->name, label);
    }
    return 0;
}

static smx_family register_family(smx_segment *segment, const struct smx_metric *metric,
                                  enum smx_type type, bool is_double, struct smx_diag *diag)
{
    int saved = errno;
    struct smx__draft draft;
    const struct smx__known *family = NULL;
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

smx_family smx_info_family(smx_segment *segment, const struct smx_metric *metric,
                           struct smx_diag *diag)
{
    return register_family(segment, metric, SMX_INFO, false, diag);
}

smx_family smx_stateset_family(smx_segment *segment, const struct smx_metric *metric,
                               struct smx_diag *diag)
{
    return register_family(segment, metric, SMX_STATESET, false, diag);
}

smx_family smx_histogram_family(smx_segment *segment, const struct smx_metric *metric,
                                struct smx_diag *diag)
{
    return register_family(segment, metric, SMX_HISTOGRAM, false, diag);
}
