/* SPDX-License-Identifier: MIT
 *
 * known.c - this process' copies of families and their descriptors. Lock-free: a copy is complete
 * before it is linked, and never changes; of two that threads make of one family both serve.
 * It asks nothing of the segment.
 */
#include "libshm/metric/known.h"

#include "libshm/crash.h"
#include "libshm/metric/bounds.h"

#include <string.h>

/* A family's chain, by its offset, which is a multiple of 8. */
static unsigned chain_of(uint64_t at)
{
    return (unsigned)(at / 8 * UINT64_C(0x9e3779b97f4a7c15) >> 58) % SMX__KNOWN_CHAINS;
}

static bool same_shape(const struct smx__family *a, const struct smx__family *b)
{
    const size_t from = offsetof(struct smx__family, type);
    const size_t to = offsetof(struct smx__family, max_series);
    return memcmp((const char *)a + from, (const char *)b + from, to - from) == 0 &&
           a->first_index == b->first_index && a->n_bounds == b->n_bounds;
}

const struct smx__known *smx__known_find(const struct smx_segment *segment, uint64_t at,
                                         const struct smx__family *family)
{
    /* Acquire: pairs with the release of smx__known_add; what is linked is complete. */
    const struct smx__known *known =
        __atomic_load_n(&segment->known[chain_of(at)], __ATOMIC_ACQUIRE);
    while (known && !(known->at == at && same_shape(&known->family, family)))
        known = known->next;
    return known;
}

/* The fields of a descriptor that follow from the draft and the segment; not yet its index. */
static void plan_rows(const struct smx_segment *segment, const struct smx__draft *d,
                      struct smx_hist *hist)
{
    uint64_t row = (SMX_HIST_BUCKETS + (uint64_t)d->n_buckets) * sizeof(uint64_t);
    uint64_t stride = 128;
    while (stride < row)
        stride *= 2;
    unsigned digits = d->family.digits;
    bool seconds = strcmp(d->unit, "seconds") == 0;
    *hist = (struct smx_hist){
        .rows = segment->rows,
        .mask = segment->hist_mask,
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

void smx__known_plan(const struct smx_segment *segment, const struct smx__draft *draft,
                     struct smx_hist *plan)
{
    plan_rows(segment, draft, plan);
    if (draft->family.exponential)
        index_exponential(draft, plan);
    else
        index_explicit(draft, plan);
}

void smx__known_fill(const struct smx_hist *plan, const struct smx__draft *draft,
                     struct smx_hist *hist)
{
    uint64_t *entries = (uint64_t *)(void *)(hist + 1);
    uint64_t *threshold = entries + plan->key_count;
    *hist = *plan;
    SMX__CRASH_POINT("hist.planned");
    for (uint32_t i = 0; i < plan->n_buckets; i++)
        threshold[i] = smx__draft_threshold(draft, i);
    SMX__CRASH_POINT("hist.thresholds");
    smx__hist_fill(plan, entries, threshold);
}

static bool has_buckets(const struct smx_hist *hist, const struct smx_hist *plan,
                        const struct smx__draft *draft)
{
    const uint64_t *threshold = smx__thresholds(hist);
    bool same = memcmp(hist, plan, sizeof *plan) == 0;
    for (uint32_t i = 0; same && i < plan->n_buckets; i++)
        same = threshold[i] == smx__draft_threshold(draft, i);
    return same;
}

/* The descriptor of another family that has the same buckets; NULL if there is none. Histograms
 * that one request records into then share one index in the caches. */
static const struct smx_hist *find_like(const struct smx_segment *segment,
                                        const struct smx_hist *plan, const struct smx__draft *draft)
{
    for (unsigned i = 0; i < SMX__KNOWN_CHAINS; i++) {
        /* Acquire: as in smx__known_find. */
        const struct smx__known *known = __atomic_load_n(&segment->known[i], __ATOMIC_ACQUIRE);
        for (; known; known = known->next)
            if (known->hist && has_buckets(known->hist, plan, draft))
                return known->hist;
    }
    return NULL;
}

/* Where the rows of a series' cell end. */
static void measure(const struct smx_segment *segment, struct smx__known *known)
{
    const struct smx__family *f = &known->family;
    const struct smx_hist *hist = known->hist;
    if (f->type == SMX_COUNTER)
        known->span = (((uint64_t)segment->rows + segment->counter_mask) << SMX_COUNTER_SHIFT) +
                      sizeof(uint64_t);
    else if (hist)
        known->span = ((uint64_t)hist->rows + hist->mask) * hist->stride +
                      (SMX_HIST_BUCKETS + (uint64_t)hist->n_buckets) * sizeof(uint64_t);
    else
        known->span = (f->mode == SMX_LAST ? 0 : (uint64_t)segment->slots << SMX_GAUGE_SHIFT) +
                      sizeof(struct smx_cell);
}

void *smx__known_cell(struct smx_segment *segment, struct smx__known *known, uint64_t cell)
{
    enum smx_type type = (enum smx_type)known->family.type;
    if (cell & ((UINT64_C(1) << smx__cell_shift(type)) - 1) ||
        !smx__reach(segment, cell, known->span))
        return NULL;
    /* Relaxed: as in smx__within(). What is reserved covers this cell. */
    uint64_t end = __atomic_load_n(&segment->reserved, __ATOMIC_RELAXED);
    uint64_t last = (end - known->span - SMX__PAGE) >> smx__cell_shift(type);
    if (__atomic_load_n(&known->cell_limit, __ATOMIC_RELAXED) <= last)
        __atomic_store_n(&known->cell_limit, last + 1, __ATOMIC_RELAXED);
    return smx__at(segment, cell);
}

const struct smx__known *smx__known_add(struct smx_segment *segment, uint64_t at,
                                        const struct smx__family *family,
                                        const struct smx__draft *draft)
{
    struct smx_hist plan;
    const struct smx_hist *like = NULL;
    uint64_t size = 0;
    if (draft->family.type == SMX_HISTOGRAM) {
        smx__known_plan(segment, draft, &plan);
        like = find_like(segment, &plan, draft);
        size = like ? 0 : smx__hist_size(&plan);
    }
    struct smx__known *known = smx__process_memory(sizeof *known + size);
    if (!known)
        return NULL;
    *known = (struct smx__known){
        .family = *family, .at = at, .seed = segment->seed ^ family->record.hash, .hist = like};
    if (size) {
        struct smx_hist *hist = (struct smx_hist *)(void *)(known + 1);
        smx__known_fill(&plan, draft, hist);
        known->hist = hist;
    }
    measure(segment, known);
    const struct smx__known **head = &segment->known[chain_of(at)];
    known->next = __atomic_load_n(head, __ATOMIC_RELAXED);
    /* Release: pairs with smx__known_find. Who loses stays unlinked, and serves its caller. */
    (void)__atomic_compare_exchange_n(head, &known->next, known, false, __ATOMIC_RELEASE,
                                      __ATOMIC_RELAXED);
    return known;
}
