/* SPDX-License-Identifier: MIT
 *
 * victim_judge.c - says of every number in a snapshot whether the file has it. It follows the
 * damaged bytes where they lead, by the byte table alone, and needs no bounds: what lies outside
 * reads as 0, and a sound reader never goes there.
 */
#include "support/victim.h"

#include "support/soundness.h"

#include <string.h>

static uint64_t get(const struct victim *v, uint64_t at, unsigned size)
{
    return at < 1 << 18 && at + size <= 1 << 18 ? segwriter_get(v->w, at, size) : 0;
}

static bool same_text(const struct victim *v, uint64_t at, struct smx_str text)
{
    for (size_t i = 0; i < text.length; i++)
        if ((char)get(v, at + i, 1) != text.at[i])
            return false;
    return true;
}

static uint64_t add_rows(const struct victim *v, uint64_t at, uint64_t rows, uint64_t distance)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < rows; i++)
        sum += get(v, at + i * distance, 8);
    return sum;
}

static const char *histogram_fault(const struct victim *v, const struct smx_series_info *s)
{
    const struct smx_histogram_info *h = s->histogram;
    uint64_t family = get(v, s->id + 16, 4) * 8, cell = get(v, s->id + 24, 8);
    uint64_t hist = get(v, family + 32, 8), stride = get(v, hist + 8, 4);
    uint64_t rows = get(v, 30, 2) + get(v, 34, 2);
    if (h->family->n_buckets != get(v, hist + 12, 4))
        return "a histogram has other buckets than the file";
    if (h->sum != add_rows(v, cell, rows, stride))
        return "a histogram's sum is not in the file";
    for (size_t i = 0; i < h->family->n_buckets; i++)
        if (h->buckets[i] != add_rows(v, cell + 32 + 8 * i, rows, stride))
            return "a bucket is not in the file";
    return NULL;
}

/* The words of the rows whose gauges count: the shared one, and the live process'. */
static size_t words_of(const struct victim *v, uint64_t words[2])
{
    uint64_t at = get(v, 104, 8) + 128, state = get(v, at, 8);
    words[0] = SEGWRITER_SHARED_WORD;
    words[1] = (state >> 32 << 32) | 2;
    if (get(v, 36, 4) < 2 || get(v, 1096, 4) < 2 || (state & 0xff) != 2 || state >> 32 < 2)
        return 1;
    bool comparable = get(v, at + 8, 8) == v->pid_ns;
    return !comparable || (state & 0xffffffff) >> 8 == (uint64_t)v->holder ? 2 : 1;
}

/* The values of a gauge that count. */
static size_t gauge_values(const struct victim *v, uint64_t cell, uint64_t mode, int64_t values[2])
{
    uint64_t words[2];
    size_t n = 0, n_words = words_of(v, words);
    for (size_t i = 0; i < n_words; i++) {
        uint64_t at = cell + (words[i] & 0xffffffff) * 64;
        bool counts = mode == SEGWRITER_LAST ? i == 0 : mode != SEGWRITER_EACH || i == 1;
        if (i == 0)
            at = cell;
        if (counts && get(v, at, 8) == words[i])
            values[n++] = (int64_t)get(v, at + 8, 8);
    }
    return n;
}

/* What counts of a value in an info or a stateset. */
static int64_t narrowed(const struct victim *v, const struct smx_family_info *f, uint64_t family,
                        int64_t value)
{
    uint64_t n = get(v, family + 23, 1);
    if (f->type == SMX_INFO)
        return 1;
    return f->type == SMX_STATESET && n < 64 ? value & (int64_t)((UINT64_C(1) << n) - 1) : value;
}

static int64_t combined(uint64_t mode, const int64_t values[2], size_t n)
{
    if (n == 0)
        return 0;
    if (n == 1)
        return values[0];
    if (mode == SEGWRITER_SUM)
        return (int64_t)((uint64_t)values[0] + (uint64_t)values[1]);
    bool first = mode == SEGWRITER_MIN ? values[0] < values[1] : values[0] > values[1];
    return first ? values[0] : values[1];
}

