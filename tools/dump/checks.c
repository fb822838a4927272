/* SPDX-License-Identifier: MIT
 *
 * checks.c - the application's own checks, as text and as JSON: what each amounts to now, and who
 * says so.
 */
#include "checks.h"
#include "common/age.h"
#include "common/plain.h"
#include "common/table.h"
#include "dump.h"

#include <inttypes.h>

/* What the process of a report says in words, or NULL: the last one in a state to say something. */
static const struct smx_check_message *words_of(const struct smx_check_info *check,
                                                const struct smx_check_report_info *report)
{
    const struct smx_check_message *message = &check->messages[report->state];
    return message->text.length && message->worker == report->worker ? message : NULL;
}

/* database  critical, reports hold 30 s: failed */
static void write_heading(FILE *out, const struct smx_check_info *check, uint64_t now_ns)
{
    plain_write(out, check->name.at, check->name.length);
    fprintf(out, "  check%s", check->critical ? ", critical" : "");
    if (check->interval_ns)
        fprintf(out, ", a report holds %g s", (double)check->interval_ns / 1e9);
    fprintf(out, ": %s\n", smx_check_state_name(smx_check_combine(check, now_ns).state));
    if (check->help.length) {
        fputs("  ", out);
        plain_write(out, check->help.at, check->help.length);
        putc('\n', out);
    }
}

static void add_report(struct table *table, const struct smx_check_info *check,
                       const struct smx_check_report_info *report, uint64_t now_ns)
{
    const struct smx_check_message *words = words_of(check, report);
    fprintf(table->out, "%" PRIu32, report->worker);
    table_next(table);
    table_cell(table, smx_check_state_name(report->state));
    age_write(table->out, report->time_ns, now_ns);
    table_next(table);
    table_cell(table, smx_check_holds(check, report, now_ns) ? "" : "expired");
    if (words)
        plain_quoted(table->out, words->text);
    table_next(table);
}

int checks_write(FILE *out, const struct smx_check_info *check)
{
    static const char *const columns[] = {"worker", "state", "reported", "", ""};
    const uint64_t now_ns = dump_now_ns();
    struct table table;
    write_heading(out, check, now_ns);
    int result = table_init(&table, "rllll");
    for (size_t i = 0; result == 0 && check->n_reports && i < sizeof columns / sizeof *columns; i++)
        table_cell(&table, columns[i]);
    for (size_t i = 0; result == 0 && i < check->n_reports; i++)
        add_report(&table, check, &check->reports[i], now_ns);
    if (result == 0)
        result = table_print(&table, out, "  ");
    table_fini(&table);
    return result;
}

static json_t *report_object(struct json *json, const struct smx_check_info *check,
                             const struct smx_check_report_info *report, uint64_t now_ns)
{
    json_t *object = json_object();
    const struct smx_check_message *words = words_of(check, report);
    json_put(json, object, "worker", json_integer(report->worker));
    json_put(json, object, "state", json_string(smx_check_state_name(report->state)));
    json_put(json, object, "time_ns", json_from_exact(report->time_ns));
    json_put(json, object, "age", json_real(age_seconds(report->time_ns, now_ns)));
    json_put(json, object, "holds", json_boolean(smx_check_holds(check, report, now_ns)));
    json_put(json, object, "message", words ? json_from_str(words->text) : json_null());
    return object;
}

static json_t *check_object(struct json *json, const struct smx_check_info *check, uint64_t now_ns)
{
    json_t *object = json_object(), *reports = json_array();
    struct smx_check_result result = smx_check_combine(check, now_ns);
    json_put(json, object, "name", json_from_str(check->name));
    json_put(json, object, "help", json_from_str(check->help));
    json_put(json, object, "critical", json_boolean(check->critical));
    json_put(json, object, "interval",
             check->interval_ns ? json_real((double)check->interval_ns / 1e9) : json_null());
    json_put(json, object, "state", json_string(smx_check_state_name(result.state)));
    json_put(json, object, "message",
             result.message ? json_from_str(result.message->text) : json_null());
    for (size_t i = 0; i < check->n_reports; i++)
        json_push(json, reports, report_object(json, check, &check->reports[i], now_ns));
    json_put(json, object, "reports", reports);
    return object;
}

json_t *checks_array(struct json *json, const smx_reader *reader)
{
    const uint64_t now_ns = dump_now_ns();
    json_t *array = json_array();
    for (size_t i = 0; i < smx_reader_info(reader)->n_checks; i++)
        json_push(json, array, check_object(json, smx_reader_check(reader, i), now_ns));
    return array;
}
