/* SPDX-License-Identifier: MIT
 *
 * metric.c - rules about metrics: each series of the family whose labels match has to be within the
 * bounds. Histograms and statesets have no single value, and no rule is about them.
 */
#include "agent/health/health.h"

#include <stdio.h>
#include <string.h>

static bool is(struct smx_str text, const char *other)
{
    return text.length == strlen(other) && memcmp(text.at, other, text.length) == 0;
}

static const struct smx_family_info *find_family(const smx_reader *reader, const char *name)
{
    for (size_t i = 0; i < smx_reader_info(reader)->n_families; i++) {
        const struct smx_family_info *family = smx_reader_family(reader, i);
        if (is(family->name, name))
            return family;
    }
    return NULL;
}

/* The overflow series has no label values, and matches where nothing is asked of them. */
static bool matches(const struct health_rule *rule, const struct smx_family_info *family,
                    const struct smx_series_info *series)
{
    for (size_t i = 0; i < rule->n_labels; i++) {
        size_t k = 0;
        while (k < family->n_labels && !is(family->labels[k], rule->labels[i].label))
            k++;
        if (k == family->n_labels || !series->values ||
            !is(series->values[k], rule->labels[i].value))
            return false;
    }
    return true;
}

static double scaled(uint64_t ticks, unsigned digits)
{
    static const double scale[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};
    return (double)ticks / scale[digits];
}

/* What was found of a rule so far. */
struct sight {
    const struct health_rule *rule;
    const struct smx_family_info *family;
    struct health_finding *out;
    size_t n; /* values */
};

/* orders_waiting of "mail" */
static int write_name(const struct sight *s, const struct smx_series_info *series)
{
    const bool labelled = s->family->n_labels && series->values;
    return snprintf(s->out->why, sizeof s->out->why, "%.100s%s%.60s%s", s->rule->metric,
                    labelled ? " of \"" : "", labelled ? series->values[0].at : "",
                    labelled ? "\"" : "");
}

/* The first value that is out of bounds is told. NaN is within none. */
static void see(struct sight *s, const struct smx_series_info *series, double value)
{
    const struct health_rule *rule = s->rule;
    s->n++;
    if (s->out->status == HEALTH_FAILED || (value >= rule->min && value <= rule->max))
        return;
    s->out->status = HEALTH_FAILED;
    int length = write_name(s, series);
    char *end = s->out->why + length;
    const size_t left = sizeof s->out->why - (size_t)length;
    if (value < rule->min)
        snprintf(end, left, " is %g, below %g", value, rule->min);
    else if (value > rule->max)
        snprintf(end, left, " is %g, above %g", value, rule->max);
    else
        snprintf(end, left, " is not a number");
}

static void see_series(struct sight *s, const struct smx_series_info *series)
{
    const struct smx_family_info *family = s->family;
    if (family->mode == SMX_EACH && family->type != SMX_COUNTER) {
        for (size_t i = 0; i < series->each.n; i++)
            see(s, series,
                family->is_double ? series->each.at[i].value.real
                                  : (double)series->each.at[i].value.integer);
        return;
    }
    if (!series->present)
        return;
    if (family->type == SMX_COUNTER)
        see(s, series, scaled(series->count, family->digits));
    else
        see(s, series, family->is_double ? series->real : (double)series->integer);
}

void health_judge_metric(const smx_reader *reader, const struct health_rule *rule,
                         struct health_finding *out)
{
    const struct smx_family_info *family = find_family(reader, rule->metric);
    struct sight sight = {.rule = rule, .family = family, .out = out};
    out->status = HEALTH_OK;
    out->why[0] = 0;
    if (family && (family->type == SMX_HISTOGRAM || family->type == SMX_STATESET)) {
        out->status = HEALTH_FAILED;
        snprintf(out->why, sizeof out->why, "%.100s has no single value: the rule cannot be met",
                 rule->metric);
        return;
    }
    for (size_t i = 0; family && i < family->n_series; i++)
        if (matches(rule, family, &family->series[i]))
            see_series(&sight, &family->series[i]);
    if (sight.n > 0 || rule->may_be_absent)
        return;
    out->status = HEALTH_FAILED;
    snprintf(out->why, sizeof out->why, "%.100s: %s", rule->metric,
             family ? "no series matches, or none has a value" : "no such metric");
}