static double as_double(int64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static const char *gauge_fault(const struct victim *v, const struct smx_family_info *f,
                               const struct smx_series_info *s)
{
    static const char wrong[] = "a gauge's value is not in the file";
    int64_t values[2];
    size_t n = gauge_values(v, get(v, s->id + 24, 8), (uint64_t)f->mode, values);
    uint64_t family = get(v, s->id + 16, 4) * 8;
    bool real = get(v, family + 17, 1) != 0;
    for (size_t i = 0; i < n; i++)
        values[i] = narrowed(v, f, family, values[i]);
    if (f->mode == SMX_EACH)
        return s->each.n == n && (n == 0 || s->each.at[0].value.integer == values[0]) ? NULL
                                                                                      : wrong;
    if (s->present != (n > 0))
        return "a gauge is there, or is not, against the file";
    if (n == 0)
        return NULL;
    if (f->mode == SMX_AVG && !real) {
        double sum = (double)values[0] + (n > 1 ? (double)values[1] : 0);
        return s->real == sum / (double)n ? NULL : wrong;
    }
    if (f->type == SMX_STATESET)
        return s->integer == (values[0] | (n > 1 ? values[1] : 0)) ? NULL : wrong;
    if (!real)
        return s->integer == combined((uint64_t)f->mode, values, n) ? NULL : wrong;
    /* -5 is no number as a double, and 3 is next to nothing: one of them is all there is to see. */
    double got = s->real, one = as_double(values[0]);
    return got != got || got == one || n > 1 ? NULL : wrong;
}

static const char *series_fault(const struct victim *v, const struct smx_family_info *f,
                                const struct smx_series_info *s)
{
    uint64_t family = get(v, s->id + 16, 4) * 8;
    if (get(v, s->id + 8, 2) != 2 || get(v, family + 8, 2) != 1)
        return "a series that the file does not have";
    if (f->name.length != get(v, family + 52, 2) || !same_text(v, family + 72, f->name))
        return "a series in a family that is not its own";
    if ((uint64_t)f->type != get(v, family + 16, 1))
        return "a family of another type than the file's";
    uint64_t rows = get(v, 30, 2) + get(v, 32, 2);
    if (f->type == SMX_COUNTER && s->count != add_rows(v, get(v, s->id + 24, 8), rows, 4096))
        return "a counter's value is not in the file";
    if (f->type == SMX_HISTOGRAM)
        return histogram_fault(v, s);
    return f->type != SMX_COUNTER ? gauge_fault(v, f, s) : NULL;
}

/* An exemplar is one of those that a record has places for, and is sealed as it is. */
static const char *exemplar_fault(const struct victim *v, const struct smx_exemplar *e)
{
    for (size_t i = 0; i < v->n_targets; i++) {
        if (v->targets[i].table != &byte_exemplars)
            continue;
        uint64_t at = get(v, v->targets[i].at + 24, 8);
        for (uint64_t k = 0; k < 16; k++, at += 544)
            if (get(v, at, 8) && get(v, at + 8, 8) == e->time_ns &&
                get(v, at + 16, 8) == e->value &&
                (!e->n_labels || same_text(v, at + 32, e->labels[0].name)))
                return NULL;
    }
    return "an exemplar that the file does not have";
}

/* Who lives has put the report that is shown into his row of the check's cell. */
static const char *report_fault(const struct victim *v, const struct smx_check_info *c,
                                uint64_t cell)
{
    uint64_t words[2];
    size_t n = words_of(v, words);
    uint64_t at = cell + (words[n - 1] & 0xffffffff) * 64, value = get(v, at + 8, 8);
    bool there = n == 2 && get(v, at, 8) == words[1] && (value & 0xff) - 1 < 3;
    if (c->n_reports != there)
        return "a report is there, or is not, against the file";
    if (there && (c->reports[0].state != (value & 0xff) || c->reports[0].worker != 1))
        return "a report is not in the file";
    return NULL;
}

/* A check is what its record says; and what is said in words is of who is in that state. */
static const char *check_fault(const struct victim *v, const struct smx_check_info *c)
{
    for (size_t i = 0; i < v->n_targets; i++) {
        const uint64_t at = v->targets[i].at, terms = get(v, at + 32, 8);
        if (v->targets[i].table != &byte_check || get(v, at + 24, 2) != c->name.length ||
            !same_text(v, at + 808, c->name) || !same_text(v, at + 808 + c->name.length, c->help))
            continue;
        if (c->critical != (terms >> 32 & 1) || c->interval_ns != (terms & UINT32_MAX) * 1000000)
            return "a check's terms are not in the file";
        for (unsigned s = 1; s <= 3; s++)
            if (c->messages[s].text.length &&
                (!c->n_reports || c->reports[0].state != s ||
                 !same_text(v, at + 40 + 256 * (s - 1) + 32, c->messages[s].text)))
                return "a message of nobody, or that the file does not have";
        return report_fault(v, c, get(v, at + 16, 8));
    }
    return "a check that the file does not have";
}

const char *victim_fault(const struct victim *v, const smx_reader *reader)
{
    const struct smx_segment_info *info = smx_reader_info(reader);
    const char *fault = soundness_fault(reader);
    uint64_t errors = 0;
    for (unsigned i = 0; i < SMX_UNSOUND_COUNT; i++)
        errors += info->unsound[i];
    if (!fault && errors != info->errors)
        fault = "the reasons are not the errors";
    for (size_t i = 0; !fault && i < info->n_families; i++) {
        const struct smx_family_info *f = smx_reader_family(reader, i);
        for (size_t k = 0; !fault && k < f->n_series; k++)
            fault = series_fault(v, f, &f->series[k]);
        for (size_t k = 0; !fault && k < f->n_exemplars; k++)
            fault = exemplar_fault(v, &f->exemplars[k]);
    }
    for (size_t i = 0; !fault && i < info->n_checks; i++)
        fault = check_fault(v, smx_reader_check(reader, i));
    return fault;
}
