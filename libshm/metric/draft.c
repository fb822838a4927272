/* SPDX-License-Identifier: MIT
 *
 * draft.c - checks the description of a family against the rules of <smx/smx.h> and Prometheus'
 * data model. Pure: looks at the caller's strings only.
 */
#include "libshm/metric/draft.h"

#include "libshm/metric/bounds.h"
#include "libshm/diag.h"
#include "libshm/names.h"

#include <errno.h>
#include <float.h>
#include <stdio.h>
#include <string.h>

enum { DEFAULT_SCHEMA = 3 };

static bool ends_with(const char *text, size_t length, const char *end, size_t end_length)
{
    return length > end_length && memcmp(text + length - end_length, end, end_length) == 0;
}

static int join_name(const char *prefix, const struct smx_metric *metric, struct smx__draft *d,
                     struct smx_diag *diag)
{
    const char *name = metric->name ? metric->name : "";
    bool info = d->family.type == SMX_INFO && !ends_with(name, strlen(name), "_info", 5);
    int length = snprintf(d->name, sizeof d->name, "%s%s%s%s", prefix, *prefix ? "_" : "", name,
                          info ? "_info" : "");
    if (length < 0 || (size_t)length >= sizeof d->name)
        return smx__fail(diag, -EINVAL, "metric %.64s...: the name is longer than %d bytes", name,
                         SMX_NAME_MAX);
    if (!*name || !smx__is_metric_name(d->name, (size_t)length))
        return smx__fail(diag, -EINVAL, "metric \"%.100s\": names are UTF-8, and not empty", name);
    if (d->family.type == SMX_STATESET &&
        (!smx__is_label_name(d->name, (size_t)length) || smx__is_reserved_label(d->name)))
        return smx__fail(diag, -EINVAL,
                         "metric \"%.100s\": the name of a stateset is also a label's: it does not "
                         "start with __, and is not reserved",
                         name);
    d->family.name_len = (uint16_t)length;
    return 0;
}

static int check_texts(const struct smx_metric *metric, struct smx__draft *d, struct smx_diag *diag)
{
    d->help = metric->help ? metric->help : "";
    d->unit = metric->unit ? metric->unit : "";
    size_t help = strlen(d->help);
    size_t unit = strlen(d->unit);
    if (help > SMX_STRING_MAX || !smx__is_utf8(d->help, help))
        return smx__fail(diag, -EINVAL, "metric %.100s: the help is not UTF-8, or over %d bytes",
                         d->name, SMX_STRING_MAX);
    if (unit && (unit > SMX_NAME_MAX || !smx__is_unit(d->unit, unit)))
        return smx__fail(diag, -EINVAL,
                         "metric %.100s: unit \"%.32s\": units are [a-zA-Z_][a-zA-Z0-9_]*", d->name,
                         d->unit);
    if (unit && (d->family.type == SMX_INFO || d->family.type == SMX_STATESET))
        return smx__fail(diag, -EINVAL, "metric %.100s: infos and statesets have no unit", d->name);
    size_t base = d->family.name_len;
    if (ends_with(d->name, base, "_total", 6))
        base -= 6;
    if (unit && !(ends_with(d->name, base, d->unit, unit) && d->name[base - unit - 1] == '_'))
        return smx__fail(diag, -EINVAL,
                         "metric %.100s: with unit \"%.32s\" its name ends in _%.32s", d->name,
                         d->unit, d->unit);
    d->family.help_len = (uint32_t)help;
    d->family.unit_len = (uint16_t)unit;
    return 0;
}

static bool is_reserved(const char *label, const struct smx__draft *d)
{
    const struct smx__family *family = &d->family;
    return smx__is_reserved_label(label) ||
           (family->type == SMX_STATESET && strcmp(label, d->name) == 0) ||
           (family->type == SMX_HISTOGRAM && strcmp(label, "le") == 0) ||
           (family->mode == SMX_EACH && strcmp(label, "worker") == 0);
}

