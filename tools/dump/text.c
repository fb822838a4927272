/* SPDX-License-Identifier: MIT
 *
 * text.c - a segment as text for people: aligned, exact, and harmless to a terminal.
 */
#include "common/age.h"
#include "checks.h"
#include "dump.h"
#include "common/number.h"
#include "common/plain.h"
#include "common/series.h"
#include "common/table.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

static void write_date(FILE *out, uint64_t ns)
{
    time_t seconds = (time_t)(ns / 1000000000u);
    struct tm parts;
    char text[64];
    if (gmtime_r(&seconds, &parts) && strftime(text, sizeof text, "%F %T UTC", &parts))
        fputs(text, out);
}

static void write_lost(FILE *out, const struct smx_segment_info *info)
{
    const char *separator = "";
    for (unsigned i = 0; i < SMX_LOST_COUNT; i++) {
        if (info->lost[i] == 0)
            continue;
        fprintf(out, "%s%s %" PRIu64, separator, smx_lost_name(i), info->lost[i]);
        separator = ", ";
    }
    if (!*separator)
        fputs("nothing", out);
}

static void write_labels(FILE *out, const struct smx_segment_info *info)
{
    fputs(info->n_labels ? "" : "-", out);
    for (size_t i = 0; i < info->n_labels; i++) {
        fputs(i ? "," : "", out);
        plain_write(out, info->labels[i].name.at, info->labels[i].name.length);
        putc('=', out);
        plain_quoted(out, info->labels[i].value);
    }
}

static void write_format(FILE *out, const struct smx_segment_info *info)
{
    fprintf(out, "%u.%u, %s, ", info->major, info->minor,
            info->kind == SMX_KIND_STRIPED ? "striped" : "per-CPU");
    if (info->rows)
        fprintf(out, "%u rows + ", info->rows);
    fprintf(out, "%u atomic rows (histograms %u), %" PRIu32 " slots", info->counter_stripes,
            info->hist_stripes, info->slots);
}

static void write_segment(FILE *out, const struct smx_segment_info *info)
{
    plain_text(out, info->path);
    fputs("\n  application  ", out);
    plain_write(out, info->app.at, info->app.length);
    fputs("\n  instance     ", out);
    plain_text(out, info->instance.length ? info->instance.at : "-");
    fputs("\n  labels       ", out);
    write_labels(out, info);
    fputs("\n  format       ", out);
    write_format(out, info);
    fprintf(out, "\n  owner        uid %ju, mode %04o\n  created      ", (uintmax_t)info->owner,
            (unsigned)info->mode & 07777);
    write_date(out, info->created_ns);
    fputs(", ", out);
    age_write(out, info->created_ns, dump_now_ns());
    fprintf(out,
            "\n  bytes        %" PRIu64 " used of %" PRIu64 " (%.1f %%), %" PRIu64
            " reserved, %" PRIu64 " long\n",
            info->allocated_bytes, info->max_bytes,
            info->max_bytes ? 100.0 * (double)info->allocated_bytes / (double)info->max_bytes : 0.0,
            info->reserved_bytes, info->capacity_bytes);
    fprintf(out, "  contents     %zu families, %zu series, %zu live processes\n  lost         ",
            info->n_families, info->n_series, info->n_live);
    write_lost(out, info);
    fprintf(out, "\n  errors       %" PRIu64 "\n", info->errors);
}

/* requests_total{method,route}  counter */
static void write_heading(FILE *out, const struct smx_family_info *family)
{
    plain_write(out, family->name.at, family->name.length);
    for (size_t i = 0; i < family->n_labels; i++) {
        putc(i ? ',' : '{', out);
        plain_write(out, family->labels[i].at, family->labels[i].length);
    }
    fprintf(out, "%s  %s", family->n_labels ? "}" : "", series_type_name(family->type));
    if (family->type != SMX_COUNTER && family->type != SMX_HISTOGRAM)
        fprintf(out, ", %s%s", series_mode_name(family->mode),
                family->is_double ? " of doubles" : "");
    if (family->unit.length) {
        fputs(", ", out);
        plain_write(out, family->unit.at, family->unit.length);
    }
    if (family->type == SMX_HISTOGRAM && family->exponential)
        fprintf(out, ", exponential, schema %d", family->schema);
    if (family->type == SMX_HISTOGRAM)
        fprintf(out, ", %zu buckets", family->n_buckets);
    putc('\n', out);
    if (family->help.length) {
        fputs("  ", out);
        plain_write(out, family->help.at, family->help.length);
        putc('\n', out);
    }
}

static void add_histogram(struct table *table, const struct smx_family_info *family,
                          const struct smx_histogram_info *histogram)
{
    static const double quantiles[] = {0.5, 0.9, 0.99};
    char text[NUMBER_SIZE];
    bool any = histogram->count > 0;
    fprintf(table->out, "%" PRIu64, histogram->count);
    table_next(table);
    table_cell(table, number_ticks(text, histogram->sum, family->digits));
    table_cell(table, any ? number_ticks(text, histogram->min, family->digits) : "-");
    table_cell(table, number_statistic(text, smx_histogram_average(histogram)));
    for (size_t i = 0; i < sizeof quantiles / sizeof *quantiles; i++)
        table_cell(table, number_statistic(text, smx_histogram_quantile(histogram, quantiles[i])));
    table_cell(table, any ? number_ticks(text, histogram->max, family->digits) : "-");
}

