/* SPDX-License-Identifier: MIT
 *
 * result.c - what the reports of a check amount to at a time. Pure.
 */
#include <smx/reader.h>

bool smx_check_holds(const struct smx_check_info *check, const struct smx_check_report_info *report,
                     uint64_t now_ns)
{
    uint64_t age = now_ns > report->time_ns ? now_ns - report->time_ns : report->time_ns - now_ns;
    return check->interval_ns == 0 || age <= check->interval_ns;
}

/* The report of a worker that holds, or NULL. */
static const struct smx_check_report_info *holding(const struct smx_check_info *check,
                                                   uint32_t worker, uint64_t now_ns)
{
    for (size_t i = 0; i < check->n_reports; i++)
        if (check->reports[i].worker == worker)
            return smx_check_holds(check, &check->reports[i], now_ns) ? &check->reports[i] : NULL;
    return NULL;
}

struct smx_check_result smx_check_combine(const struct smx_check_info *check, uint64_t now_ns)
{
    struct smx_check_result result = {.state = SMX_CHECK_SILENT};
    for (size_t i = 0; i < check->n_reports; i++) {
        const struct smx_check_report_info *report = &check->reports[i];
        if (report->time_ns > result.newest_ns)
            result.newest_ns = report->time_ns;
        if (!smx_check_holds(check, report, now_ns))
            continue;
        result.n_holding++;
        bool newer = result.by && report->time_ns > result.by->time_ns;
        if (report->state > result.state || (report->state == result.state && newer)) {
            result.state = report->state;
            result.by = report;
        }
    }
    const struct smx_check_message *message = &check->messages[result.state];
    if (message->text.length && holding(check, message->worker, now_ns))
        result.message = message;
    return result;
}
