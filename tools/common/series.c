/* SPDX-License-Identifier: MIT
 *
 * series.c - a family and its series in words.
 */
#include "common/series.h"
#include "common/number.h"
#include "common/plain.h"

#include <inttypes.h>

const char *series_type_name(enum smx_type type)
{
    switch (type) {
    case SMX_COUNTER:
        return "counter";
    case SMX_GAUGE:
        return "gauge";
    case SMX_HISTOGRAM:
        return "histogram";
    case SMX_INFO:
        return "info";
    case SMX_STATESET:
        return "stateset";
    }
    return "unknown";
}

const char *series_mode_name(enum smx_mode mode)
{
    static const char *const names[] = {
        [SMX_SUM] = "sum", [SMX_MIN] = "min",   [SMX_MAX] = "max",
        [SMX_AVG] = "avg", [SMX_LAST] = "last", [SMX_EACH] = "each",
    };
    return (size_t)mode < sizeof names / sizeof *names ? names[mode] : "unknown";
}

bool series_is_each(const struct smx_family_info *family)
{
    return family->mode == SMX_EACH; /* which only gauges, infos and statesets have */
}

bool series_is_used(const struct smx_series_info *series)
{
    return !series->overflow || series->present;
}

void series_write_labels(FILE *out, const struct smx_family_info *family,
                         const struct smx_series_info *series, const struct smx_each *each)
{
    size_t n = series->values ? family->n_labels : 0;
    if (n == 0 && !series->overflow && !each)
        return;
    const char *separator = "{";
    for (size_t i = 0; i < n; i++, separator = ",") {
        fputs(separator, out);
        plain_write(out, family->labels[i].at, family->labels[i].length);
        putc('=', out);
        plain_quoted(out, series->values[i]);
    }
    if (series->overflow) {
        fprintf(out, "%s" SERIES_OVERFLOW_LABEL "=\"" SERIES_OVERFLOW_VALUE "\"", separator);
        separator = ",";
    }
    if (each)
        fprintf(out, "%sworker=\"%" PRIu32 "\"", separator, each->worker);
    putc('}', out);
}

static void write_gauge(FILE *out, bool is_double, int64_t integer, double real)
{
    char text[NUMBER_SIZE];
    if (is_double)
        fputs(number_double(text, real), out);
    else
        fprintf(out, "%" PRId64, integer);
}

/* Those that are on: open,slow. */
static void write_states(FILE *out, const struct smx_family_info *family, uint64_t bits)
{
    const char *separator = bits ? "" : "none";
    for (size_t i = 0; i < family->n_states; i++) {
        if (!(bits >> i & 1))
            continue;
        fputs(separator, out);
        plain_write(out, family->states[i].at, family->states[i].length);
        separator = ",";
    }
    if (!bits)
        fputs(separator, out);
}

void series_write_value(FILE *out, const struct smx_family_info *family,
                        const struct smx_series_info *series, const struct smx_each *each)
{
    char text[NUMBER_SIZE];
    if (family->type == SMX_COUNTER)
        fputs(number_ticks(text, series->count, family->digits), out);
    else if (!each && !series->present)
        putc('-', out);
    else if (family->type == SMX_STATESET)
        write_states(out, family, (uint64_t)(each ? each->value.integer : series->integer));
    else if (each)
        write_gauge(out, family->is_double, each->value.integer, each->value.real);
    else
        write_gauge(out, family->is_double, series->integer, series->real);
}
