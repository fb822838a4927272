/* SPDX-License-Identifier: MIT
 *
 * checks.c - a line for each check, as of the moment at which its processes were looked at. Who has
 * reported what smx-dump tells.
 */
#include "checks.h"
#include "common/age.h"
#include "common/plain.h"
#include "common/table.h"

#include <errno.h>
#include <stdlib.h>

struct line {
    const struct smx_check_info *check;
    struct smx_check_result result;
    size_t order; /* checks that are as bad keep the order of the segment */
};

/* Silence is as bad as a failure; of two that are as bad the critical one is worse. */
static unsigned badness(const struct line *line)
{
    static const unsigned of[] = {[SMX_CHECK_SILENT] = 2,
                                  [SMX_CHECK_OK] = 0,
                                  [SMX_CHECK_DEGRADED] = 1,
                                  [SMX_CHECK_FAILED] = 2};
    return 2 * of[line->result.state] + line->check->critical;
}

static int compare_lines(const void *a, const void *b)
{
    const struct line *x = a;
    const struct line *y = b;
    if (badness(x) != badness(y))
        return badness(x) < badness(y) ? 1 : -1;
    return (x->order > y->order) - (x->order < y->order);
}

static struct line *collect(const smx_reader *reader, size_t n)
{
    struct line *lines = calloc(n, sizeof *lines);
    for (size_t i = 0; lines && i < n; i++) {
        const struct smx_check_info *check = smx_reader_check(reader, i);
        lines[i] =
            (struct line){check, smx_check_combine(check, smx_reader_info(reader)->looked_ns), i};
    }
    if (lines)
        qsort(lines, n, sizeof *lines, compare_lines);
    return lines;
}

static void add_line(struct table *table, const struct line *line, uint64_t now_ns)
{
    table_cell(table, smx_check_state_name(line->result.state));
    age_write(table->out, line->result.newest_ns, now_ns);
    table_next(table);
    table_cell(table, line->check->critical ? "critical" : "");
    plain_write(table->out, line->check->name.at, line->check->name.length);
    table_next(table);
    if (line->result.message)
        plain_quoted(table->out, line->result.message->text);
    table_next(table);
}

int checks_write(FILE *out, const smx_reader *reader)
{
    static const char *const columns[] = {"state", "reported", "", "check", ""};
    const struct smx_segment_info *info = smx_reader_info(reader);
    if (info->n_checks == 0 || info->n_live == 0)
        return 0;
    struct table table;
    struct line *lines = collect(reader, info->n_checks);
    int result = table_init(&table, "lrlll");
    if (!lines)
        result = -ENOMEM;
    for (size_t i = 0; result == 0 && i < sizeof columns / sizeof *columns; i++)
        table_cell(&table, columns[i]);
    for (size_t i = 0; result == 0 && i < info->n_checks; i++)
        add_line(&table, &lines[i], info->looked_ns);
    if (result == 0)
        result = table_print(&table, out, "  ");
    putc('\n', out);
    table_fini(&table);
    free(lines);
    return result;
}
