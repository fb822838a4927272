/* SPDX-License-Identifier: MIT
 *
 * family.c - turns the private copy of a family's record into what <smx/reader.h> shows.
 * Whatever would make an exposition ill-formed (names, labels twice, bounds out of order) makes the
 * family unsound. For histograms it also reads the descriptor and the explicit bounds; what those
 * take is charged to the records' budget, so that many families cannot share few bytes.
 */
#include "libshm/reader/reader.h"

#include "libshm/metric/bounds.h"
#include "libshm/names.h"

#include <errno.h>
#include <math.h>
#include <string.h>

/* What parsing a family needs, and how far into its strings it is. */
struct parser {
    struct smx__family record;
    const unsigned char *at;
    const unsigned char *end;
    struct smx__records *records;
    struct smx__cache *cache;
    const struct smx__header *header;
    struct smx__arena *arena;
    struct smx_family_info *out;
    struct smx__origin *shape;
};

bool smx__take_string(const unsigned char **at, const unsigned char *end, const char **string,
                      size_t *length)
{
    uint16_t n;
    if (end - *at < (ptrdiff_t)sizeof n)
        return false;
    memcpy(&n, *at, sizeof n);
    *at += sizeof n;
    if (end - *at < n)
        return false;
    *string = (const char *)*at;
    *length = n;
    *at += n;
    return smx__is_utf8(*string, *length);
}

/* Take `length` bytes of UTF-8 as a string. Returns 1, 0, -ENOMEM. */
static int take_text(struct parser *p, size_t length, struct smx_str *out)
{
    if ((size_t)(p->end - p->at) < length || !smx__is_utf8((const char *)p->at, length))
        return 0;
    if (!smx__arena_string(p->arena, p->at, length, out))
        return -ENOMEM;
    p->at += length;
    return 1;
}

/* Labels that the exposition itself adds must not be there already. */
static bool is_reserved_label(const struct parser *p, const char *name, size_t length)
{
    bool histogram = p->record.type == SMX_HISTOGRAM;
    bool each = p->out->mode == SMX_EACH;
    bool state = p->record.type == SMX_STATESET && length == p->out->name.length &&
                 memcmp(name, p->out->name.at, length) == 0;
    return state || (histogram && length == 2 && memcmp(name, "le", 2) == 0) ||
           (each && length == 6 && memcmp(name, "worker", 6) == 0);
}

static bool is_new_label(const struct smx_str *labels, size_t n, const char *name, size_t length)
{
    for (size_t i = 0; i < n; i++)
        if (labels[i].length == length && memcmp(labels[i].at, name, length) == 0)
            return false;
    return true;
}

enum names { LABELS, STATES };

static bool is_sound(const struct parser *p, enum names names, const char *name, size_t length)
{
    if (names == STATES)
        return length > 0 && length <= SMX_NAME_MAX;
    return smx__is_label_name(name, length) && !is_reserved_label(p, name, length);
}

/* Take n strings, no two of them the same. Returns 1, 0, -ENOMEM. */
static int take_names(struct parser *p, enum names names, size_t n, const struct smx_str **out)
{
    struct smx_str *labels = smx__arena_array(p->arena, n, sizeof *labels);
    if (!labels)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const char *name;
        size_t length;
        if (!smx__take_string(&p->at, p->end, &name, &length) ||
            !is_sound(p, names, name, length) || !is_new_label(labels, i, name, length))
            return 0;
        if (!smx__arena_string(p->arena, name, length, &labels[i]))
            return -ENOMEM;
    }
    *out = labels;
    return 1;
}

/* OpenMetrics 1.0.0 has the names of infos end so, and makes a label of those of statesets. */
static bool is_sound_name(const struct parser *p)
{
    struct smx_str name = p->out->name;
    static const char info[] = "_info";
    const size_t n = sizeof info - 1;
    if (p->record.type == SMX_INFO &&
        !(name.length > n && memcmp(name.at + name.length - n, info, n) == 0))
        return false;
    if (p->record.type == SMX_STATESET && !smx__is_label_name(name.at, name.length))
        return false;
    return smx__is_metric_name(name.at, name.length);
}

static int take_strings(struct parser *p)
{
    int result = take_text(p, p->record.name_len, &p->out->name);
    if (result == 1 && !is_sound_name(p))
        return 0;
    if (result == 1)
        result = take_text(p, p->record.unit_len, &p->out->unit);
    if (result == 1 && p->out->unit.length && !smx__is_unit(p->out->unit.at, p->out->unit.length))
        return 0;
    if (result == 1)
        result = take_text(p, p->record.help_len, &p->out->help);
    p->out->n_labels = p->record.n_labels;
    p->out->n_states = p->record.n_states;
    if (result == 1)
        result = take_names(p, LABELS, p->out->n_labels, &p->out->labels);
    if (result == 1)
        result = take_names(p, STATES, p->out->n_states, &p->out->states);
    return result;
}

/* Copy bytes that a family points to. Returns 1, 0 if out of bounds or budget, or a code. */
static int fetch(struct parser *p, uint64_t at, void *to, uint64_t size)
{
    if (at < SMX__PAGE || at % 8 || at > p->cache->limit || size > p->cache->limit - at)
        return 0;
    int result = smx__cache_copy(p->cache, at, to, size);
    return result != 0 ? result : 1;
}