static void add_series(struct table *table, const struct smx_family_info *family,
                       const struct smx_series_info *series)
{
    size_t n = series_is_each(family) ? series->each.n : 1;
    for (size_t i = 0; i < n; i++) {
        const struct smx_each *each = series_is_each(family) ? &series->each.at[i] : NULL;
        series_write_labels(table->out, family, series, each);
        table_next(table);
        if (family->type == SMX_HISTOGRAM) {
            add_histogram(table, family, series->histogram);
        } else {
            series_write_value(table->out, family, series, each);
            table_next(table);
        }
    }
}

/* {code="200"} # {trace_id="x"} 0.25 1700000000.123456789 */
static void write_exemplar(FILE *out, const struct smx_family_info *family,
                           const struct smx_exemplar *exemplar)
{
    char value[NUMBER_SIZE];
    fputs("  ", out);
    series_write_labels(out, family, &family->series[exemplar->series], NULL);
    fputs(" # {", out);
    for (size_t i = 0; i < exemplar->n_labels; i++) {
        fprintf(out, "%s%s=", i ? "," : "", exemplar->labels[i].name.at);
        plain_quoted(out, exemplar->labels[i].value);
    }
    fprintf(out, "} %s %" PRIu64 ".%09" PRIu64 "\n",
            number_ticks(value, exemplar->value, family->digits), exemplar->time_ns / 1000000000u,
            exemplar->time_ns % 1000000000u);
}

static int write_family(FILE *out, const struct smx_family_info *family)
{
    static const char *const columns[] = {"",    "count", "sum", "min", "avg",
                                          "p50", "p90",   "p99", "max"};
    bool histogram = family->type == SMX_HISTOGRAM;
    struct table table;
    write_heading(out, family);
    int result = table_init(&table, histogram ? "lrrrrrrrr" : "lr");
    for (size_t i = 0; result == 0 && histogram && i < sizeof columns / sizeof *columns; i++)
        table_cell(&table, columns[i]);
    for (size_t i = 0; result == 0 && i < family->n_series; i++)
        if (series_is_used(&family->series[i]))
            add_series(&table, family, &family->series[i]);
    if (result == 0)
        result = table_print(&table, out, "  ");
    for (size_t i = 0; result == 0 && i < family->n_exemplars; i++)
        write_exemplar(out, family, &family->exemplars[i]);
    table_fini(&table);
    return result;
}

static int write_processes(FILE *out, const struct smx_process_info *processes, size_t n)
{
    static const char *const columns[] = {"worker", "pid", "state", "role", "heartbeat"};
    uint64_t now = dump_now_ns();
    struct table table;
    int result = table_init(&table, "rrlll");
    for (size_t i = 0; result == 0 && i < sizeof columns / sizeof *columns; i++)
        table_cell(&table, columns[i]);
    for (size_t i = 0; result == 0 && i < n; i++) {
        fprintf(table.out, "%" PRIu32, processes[i].worker);
        table_next(&table);
        if (processes[i].pid > 0)
            fprintf(table.out, "%jd", (intmax_t)processes[i].pid);
        else
            putc('-', table.out);
        table_next(&table);
        table_cell(&table, processes[i].live ? "live" : "dead");
        plain_write(table.out, processes[i].role,
                    strnlen(processes[i].role, sizeof processes[i].role));
        table_next(&table);
        age_write(table.out, processes[i].heartbeat_ns, now);
        table_next(&table);
    }
    fputs("processes\n", out);
    if (result == 0)
        result = table_print(&table, out, "  ");
    table_fini(&table);
    return result;
}

int text_write(FILE *out, smx_reader *reader, const struct dump_options *options)
{
    const struct smx_segment_info *info = smx_reader_info(reader);
    const char *separator = "";
    int result = 0;
    if (dump_wants_segment(options)) {
        write_segment(out, info);
        separator = "\n";
    }
    for (size_t i = 0; result == 0 && dump_wants_families(options) && i < info->n_families; i++) {
        const struct smx_family_info *family = smx_reader_family(reader, i);
        if (!dump_wants_family(options, family))
            continue;
        fputs(separator, out);
        separator = "\n";
        result = write_family(out, family);
    }
    for (size_t i = 0; result == 0 && dump_wants_segment(options) && i < info->n_checks; i++) {
        fputs(separator, out);
        result = checks_write(out, smx_reader_check(reader, i));
    }
    if (result == 0 && dump_wants_processes(options)) {
        size_t n;
        const struct smx_process_info *processes = smx_reader_processes(reader, &n);
        fputs(separator, out);
        result = write_processes(out, processes, n);
    }
    return result;
}