static int check_labels(const struct smx_metric *metric, struct smx__draft *d,
                        struct smx_diag *diag)
{
    unsigned n = 0;
    for (; n < SMX_LABELS_MAX && metric->labels[n]; n++) {
        const char *label = metric->labels[n];
        size_t length = strlen(label);
        if (length > SMX_NAME_MAX || !smx__is_label_name(label, length))
            return smx__fail(diag, -EINVAL,
                             "metric %.100s: label \"%.64s\": labels are UTF-8 of 1 to %d bytes, "
                             "not starting with __",
                             d->name, label, SMX_NAME_MAX);
        if (is_reserved(label, d))
            return smx__fail(diag, -EINVAL, "metric %.100s: label \"%s\" is reserved", d->name,
                             label);
        for (unsigned i = 0; i < n; i++)
            if (strcmp(label, metric->labels[i]) == 0)
                return smx__fail(diag, -EINVAL, "metric %.100s: label \"%.64s\" twice", d->name,
                                 label);
    }
    d->family.n_labels = (uint8_t)n;
    return 0;
}

/* An info and a stateset hold as long as a process lives that has said so, unless told otherwise:
 * sums and means of them say nothing. */
static int choose_mode(const struct smx_metric *metric, struct smx__draft *d, struct smx_diag *diag)
{
    enum smx_mode mode = metric->mode;
    if (mode > SMX_EACH)
        return smx__fail(diag, -EINVAL, "metric %.100s: unknown mode %d", d->name, (int)mode);
    if (d->family.type != SMX_GAUGE) {
        if (mode == SMX_SUM)
            mode = SMX_MAX;
        if (mode == SMX_MIN || mode == SMX_AVG)
            return smx__fail(diag, -EINVAL,
                             "metric %.100s: the modes of infos and statesets are max, last, each",
                             d->name);
    }
    d->family.mode = (uint8_t)mode;
    return 0;
}

static int check_states(const struct smx_metric *metric, struct smx__draft *d,
                        struct smx_diag *diag)
{
    const char *const *states = metric->states;
    unsigned n = 0;
    for (; states && n < SMX_STATES_MAX && states[n]; n++) {
        size_t length = strlen(states[n]);
        if (length == 0 || length > SMX_NAME_MAX || !smx__is_utf8(states[n], length))
            return smx__fail(diag, -EINVAL,
                             "metric %.100s: state %u is empty, not UTF-8, or over %d bytes",
                             d->name, n, SMX_NAME_MAX);
        for (unsigned i = 0; i < n; i++)
            if (strcmp(states[n], states[i]) == 0)
                return smx__fail(diag, -EINVAL, "metric %.100s: state \"%.64s\" twice", d->name,
                                 states[n]);
    }
    if (n == 0 || states[n])
        return smx__fail(diag, -EINVAL, "metric %.100s: 1 to %d states are possible", d->name,
                         SMX_STATES_MAX);
    d->family.n_states = (uint8_t)n;
    return 0;
}

static int choose_digits(const struct smx_metric *metric, struct smx__draft *d,
                         struct smx_diag *diag)
{
    int digits = metric->digits;
    if (digits == 0 && strcmp(d->unit, "seconds") == 0)
        digits = 9;
    if (digits == SMX_WHOLE)
        digits = 0;
    if (digits < 0 || digits > 9)
        return smx__fail(diag, -EINVAL, "metric %.100s: digits is %d, 0 to 9 are possible", d->name,
                         digits);
    if (!SMX__HAS_GAUGE_CELLS(d->family.type))
        d->family.digits = (uint8_t)digits;
    return 0;
}

