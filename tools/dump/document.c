/* SPDX-License-Identifier: MIT
 *
 * document.c - a segment as one JSON document. smx-dump(1) describes every member; a member that is
 * there stays, with its type, as long as "schema" is the same.
 */
#include "common/age.h"
#include "checks.h"
#include "json.h"
#include "common/number.h"
#include "common/series.h"
#include "dump.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <time.h>

static json_t *from_date(uint64_t ns)
{
    time_t seconds = (time_t)(ns / 1000000000u);
    struct tm parts;
    char text[64];
    if (!gmtime_r(&seconds, &parts) || !strftime(text, sizeof text, "%FT%TZ", &parts))
        return json_null();
    return json_string(text);
}

static json_t *from_statistic(double value)
{
    return isnan(value) ? json_null() : json_from_double(value);
}

static json_t *bytes_object(struct json *json, const struct smx_segment_info *info)
{
    json_t *bytes = json_object();
    json_put(json, bytes, "used", json_from_count(info->allocated_bytes));
    json_put(json, bytes, "budget", json_from_count(info->max_bytes));
    json_put(json, bytes, "reserved", json_from_count(info->reserved_bytes));
    json_put(json, bytes, "capacity", json_from_count(info->capacity_bytes));
    return bytes;
}

static json_t *segment_object(struct json *json, const struct smx_segment_info *info)
{
    json_t *segment = json_object();
    json_put_identity(json, segment, info);
    json_put(json, segment, "major", json_integer(info->major));
    json_put(json, segment, "minor", json_integer(info->minor));
    json_put(json, segment, "kind",
             json_string(info->kind == SMX_KIND_STRIPED ? "striped" : "percpu"));
    json_put(json, segment, "rows", json_integer(info->rows));
    json_put(json, segment, "counter_stripes", json_integer(info->counter_stripes));
    json_put(json, segment, "histogram_stripes", json_integer(info->hist_stripes));
    json_put(json, segment, "slots", json_integer(info->slots));
    json_put(json, segment, "owner", json_integer(info->owner));
    json_put(json, segment, "mode", json_integer(info->mode & 07777));
    json_put(json, segment, "created", from_date(info->created_ns));
    json_put(json, segment, "created_ns", json_from_exact(info->created_ns));
    json_put(json, segment, "bytes", bytes_object(json, info));
    json_t *lost = json_object();
    for (unsigned i = 0; i < SMX_LOST_COUNT; i++)
        json_put(json, lost, smx_lost_name(i), json_from_count(info->lost[i]));
    json_put(json, segment, "lost", lost);
    json_put(json, segment, "families", json_integer((json_int_t)info->n_families));
    json_put(json, segment, "series", json_integer((json_int_t)info->n_series));
    json_put(json, segment, "errors", json_from_count(info->errors));
    json_t *unsound = json_object();
    for (unsigned i = 0; i < SMX_UNSOUND_COUNT; i++)
        if (info->unsound[i])
            json_put(json, unsound, smx_unsound_name(i), json_from_count(info->unsound[i]));
    json_put(json, segment, "unsound", unsound);
    return segment;
}

static json_t *labels_object(struct json *json, const struct smx_family_info *family,
                             const struct smx_series_info *series)
{
    json_t *labels = json_object();
    for (size_t i = 0; series->values && i < family->n_labels; i++)
        json_put_str(json, labels, family->labels[i], json_from_str(series->values[i]));
    if (series->overflow)
        json_put(json, labels, SERIES_OVERFLOW_LABEL, json_string(SERIES_OVERFLOW_VALUE));
    return labels;
}

