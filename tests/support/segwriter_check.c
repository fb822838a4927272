/* SPDX-License-Identifier: MIT
 *
 * segwriter_check.c - the checks of the segment writer: a record, a gauge's cell, and what was said
 * last of each state.
 */
#include "support/segwriter_parts.h"

#include <string.h>

enum { CHECK_SIZE = 808, REPORTS_AT = 40, REPORT_SIZE = 256 };

uint64_t segwriter_check(struct segwriter *w, const struct segwriter_check *check)
{
    const char *help = check->help ? check->help : "";
    const size_t name_len = strlen(check->name), help_len = strlen(help);
    uint64_t cell = segwriter_gauge_cell(w);
    uint64_t at = segwriter_record(w, 4, CHECK_SIZE - 16 + name_len + help_len);
    segwriter_put(w, at + 16, 8, cell);
    segwriter_put(w, at + 24, 2, name_len);
    segwriter_put(w, at + 26, 2, help_len);
    segwriter_put(w, at + 28, 4, 1);
    segwriter_put(w, at + 32, 8, (uint64_t)(check->critical != 0) << 32 | check->interval_ms);
    memcpy(w->bytes + at + CHECK_SIZE, check->name, name_len);
    memcpy(w->bytes + at + CHECK_SIZE + name_len, help, help_len);
    return at;
}

uint64_t segwriter_report(struct segwriter *w, uint64_t check,
                          const struct segwriter_report *report)
{
    const uint64_t value = report->time_ms << 8 | report->state;
    const uint64_t cell = segwriter_get(w, check + 16, 8) + UINT64_C(64) * report->row;
    const uint64_t at = check + REPORTS_AT + UINT64_C(256) * (report->state - 1u);
    segwriter_put(w, cell, 8, report->owner);
    segwriter_put(w, cell + 8, 8, value);
    if (!report->message)
        return at;
    size_t length = strlen(report->message);
    segwriter_require(length <= REPORT_SIZE - 32, "a message is too long");
    segwriter_put(w, at + 8, 8, report->owner);
    segwriter_put(w, at + 16, 8, value);
    segwriter_put(w, at + 24, 8, length);
    memcpy(w->bytes + at + 32, report->message, length);
    segwriter_seal(w, at);
    return at;
}