static int check_bounds(const struct smx_metric *metric, struct smx__draft *d,
                        struct smx_diag *diag)
{
    size_t n = metric->n_bounds;
    if (n > 1 && metric->bounds && metric->bounds[n - 1] > DBL_MAX)
        n--; /* the last bucket has no bound anyway */
    if (n > SMX_BOUNDS_MAX || !metric->bounds)
        return smx__fail(diag, -EINVAL, "metric %.100s: 1 to %d bounds are possible, not %zu",
                         d->name, SMX_BOUNDS_MAX, n);
    for (size_t i = 0; i < n; i++) {
        double bound = metric->bounds[i];
        if (!(bound >= 0 && bound <= DBL_MAX) || (i && bound <= metric->bounds[i - 1]))
            return smx__fail(diag, -EINVAL,
                             "metric %.100s: bound %zu is %g: bounds are finite, not negative and "
                             "ascend",
                             d->name, i, bound);
    }
    d->family.n_bounds = (uint32_t)n;
    d->n_buckets = (uint32_t)n + 1;
    return 0;
}

static int choose_range(const struct smx_metric *metric, struct smx__draft *d,
                        struct smx_diag *diag)
{
    int schema = metric->schema == 0              ? DEFAULT_SCHEMA
                 : metric->schema == SMX_SCHEMA_0 ? 0
                                                  : metric->schema;
    bool seconds = strcmp(d->unit, "seconds") == 0;
    double min = metric->min != 0 ? metric->min : seconds ? 1e-6 : 1;
    double max = metric->max != 0 ? metric->max : seconds ? 128 : 4294967296.0;
    if (schema < -4 || schema > 8)
        return smx__fail(diag, -EINVAL, "metric %.100s: schema is %d, -4 to 8 are possible",
                         d->name, schema);
    if (!(min >= 1e-300 && max <= 1e300 && min < max))
        return smx__fail(diag, -EINVAL,
                         "metric %.100s: the range %g to %g must be positive and ascend", d->name,
                         min, max);
    int first = smx__index_at(schema, min);
    int last = smx__index_at(schema, max);
    if (last - first + 3 > SMX__MAX_BUCKETS)
        return smx__fail(diag, -EINVAL,
                         "metric %.100s: schema %d over %g to %g has %d buckets, at most %d are "
                         "possible",
                         d->name, schema, min, max, last - first + 3, SMX__MAX_BUCKETS);
    d->family.exponential = 1;
    d->family.schema = (int8_t)schema;
    d->family.first_index = first;
    d->n_buckets = (uint32_t)(last - first + 3);
    return 0;
}

uint64_t smx__draft_threshold(const struct smx__draft *draft, uint32_t i)
{
    const struct smx__family *f = &draft->family;
    if (i == draft->n_buckets - 1)
        return UINT64_MAX;
    if (!f->exponential)
        return smx__threshold(draft->metric->bounds[i], f->digits);
    return smx__threshold(smx__bound(f->schema, f->first_index + (int)i - 1), f->digits);
}

int smx__draft(const struct smx_metric *metric, enum smx_type type, bool is_double,
               const char *prefix, struct smx__draft *out, struct smx_diag *diag)
{
    struct smx__draft *d = out;
    if (!metric)
        return smx__fail(diag, -EINVAL, "no description of a metric");
    memset(d, 0, sizeof *d);
    d->metric = metric;
    d->family.type = (uint8_t)type;
    d->family.is_double = is_double;
    d->family.max_series = metric->max_series;
    int error = join_name(prefix, metric, d, diag);
    if (!error && SMX__HAS_GAUGE_CELLS(type))
        error = choose_mode(metric, d, diag);
    if (!error)
        error = check_texts(metric, d, diag);
    if (!error)
        error = check_labels(metric, d, diag);
    if (!error)
        error = choose_digits(metric, d, diag);
    if (!error && type == SMX_STATESET)
        error = check_states(metric, d, diag);
    if (!error && type == SMX_HISTOGRAM)
        error = metric->n_bounds ? check_bounds(metric, d, diag) : choose_range(metric, d, diag);
    return error;
}