/* A histogram's members: count, then what is measured in the unit, null while there is nothing. */
static void put_histogram(struct json *json, json_t *object, const struct smx_histogram_info *h)
{
    unsigned digits = h->family->digits;
    bool any = h->count > 0;
    json_put(json, object, "count", json_from_count(h->count));
    json_put(json, object, "sum", json_from_ticks(h->sum, digits));
    json_put(json, object, "sum_ticks", json_from_exact(h->sum));
    json_put(json, object, "min", any ? json_from_ticks(h->min, digits) : json_null());
    json_put(json, object, "min_ticks", any ? json_from_exact(h->min) : json_null());
    json_put(json, object, "max", any ? json_from_ticks(h->max, digits) : json_null());
    json_put(json, object, "max_ticks", any ? json_from_exact(h->max) : json_null());
    json_put(json, object, "avg", from_statistic(smx_histogram_average(h)));
    json_put(json, object, "p50", from_statistic(smx_histogram_quantile(h, 0.5)));
    json_put(json, object, "p90", from_statistic(smx_histogram_quantile(h, 0.9)));
    json_put(json, object, "p99", from_statistic(smx_histogram_quantile(h, 0.99)));
    json_t *buckets = json_array();
    for (size_t i = 0; i < h->family->n_buckets; i++)
        json_push(json, buckets, json_from_count(h->buckets[i]));
    json_put(json, object, "buckets", buckets);
}

/* {"open": true, "closed": false}, every state of a stateset. */
static json_t *states_object(struct json *json, const struct smx_family_info *family, uint64_t bits)
{
    json_t *states = json_object();
    for (size_t i = 0; i < family->n_states; i++)
        json_put_str(json, states, family->states[i], json_boolean(bits >> i & 1));
    return states;
}

static json_t *integer_value(struct json *json, const struct smx_family_info *family, int64_t value)
{
    if (family->type == SMX_STATESET)
        return states_object(json, family, (uint64_t)value);
    return json_integer(value);
}

static json_t *each_array(struct json *json, const struct smx_family_info *family,
                          const struct smx_series_info *series)
{
    json_t *array = json_array();
    for (size_t i = 0; i < series->each.n; i++) {
        const struct smx_each *each = &series->each.at[i];
        json_t *item = json_object();
        json_put(json, item, "worker", json_integer(each->worker));
        json_put(json, item, "value",
                 family->is_double ? json_from_double(each->value.real)
                                   : integer_value(json, family, each->value.integer));
        json_push(json, array, item);
    }
    return array;
}

static json_t *gauge_value(struct json *json, const struct smx_family_info *family,
                           const struct smx_series_info *series)
{
    if (!series->present)
        return json_null();
    return family->is_double ? json_from_double(series->real)
                             : integer_value(json, family, series->integer);
}

static json_t *exemplar_object(struct json *json, const struct smx_family_info *family,
                               const struct smx_exemplar *exemplar)
{
    json_t *object = json_object(), *labels = json_object();
    for (size_t i = 0; i < exemplar->n_labels; i++)
        json_put_str(json, labels, exemplar->labels[i].name,
                     json_from_str(exemplar->labels[i].value));
    json_put(json, object, "labels", labels);
    json_put(json, object, "value", json_from_ticks(exemplar->value, family->digits));
    json_put(json, object, "ticks", json_from_exact(exemplar->value));
    json_put(json, object, "time_ns", json_from_exact(exemplar->time_ns));
    if (family->type == SMX_HISTOGRAM)
        json_put(json, object, "bucket", json_integer((json_int_t)exemplar->bucket));
    return object;
}

/* Those of a series, if it has any: *next, which is moved on, is the family's first that may be. */
static void put_exemplars(struct json *json, json_t *object, const struct smx_family_info *family,
                          size_t series, size_t *next)
{
    json_t *array = NULL;
    for (; *next < family->n_exemplars && family->exemplars[*next].series <= series; ++*next) {
        const struct smx_exemplar *exemplar = &family->exemplars[*next];
        if (exemplar->series != series)
            continue;
        if (!array)
            json_put(json, object, "exemplars", array = json_array());
        json_push(json, array, exemplar_object(json, family, exemplar));
    }
}

static json_t *series_object(struct json *json, const struct smx_family_info *family,
                             const struct smx_series_info *series)
{
    json_t *object = json_object();
    json_put(json, object, "id", json_from_exact(series->id));
    json_put(json, object, "labels", labels_object(json, family, series));
    json_put(json, object, "overflow", json_boolean(series->overflow));
    if (family->type == SMX_HISTOGRAM) {
        put_histogram(json, object, series->histogram);
    } else if (family->type == SMX_COUNTER) {
        json_put(json, object, "value", json_from_ticks(series->count, family->digits));
        json_put(json, object, "ticks", json_from_exact(series->count));
    } else if (series_is_each(family)) {
        json_put(json, object, "each", each_array(json, family, series));
    } else {
        json_put(json, object, "value", gauge_value(json, family, series));
    }
    return object;
}

