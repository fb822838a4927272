/* SPDX-License-Identifier: MIT
 *
 * json.c - one object a line, for programs; smx-bench(1) lists its members.
 */
#include "report/report.h"

#include <jansson.h>

static void put_integer(json_t *object, const char *name, uint64_t value)
{
    if (value)
        json_object_set_new(object, name, json_integer((json_int_t)value));
}

static void row(struct report *report, const struct bench_case *bench,
                const struct bench_result *result)
{
    static const char *const units[] = {
        [BENCH_NS] = "ns_per_op", [BENCH_MS] = "ms", [BENCH_BYTES] = "bytes"};
    json_t *object = json_pack("{ss ss}", "name", bench->name, "group", bench->group);
    if (!object)
        return;
    put_integer(object, "procs", bench->procs);
    json_object_set_new(object, "series", json_integer((json_int_t)bench->series));
    put_integer(object, "rows", result->rows);
    put_integer(object, "segments", bench->segments);
    put_integer(object, "gauges", bench->gauges);
    if (bench->kind)
        json_object_set_new(object, "kind", json_string(bench->kind));
    json_object_set_new(object, units[bench->unit], json_real(result->median));
    json_object_set_new(object, "min", json_real(result->min));
    json_object_set_new(object, "max", json_real(result->max));
    if (result->ratio > 0)
        json_object_set_new(object, "ratio", json_real(result->ratio));
    if (bench->reach > 0) {
        json_object_set_new(object, "reach", json_real(bench->reach));
        json_object_set_new(object, "reached", json_boolean(report_reached(bench, result)));
    }
    if (result->counts)
        json_object_set_new(object, "lost", json_integer((json_int_t)result->lost));
    json_dumpf(object, report->out, JSON_COMPACT | JSON_REAL_PRECISION(6));
    json_decref(object);
    fputc('\n', report->out);
}

const struct report_format report_json = {.row = row};
