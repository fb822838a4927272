/* SPDX-License-Identifier: MIT
 *
 * view.c - what smx-top shows. Rates, means and quantiles are of the interval between the two
 * snapshots, computed from differences; the columns under "total" are since the segment began.
 */
#include "view.h"
#include "checks.h"
#include "common/number.h"
#include "common/plain.h"
#include "common/series.h"
#include "common/table.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One line: a series, or one process' value of a gauge that has one for each. */
struct line {
    const struct smx_family_info *family;
    const struct smx_series_info *series;
    const struct smx_series_info *before; /* NULL: not there then */
    const struct smx_each *each;
    double rate;  /* a second; NaN where it has no meaning */
    size_t order; /* lines of the same rate keep the order of the segment */
};

struct lines {
    struct line *at;
    size_t n;
};

static double rate_of(uint64_t now, uint64_t before, unsigned digits, double interval)
{
    if (interval <= 0 || now < before)
        return NAN;
    return number_ticks_double(now - before, digits) / interval;
}

static double series_rate(const struct line *line, double interval)
{
    if (!line->before)
        return NAN;
    if (line->family->type == SMX_COUNTER)
        return rate_of(line->series->count, line->before->count, line->family->digits, interval);
    if (line->family->type == SMX_HISTOGRAM)
        return rate_of(line->series->histogram->count, line->before->histogram->count, 0, interval);
    return NAN;
}

/* The highest rate first, what has none last. */
static int compare_lines(const void *a, const void *b)
{
    const struct line *x = a;
    const struct line *y = b;
    double rate_x = isnan(x->rate) ? -1 : x->rate;
    double rate_y = isnan(y->rate) ? -1 : y->rate;
    if (rate_x != rate_y)
        return rate_x < rate_y ? 1 : -1;
    return (x->order > y->order) - (x->order < y->order);
}

static size_t lines_of(const struct smx_family_info *family, const struct smx_series_info *series)
{
    if (!series_is_used(series))
        return 0;
    return series_is_each(family) ? series->each.n : 1;
}

static size_t count_lines(const struct watch *watch)
{
    size_t n = 0;
    for (size_t i = 0; i < smx_reader_info(watch->now)->n_families; i++) {
        const struct smx_family_info *family = smx_reader_family(watch->now, i);
        for (size_t k = 0; k < family->n_series; k++)
            n += lines_of(family, &family->series[k]);
    }
    return n;
}

static void add_lines(struct lines *lines, const struct watch *watch,
                      const struct smx_family_info *family, const struct smx_series_info *series)
{
    for (size_t i = 0; i < lines_of(family, series); i++) {
        struct line *line = &lines->at[lines->n];
        *line = (struct line){.family = family, .series = series, .order = lines->n++};
        line->each = series_is_each(family) ? &series->each.at[i] : NULL;
        line->before = watch_before(watch, family, series);
        line->rate = series_rate(line, watch_interval(watch));
    }
}

static int collect(const struct watch *watch, struct lines *lines)
{
    *lines = (struct lines){.at = calloc(count_lines(watch) + 1, sizeof *lines->at)};
    if (!lines->at)
        return -ENOMEM;
    for (size_t i = 0; i < smx_reader_info(watch->now)->n_families; i++) {
        const struct smx_family_info *family = smx_reader_family(watch->now, i);
        for (size_t k = 0; k < family->n_series; k++)
            add_lines(lines, watch, family, &family->series[k]);
    }
    qsort(lines->at, lines->n, sizeof *lines->at, compare_lines);
    return 0;
}

/* Four significant digits, and all of those before the point. */
static void add_number(struct table *table, double value)
{
    double size = fabs(value);
    if (isnan(value))
        putc('-', table->out);
    else if (size >= 1000)
        fprintf(table->out, "%.0f", value);
    else
        fprintf(table->out, "%.4g", value);
    table_next(table);
}

/* A statistic in the family's unit; durations in the unit that suits them. */
static void add_measure(struct table *table, const struct smx_family_info *family, double value)
{
    static const struct {
        double least;
        const char *name;
    } units[] = {{1, "s"}, {1e-3, "ms"}, {1e-6, "us"}, {1e-9, "ns"}};
    if (strcmp(family->unit.at, "seconds") != 0 || !(value > 0)) {
        add_number(table, value);
        return;
    }
    size_t i = 0;
    while (i < 3 && value < units[i].least)
        i++;
    fprintf(table->out, "%.4g %s", value / units[i].least, units[i].name);
    table_next(table);
}