static void put_type(struct json *json, json_t *object, const struct smx_family_info *family)
{
    json_put(json, object, "type", json_string(series_type_name(family->type)));
    if (family->type != SMX_COUNTER && family->type != SMX_HISTOGRAM) {
        json_put(json, object, "mode", json_string(series_mode_name(family->mode)));
        if (family->type == SMX_GAUGE)
            json_put(json, object, "double", json_boolean(family->is_double));
        return;
    }
    json_put(json, object, "digits", json_integer(family->digits));
    if (family->type != SMX_HISTOGRAM)
        return;
    json_t *bounds = json_array();
    for (size_t i = 0; i + 1 < family->n_buckets; i++)
        json_push(json, bounds, json_from_double(family->upper_bounds[i]));
    json_put(json, object, "bounds", bounds);
    json_put(json, object, "schema",
             family->exponential ? json_integer(family->schema) : json_null());
    json_put(json, object, "first_index",
             family->exponential ? json_integer(family->first_index) : json_null());
}

static json_t *family_object(struct json *json, const struct smx_family_info *family)
{
    json_t *object = json_object();
    json_put(json, object, "name", json_from_str(family->name));
    json_put(json, object, "help", json_from_str(family->help));
    json_put(json, object, "unit", json_from_str(family->unit));
    put_type(json, object, family);
    json_t *labels = json_array();
    for (size_t i = 0; i < family->n_labels; i++)
        json_push(json, labels, json_from_str(family->labels[i]));
    json_put(json, object, "label_names", labels);
    json_t *series = json_array();
    for (size_t i = 0, exemplar = 0; i < family->n_series; i++) {
        if (!series_is_used(&family->series[i]))
            continue;
        json_t *one = series_object(json, family, &family->series[i]);
        put_exemplars(json, one, family, i, &exemplar);
        json_push(json, series, one);
    }
    json_put(json, object, "series", series);
    return object;
}

static json_t *process_object(struct json *json, const struct smx_process_info *process,
                              uint64_t now_ns)
{
    json_t *object = json_object();
    struct smx_str role = {process->role, strnlen(process->role, sizeof process->role)};
    uint64_t beat = process->heartbeat_ns;
    json_put(json, object, "worker", json_integer(process->worker));
    json_put(json, object, "live", json_boolean(process->live));
    json_put(json, object, "pid", json_integer(process->pid));
    json_put(json, object, "pid_ns", json_from_exact(process->pid_ns));
    json_put(json, object, "start", json_from_exact(process->start));
    json_put(json, object, "role", json_from_str(role));
    json_put(json, object, "heartbeat_ns", beat ? json_from_exact(beat) : json_null());
    json_put(json, object, "heartbeat_age",
             beat ? json_real(age_seconds(beat, now_ns)) : json_null());
    return object;
}

static json_t *families_array(struct json *json, smx_reader *reader,
                              const struct dump_options *options)
{
    json_t *array = json_array();
    for (size_t i = 0; i < smx_reader_info(reader)->n_families; i++) {
        const struct smx_family_info *family = smx_reader_family(reader, i);
        if (dump_wants_family(options, family))
            json_push(json, array, family_object(json, family));
    }
    return array;
}

static json_t *processes_array(struct json *json, smx_reader *reader)
{
    size_t n;
    const struct smx_process_info *processes = smx_reader_processes(reader, &n);
    uint64_t now_ns = dump_now_ns();
    json_t *array = json_array();
    for (size_t i = 0; i < n; i++)
        json_push(json, array, process_object(json, &processes[i], now_ns));
    return array;
}

int json_write(FILE *out, smx_reader *reader, const struct dump_options *options)
{
    struct json json;
    json_begin(&json);
    json_put(&json, json.root, "segment", segment_object(&json, smx_reader_info(reader)));
    if (dump_wants_families(options))
        json_put(&json, json.root, "families", families_array(&json, reader, options));
    if (dump_wants_segment(options))
        json_put(&json, json.root, "checks", checks_array(&json, reader));
    if (dump_wants_processes(options))
        json_put(&json, json.root, "processes", processes_array(&json, reader));
    return json_end(&json, out);
}
