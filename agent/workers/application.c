/* SPDX-License-Identifier: MIT
 *
 * application.c - the processes of one application: who came, who stayed, and their sums. Opens and
 * reads nothing.
 */
#include "agent/workers/application.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const enum process_value counters[COUNTERS] = {
    PROCESS_CPU, PROCESS_VOLUNTARY, PROCESS_INVOLUNTARY, PROCESS_READ, PROCESS_WRITTEN};

/* Values whose sum means something. */
static const enum process_value gauges[] = {PROCESS_RESIDENT, PROCESS_PROPORTIONAL,
                                            PROCESS_OPEN_FDS, PROCESS_THREADS};
enum { GAUGES = sizeof gauges / sizeof gauges[0] };

#define OTHER_ROLE "(other)"

static struct smx_str copy(struct smx_str text)
{
    return (struct smx_str){strndup(text.length ? text.at : "", text.length), text.length};
}

struct application *application_new(const struct smx_segment_info *info)
{
    struct application *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->shown.app = copy(info->app);
    a->shown.instance = copy(info->instance);
    if (a->shown.app.at && a->shown.instance.at)
        return a;
    application_free(a);
    return NULL;
}

void application_free(struct application *a)
{
    for (size_t i = 0; i < a->n; i++)
        proc_close(&a->workers[i].proc);
    processes_fini(&a->shown);
    free((char *)a->shown.app.at);
    free((char *)a->shown.instance.at);
    free(a->workers);
    free(a->rows);
    free(a);
}

static bool is_same(const struct worker *w, const struct smx_process_info *info)
{
    return w->row.worker == info->worker && w->pid == info->holder && w->start == info->start;
}

/* Those that have ended are closed; what they have used is in the sums. */
static void move_in(struct worker *to, const struct smx_process_info *info, struct worker **from,
                    const struct worker *end)
{
    for (; *from < end && (*from)->row.worker < info->worker; (*from)++)
        proc_close(&(*from)->proc);
    if (*from < end && is_same(*from, info))
        *to = *(*from)++;
    else
        *to = (struct worker){.pid = info->holder,
                              .start = info->start,
                              .proc = PROC_NONE,
                              .row.worker = info->worker};
    memcpy(to->row.role, info->role, sizeof to->row.role);
    to->hidden = info->holder ? HIDDEN_NOTHING : HIDDEN_NAMESPACE;
    to->read = false;
}

static int by_pid(const void *left, const void *right)
{
    const struct worker *a = *(struct worker *const *)left, *b = *(struct worker *const *)right;
    if (a->pid != b->pid)
        return a->pid < b->pid ? -1 : 1;
    return a->row.worker < b->row.worker ? -1 : 1;
}

/* A process has one slot. Who holds the locks of many is no more processes for it. order: room for
 * all of them. */
static void mark_duplicates(struct application *a, struct worker *order[])
{
    for (size_t i = 0; i < a->n; i++)
        order[i] = &a->workers[i];
    if (a->n > 1)
        qsort(order, a->n, sizeof(struct worker *), by_pid);
    for (size_t i = 1; i < a->n; i++)
        if (order[i]->pid && order[i]->pid == order[i - 1]->pid)
            order[i]->hidden = HIDDEN_DUPLICATE;
}

static void replace(struct application *a, struct worker *workers, size_t n,
                    struct process_row *rows)
{
    free(a->workers);
    free(a->rows);
    a->workers = workers;
    a->rows = rows;
    a->n = n;
    a->shown.n[PROCESS_EACH] = 0;
}

int application_take(struct application *a, const smx_reader *reader)
{
    size_t n_infos, n = 0, n_live = smx_reader_info(reader)->n_live;
    const struct smx_process_info *infos = smx_reader_processes(reader, &n_infos);
    struct worker *workers = calloc(n_live + 1, sizeof *workers);
    struct worker **order = calloc(n_live + 1, sizeof *order);
    struct process_row *rows = calloc(n_live + 1, sizeof *rows);
    if (!workers || !order || !rows) {
        free(workers);
        free(order);
        free(rows);
        return -ENOMEM;
    }
    struct worker *from = a->workers, *end = a->workers + a->n;
    for (size_t i = 0; i < n_infos && n < n_live; i++)
        if (infos[i].live)
            move_in(&workers[n++], &infos[i], &from, end);
    for (; from < end; from++)
        proc_close(&from->proc);
    replace(a, workers, n, rows);
    mark_duplicates(a, order);
    free(order);
    return 0;
}

/* Nobody has nothing: 0 of what any has ever told. */
static void begin_row(struct process_row *row, uint32_t ever)
{
    row->known = 0;
    memset(row->values, 0, sizeof row->values);
    process_row_set(row, PROCESS_NUMBER, 0);
    for (size_t i = 0; i < GAUGES; i++)
        row->known |= ever & UINT32_C(1) << gauges[i];
}

static struct total *find_total(struct application *a, const char *role)
{
    for (size_t i = 0; i < a->n_roles; i++)
        if (strcmp(a->totals[i].row.role, role) == 0)
            return &a->totals[i];
    return NULL;
}

