/* SPDX-License-Identifier: MIT
 *
 * soundness.c - the promises of <smx/reader.h> as checks, for tests that feed it damaged segments.
 */
#include "support/soundness.h"

#include <math.h>
#include <string.h>

static bool is_text(struct smx_str s)
{
    return s.at && strlen(s.at) == s.length;
}

static const char *histogram_fault(const struct smx_family_info *f,
                                   const struct smx_histogram_info *h)
{
    uint64_t count = 0;
    if (!h || h->family != f)
        return "a histogram of another family";
    for (size_t i = 0; i < f->n_buckets; i++)
        count += h->buckets[i];
    if (count != h->count)
        return "a histogram's count is not the sum of its buckets";
    for (int q = 0; q <= 4; q++)
        if (count && isnan(smx_histogram_quantile(h, q / 4.0)))
            return "a quantile is not a number";
    return NULL;
}

static bool is_integer_of(const struct smx_family_info *f, int64_t value)
{
    if (f->type == SMX_INFO)
        return value == 1;
    return f->type != SMX_STATESET || f->n_states == 64 || (uint64_t)value >> f->n_states == 0;
}

static const char *series_fault(const struct smx_family_info *f, const struct smx_series_info *s)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < f->n_labels && !s->overflow; i++)
        if (!is_text(s->values[i]))
            return "a label value is no text";
    if (s->id == 0)
        return "a series without an id";
    if (f->type == SMX_HISTOGRAM)
        return histogram_fault(f, s->histogram);
    for (size_t i = 0; f->mode == SMX_EACH && i < s->each.n; i++) {
        sum += s->each.at[i].worker;
        if (!is_integer_of(f, s->each.at[i].value.integer))
            return "a state that its family does not have, or an info that is not 1";
    }
    if (f->mode != SMX_EACH && s->present && !is_integer_of(f, s->integer))
        return "a state that its family does not have, or an info that is not 1";
    return sum > UINT64_C(65536) * 65536 ? "worker numbers out of range" : NULL;
}

static const char *exemplar_fault(const struct smx_family_info *f, size_t i)
{
    const struct smx_exemplar *e = &f->exemplars[i], *before = i ? e - 1 : NULL;
    size_t characters = 0;
    if (e->series >= f->n_series || e->n_labels > SMX_LABELS_MAX ||
        (f->type == SMX_HISTOGRAM ? e->bucket >= f->n_buckets : e->bucket != 0))
        return "an exemplar out of range";
    if (before &&
        (e->series < before->series || (e->series == before->series && e->bucket < before->bucket)))
        return "exemplars out of order";
    for (size_t k = 0; k < e->n_labels; k++) {
        struct smx_str parts[] = {e->labels[k].name, e->labels[k].value};
        if (!is_text(parts[0]) || !is_text(parts[1]) || parts[0].length == 0)
            return "an exemplar's label is no text";
        for (size_t p = 0; p < 2; p++)
            for (size_t c = 0; c < parts[p].length; c++)
                characters += ((unsigned char)parts[p].at[c] & 0xc0) != 0x80;
    }
    return characters > SMX_EXEMPLAR_CHARACTERS ? "an exemplar's labels are too long" : NULL;
}

static const char *family_fault(const struct smx_family_info *f)
{
    if (!is_text(f->name) || f->name.length == 0 || !is_text(f->help) || !is_text(f->unit))
        return "a family's name, help or unit is no text";
    if (f->n_labels > SMX_LABELS_MAX || f->type < SMX_COUNTER || f->type > SMX_STATESET ||
        f->n_states > SMX_STATES_MAX || !f->n_states != (f->type != SMX_STATESET) ||
        (f->type > SMX_HISTOGRAM && f->unit.length))
        return "a family's fields are out of range";
    for (size_t i = 0; i < f->n_labels; i++)
        if (!is_text(f->labels[i]) || f->labels[i].length == 0)
            return "a label's name is no text";
    for (size_t i = 0; i < f->n_states; i++)
        if (!is_text(f->states[i]) || f->states[i].length == 0)
            return "a state is no text";
    for (size_t i = 1; i < f->n_buckets; i++)
        if (!(f->upper_bounds[i] > f->upper_bounds[i - 1]))
            return "bounds do not ascend";
    const char *fault = NULL;
    for (size_t i = 0; !fault && i < f->n_series; i++)
        fault = series_fault(f, &f->series[i]);
    for (size_t i = 0; !fault && i < f->n_exemplars; i++)
        fault = exemplar_fault(f, i);
    return fault;
}

static const char *check_fault(const struct smx_check_info *c, uint32_t slots)
{
    if (!is_text(c->name) || c->name.length == 0 || !is_text(c->help))
        return "a check's name or help is no text";
    for (size_t i = 0; i < c->n_reports; i++)
        if (c->reports[i].worker >= slots || c->reports[i].state < SMX_CHECK_OK ||
            c->reports[i].state > SMX_CHECK_FAILED ||
            (i && c->reports[i].worker <= c->reports[i - 1].worker))
            return "a report out of range or order";
    for (unsigned s = 0; s <= SMX_CHECK_FAILED; s++) {
        const struct smx_check_message *m = &c->messages[s];
        bool said = false;
        for (size_t i = 0; i < c->n_reports; i++)
            said = said || (c->reports[i].worker == m->worker && c->reports[i].state == s);
        if (!is_text(m->text) || m->text.length > SMX_CHECK_MESSAGE_MAX ||
            (m->text.length && !said))
            return "a message is no text, or of nobody in that state";
    }
    struct smx_check_result r = smx_check_combine(c, UINT64_C(1800000000000000000));
    return r.n_holding > c->n_reports || !r.by != (r.state == SMX_CHECK_SILENT)
               ? "the result of a check contradicts itself"
               : NULL;
}

const char *soundness_fault(const smx_reader *reader)
{
    const struct smx_segment_info *info = smx_reader_info(reader);
    const char *fault = NULL;
    size_t n, live = 0, series = 0;
    const struct smx_process_info *p = smx_reader_processes(reader, &n);
    for (size_t i = 0; i < n; i++) {
        live += p[i].live;
        if (p[i].worker >= info->slots || !memchr(p[i].role, 0, sizeof p[i].role))
            return "a process out of range";
    }
    if (live != info->n_live || !is_text(info->app) || !is_text(info->instance))
        return "the segment's description contradicts itself";
    for (size_t i = 0; i < info->n_labels; i++)
        if (!is_text(info->labels[i].name) || !is_text(info->labels[i].value))
            return "a constant label is no text";
    for (size_t i = 0; !fault && i < info->n_families; i++) {
        fault = family_fault(smx_reader_family(reader, i));
        series += smx_reader_family(reader, i)->n_series;
    }
    for (size_t i = 0; !fault && i < info->n_checks; i++)
        fault = check_fault(smx_reader_check(reader, i), info->slots);
    return fault ? fault : series != info->n_series ? "series were lost on the way" : NULL;
}