static void add_statistics(struct table *table, const struct smx_histogram_info *histogram)
{
    add_measure(table, histogram->family, smx_histogram_average(histogram));
    add_measure(table, histogram->family, smx_histogram_quantile(histogram, 0.5));
    add_measure(table, histogram->family, smx_histogram_quantile(histogram, 0.99));
}

/* What was recorded between two snapshots, as a histogram of its own. Its minimum and maximum are
 * not known. Returns false where there is nothing to say. */
static bool subtract(const struct smx_histogram_info *now, const struct smx_histogram_info *before,
                     uint64_t *buckets, struct smx_histogram_info *result)
{
    *result = (struct smx_histogram_info){.buckets = buckets, .family = now->family};
    for (size_t i = 0; i < now->family->n_buckets; i++) {
        if (now->buckets[i] < before->buckets[i])
            return false;
        buckets[i] = now->buckets[i] - before->buckets[i];
        result->count += buckets[i];
    }
    result->sum = now->sum - before->sum;
    return result->count > 0;
}

static int add_histogram(struct table *table, const struct line *line)
{
    const struct smx_histogram_info *now = line->series->histogram;
    uint64_t *buckets = calloc(line->family->n_buckets + 1, sizeof *buckets);
    if (!buckets)
        return -ENOMEM;
    struct smx_histogram_info recent;
    if (line->before && subtract(now, line->before->histogram, buckets, &recent))
        add_statistics(table, &recent);
    else
        for (int i = 0; i < 3; i++)
            table_cell(table, "-");
    fprintf(table->out, "%" PRIu64, now->count);
    table_next(table);
    add_statistics(table, now);
    free(buckets);
    return 0;
}

static int add_line(struct table *table, const struct line *line)
{
    int result = 0;
    add_number(table, line->rate);
    if (line->family->type == SMX_HISTOGRAM) {
        result = add_histogram(table, line);
    } else {
        for (int i = 0; i < 3; i++)
            table_cell(table, "");
        series_write_value(table->out, line->family, line->series, line->each);
        table_next(table);
        for (int i = 0; i < 3; i++)
            table_cell(table, "");
    }
    plain_write(table->out, line->family->name.at, line->family->name.length);
    series_write_labels(table->out, line->family, line->series, line->each);
    table_next(table);
    return result;
}

static void write_heading(FILE *out, const struct watch *watch)
{
    const struct smx_segment_info *info = smx_reader_info(watch->now);
    uint64_t lost = 0;
    for (unsigned i = 0; i < SMX_LOST_COUNT; i++)
        lost += info->lost[i];
    plain_write(out, info->app.at, info->app.length);
    fputs(info->instance.length ? "@" : "", out);
    plain_write(out, info->instance.at, info->instance.length);
    fprintf(out, ": %zu live processes, %zu series, %.1f %% of %" PRIu64 " MiB used", info->n_live,
            info->n_series,
            info->max_bytes ? 100.0 * (double)info->allocated_bytes / (double)info->max_bytes : 0.0,
            info->max_bytes >> 20);
    if (watch->before)
        fprintf(out, ", over %.2f s", watch_interval(watch));
    if (lost)
        fprintf(out, ", %" PRIu64 " lost", lost);
    if (info->errors)
        fprintf(out, ", %" PRIu64 " unsound records", info->errors);
    putc('\n', out);
}

static int write_lines(FILE *out, const struct lines *lines)
{
    static const char *const columns[] = {"rate/s",    "avg",       "p50",       "p99",   "total",
                                          "total avg", "total p50", "total p99", "series"};
    struct table table;
    int result = table_init(&table, "rrrrrrrrl");
    for (size_t i = 0; result == 0 && i < sizeof columns / sizeof *columns; i++)
        table_cell(&table, columns[i]);
    for (size_t i = 0; result == 0 && i < lines->n; i++)
        result = add_line(&table, &lines->at[i]);
    if (result == 0)
        result = table_print(&table, out, "  ");
    table_fini(&table);
    return result;
}

int view_write(FILE *out, const struct watch *watch)
{
    if (!watch->now) {
        plain_text(out, watch->diag.text);
        putc('\n', out);
        return 0;
    }
    write_heading(out, watch);
    int result = checks_write(out, watch->now);
    if (result < 0)
        return result;
    struct lines lines;
    result = collect(watch, &lines);
    if (result == 0)
        result = write_lines(out, &lines);
    free(lines.at);
    return result;
}