/* The sum of a role, also after its last process has ended. The last place is for all that have
 * none; a process may have called its role so, too. */
static struct total *total_of(struct application *a, const char *role)
{
    struct total *total = find_total(a, role);
    if (!total && a->n_roles >= WORKERS_ROLES_MAX - 1)
        total = find_total(a, role = OTHER_ROLE);
    if (total)
        return total;
    total = &a->totals[a->n_roles++];
    strcpy(total->row.role, role);
    begin_row(&total->row, 0);
    return total;
}

static void count(struct total *total, struct worker *w, bool older)
{
    for (size_t i = 0; i < COUNTERS; i++) {
        if (!process_row_has(&w->row, counters[i]))
            continue;
        uint64_t now = w->row.values[counters[i]];
        if (older && !(w->counted >> i & 1))
            w->upto[i] = now;
        w->counted |= 1u << i;
        if (now > w->upto[i])
            total->counters[i] += now - w->upto[i];
        w->upto[i] = now;
    }
}

/* One that not all of the processes tell is no sum. */
static void add_gauges(struct process_row *sum, const struct process_row *row)
{
    bool first = sum->values[PROCESS_NUMBER]++ == 0;
    for (size_t i = 0; i < GAUGES; i++) {
        bool told = process_row_has(row, gauges[i]) && (first || process_row_has(sum, gauges[i]));
        sum->known &= ~(UINT32_C(1) << gauges[i]);
        if (told)
            process_row_set(sum, gauges[i], sum->values[gauges[i]] + row->values[gauges[i]]);
    }
}

static void add_ratio(struct process_row *sum, const struct process_row *row)
{
    const uint64_t most = row->values[PROCESS_MAX_FDS];
    if (!process_row_has(row, PROCESS_OPEN_FDS) || !process_row_has(row, PROCESS_MAX_FDS) || !most)
        return;
    double ratio = (double)row->values[PROCESS_OPEN_FDS] / (double)most;
    uint64_t scaled = (uint64_t)(ratio * 1e9);
    if (scaled >= sum->values[PROCESS_WORST_FD_RATIO])
        process_row_set(sum, PROCESS_WORST_FD_RATIO, scaled);
}

static void add_row(struct process_row *sum, const struct process_row *row)
{
    add_gauges(sum, row);
    add_ratio(sum, row);
}

/* Those that nobody has ever told are left out. */
static void put_counters(struct process_row *sum, const struct total *total, uint32_t known)
{
    for (size_t i = 0; i < COUNTERS; i++)
        if (known >> counters[i] & 1)
            process_row_set(sum, counters[i], sum->values[counters[i]] + total->counters[i]);
}

static void count_hidden(struct application *a, const struct worker *w, unsigned probe)
{
    const bool memory = probe & PROBE_MEMORY && w->probed_ns;
    const bool io = probe & PROBE_IO && w->probed_ns;
    a->hidden[HIDDEN_FDS] += !process_row_has(&w->row, PROCESS_OPEN_FDS);
    a->hidden[HIDDEN_MEMORY] += memory && w->proportional_bytes == UINT64_MAX;
    a->hidden[HIDDEN_IO] += io && w->read_bytes == UINT64_MAX;
}

static void add_workers(struct application *a, uint64_t began_ticks, unsigned probe)
{
    for (size_t i = 0; i < a->n; i++) {
        struct worker *w = &a->workers[i];
        a->hidden[w->hidden]++;
        if (!w->read)
            continue;
        struct total *total = total_of(a, w->row.role);
        count(total, w, w->start_ticks < began_ticks);
        total->known |= w->row.known;
        count_hidden(a, w, probe);
        add_row(&total->row, &w->row);
        add_row(&a->app_row, &w->row);
        a->rows[a->shown.n[PROCESS_EACH]++] = w->row;
    }
}

void application_sum(struct application *a, uint64_t began_ticks,
                     const struct workers_options *options)
{
    memset(a->hidden, 0, sizeof a->hidden);
    uint32_t ever = 0;
    for (size_t i = 0; i < a->n_roles; i++) {
        begin_row(&a->totals[i].row, a->totals[i].known);
        ever |= a->totals[i].known;
    }
    begin_row(&a->app_row, ever);
    a->shown.n[PROCESS_EACH] = 0;
    add_workers(a, began_ticks, options->probe);
    for (size_t i = 0; i < a->n_roles; i++) {
        a->role_rows[i] = a->totals[i].row;
        put_counters(&a->role_rows[i], &a->totals[i], a->totals[i].known);
        put_counters(&a->app_row, &a->totals[i], a->totals[i].known);
    }
    if (options->detail != WORKERS_EACH)
        a->shown.n[PROCESS_EACH] = 0;
    a->shown.n[PROCESS_BY_ROLE] = a->n_roles;
    a->shown.n[PROCESS_BY_APP] = a->n_roles > 0;
    a->shown.rows[PROCESS_EACH] = a->rows;
    a->shown.rows[PROCESS_BY_ROLE] = a->role_rows;
    a->shown.rows[PROCESS_BY_APP] = &a->app_row;
}