static bool is_sound_descriptor(const struct parser *p, const struct smx_hist *hist)
{
    uint64_t words = SMX_HIST_BUCKETS + (uint64_t)hist->n_buckets;
    return hist->rows == p->header->rows && hist->mask == p->header->hist_stripes - 1u &&
           hist->stride >= 128 && hist->stride <= SMX__MAX_STRIDE &&
           (hist->stride & (hist->stride - 1)) == 0 && hist->n_buckets >= 2 &&
           hist->n_buckets <= SMX__MAX_BUCKETS && words * sizeof(uint64_t) <= hist->stride;
}

/* Bounds must be finite and ascend: quantiles and `le` labels depend on it. OpenMetrics has no _sum
 * for buckets below zero; nothing is recorded there. */
static bool do_ascend(const double *bounds, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(bounds[i]) || bounds[i] < 0 || (i && bounds[i] <= bounds[i - 1]))
            return false;
    return true;
}

static int explicit_bounds(struct parser *p, double *bounds, size_t n)
{
    if (p->record.n_bounds != n)
        return 0;
    return fetch(p, p->record.hist_bounds, bounds, n * sizeof *bounds);
}

/* Bucket 0 holds all below the range and zero, bucket i index first_index + i - 1. */
static int exponential_bounds(struct parser *p, double *bounds, size_t n)
{
    if (p->record.schema < -4 || p->record.schema > 8)
        return 0;
    /* Beyond this every bound of every schema is 0 or infinite. */
    if (p->record.first_index < -(1 << 20) || p->record.first_index > 1 << 20)
        return 0;
    for (size_t i = 0; i < n; i++)
        bounds[i] = smx__bound(p->record.schema, p->record.first_index + (int)i - 1);
    return 1;
}

static int take_histogram(struct parser *p)
{
    struct smx_hist hist;
    int result = fetch(p, p->record.hist, &hist, sizeof hist);
    if (result != 1)
        return result;
    uint64_t size = sizeof hist + (uint64_t)hist.n_buckets * sizeof(uint64_t);
    if (!is_sound_descriptor(p, &hist) || size > p->records->budget)
        return 0;
    p->records->budget -= size;
    size_t n = hist.n_buckets;
    double *bounds = smx__arena_array(p->arena, n, sizeof *bounds);
    if (!bounds)
        return -ENOMEM;
    result = p->record.exponential ? exponential_bounds(p, bounds, n - 1)
                                   : explicit_bounds(p, bounds, n - 1);
    if (result != 1 || !do_ascend(bounds, n - 1))
        return result == 1 ? 0 : result;
    bounds[n - 1] = (double)INFINITY;
    p->out->upper_bounds = bounds;
    p->out->n_buckets = n;
    p->out->exponential = p->record.exponential;
    p->out->schema = p->record.exponential ? p->record.schema : 0;
    p->out->first_index = p->record.exponential ? p->record.first_index : 0;
    p->shape->stride = hist.stride;
    return 1;
}

/* Infos and statesets are not all that gauges are. */
static bool is_narrow(const struct smx__family *f)
{
    return (f->mode == SMX_MAX || f->mode == SMX_LAST || f->mode == SMX_EACH) && !f->is_double &&
           f->unit_len == 0;
}

static bool has_sound_fields(const struct smx__family *f)
{
    bool narrow = f->type == SMX_INFO || f->type == SMX_STATESET;
    return f->type >= SMX_COUNTER && f->type <= SMX_STATESET && f->mode <= SMX_EACH &&
           f->digits <= 9 && f->n_labels <= SMX_LABELS_MAX && f->is_double <= 1 &&
           f->exponential <= 1 && f->n_states <= SMX_STATES_MAX &&
           !f->n_states == (f->type != SMX_STATESET) && (!narrow || is_narrow(f));
}

static int leave_out(const struct parser *p, enum smx_unsound reason)
{
    p->records->unsound[reason]++;
    p->shape->unsound = reason;
    return 0;
}

int smx__family_parse(const struct smx__raw *raw, struct smx__records *records,
                      struct smx__cache *cache, const struct smx__header *header,
                      struct smx__arena *arena, struct smx_family_info *out,
                      struct smx__origin *shape)
{
    struct parser p = {.at = raw->bytes + sizeof p.record,
                       .end = raw->bytes + raw->size,
                       .records = records,
                       .cache = cache,
                       .header = header,
                       .arena = arena,
                       .out = out,
                       .shape = shape};
    memcpy(&p.record, raw->bytes, sizeof p.record);
    if (!has_sound_fields(&p.record))
        return leave_out(&p, SMX_UNSOUND_FAMILY);
    bool gauge = SMX__HAS_GAUGE_CELLS(p.record.type);
    *shape = (struct smx__origin){.at = raw->at, .overflow = p.record.overflow};
    *out = (struct smx_family_info){
        .type = (enum smx_type)p.record.type,
        .mode = gauge ? (enum smx_mode)p.record.mode : SMX_SUM,
        .is_double = gauge && p.record.is_double,
        .digits = gauge ? 0 : p.record.digits,
    };
    if (gauge && out->mode == SMX_AVG && !out->is_double) {
        out->is_double = true;
        shape->mean = true;
    }
    int result = take_strings(&p);
    if (result == 0)
        return leave_out(&p, SMX_UNSOUND_TEXT);
    if (result == 1 && p.record.type == SMX_HISTOGRAM)
        result = take_histogram(&p);
    return result == 0 ? leave_out(&p, SMX_UNSOUND_BUCKETS) : result;
}
