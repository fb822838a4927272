/* SPDX-License-Identifier: MIT
 *
 * checks.c - finds checks when names are read, and reads at every update who has reported what. The
 * cells are gauges', whose owner says whether they count (invariant 6); the words that go with them
 * are sealed, and count while their process is what they are about.
 */
#include "libshm/reader/reader.h"

#include "libshm/metric/check.h"
#include "libshm/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What changes of a check, as it lies in the file. */
struct smx__check_now {
    uint64_t terms;
    struct smx__report reports[SMX__CHECK_STATES];
};

_Static_assert(offsetof(struct smx__check, reports) - offsetof(struct smx__check, terms) ==
                   offsetof(struct smx__check_now, reports),
               "a check's terms and reports are read together");

/* Whether the texts are there, and are what they must be. */
static bool has_texts(const struct smx__raw *raw, const struct smx__check *c)
{
    const char *name = (const char *)raw->bytes + sizeof *c;
    return (size_t)c->name_len + c->help_len <= raw->size - sizeof *c &&
           smx__is_app_name(name, c->name_len) && c->help_len <= SMX_CHECK_HELP_MAX &&
           smx__is_utf8(name + c->name_len, c->help_len);
}

/* Whether there is a cell in every row. What they take is charged to the records' budget, so that
 * many checks cannot share few bytes. */
static bool has_cells(struct smx__build *b, uint64_t cell)
{
    const struct smx__header *h = &b->registry->header;
    const uint64_t rows = (uint64_t)h->slots + 1, bytes = rows * sizeof(struct smx_cell);
    const uint64_t span = ((rows - 1) << SMX_GAUGE_SHIFT) + sizeof(struct smx_cell);
    const uint64_t limit = b->cache.limit;
    if (cell < SMX__PAGE || cell % sizeof(struct smx_cell) || cell > limit || span > limit - cell ||
        bytes > b->records.budget)
        return false;
    b->records.budget -= bytes;
    return true;
}

/* The first rule that an otherwise sound check breaks among others, SMX_UNSOUND_COUNT if none. */
static enum smx_unsound rival(const struct smx__registry *r, const char *name, size_t length,
                              uint64_t cell)
{
    for (size_t i = 0; i < r->n_checks; i++) {
        const struct smx_str *other = &r->checks[i].name;
        if (other->length == length && memcmp(other->at, name, length) == 0)
            return SMX_UNSOUND_DUPLICATE;
        if (r->watched[i].cell == cell)
            return SMX_UNSOUND_OVERLAP;
    }
    return smx__place_find(r, cell) ? SMX_UNSOUND_OVERLAP : SMX_UNSOUND_COUNT;
}

/* Returns 0 or -ENOMEM. */
static int add_check(struct smx__registry *r, const struct smx__raw *raw,
                     const struct smx__check *c)
{
    const char *name = (const char *)raw->bytes + sizeof *c;
    struct smx_check_info *info = &r->checks[r->n_checks];
    if (!smx__arena_string(&r->arena, name, c->name_len, &info->name) ||
        !smx__arena_string(&r->arena, name + c->name_len, c->help_len, &info->help))
        return -ENOMEM;
    r->watched[r->n_checks++] = (struct smx__watched){.at = raw->at, .cell = c->cell};
    return 0;
}

static int find_check(struct smx__build *b, const struct smx__raw *raw)
{
    struct smx__registry *r = b->registry;
    struct smx__check c;
    memcpy(&c, raw->bytes, sizeof c);
    if (r->n_checks == SMX_CHECKS_MAX || !has_texts(raw, &c) || !has_cells(b, c.cell)) {
        r->unsound[SMX_UNSOUND_CHECK]++;
        return 0;
    }
    enum smx_unsound rule = rival(r, (const char *)raw->bytes + sizeof c, c.name_len, c.cell);
    if (rule == SMX_UNSOUND_COUNT)
        return add_check(r, raw, &c);
    r->unsound[rule]++;
    return 0;
}

int smx__checks_find(struct smx__build *b)
{
    struct smx__registry *r = b->registry;
    size_t n = b->records.n_checks < SMX_CHECKS_MAX ? b->records.n_checks : SMX_CHECKS_MAX;
    if (!r->checks) {
        r->checks = smx__arena_array(&r->arena, n, sizeof *r->checks);
        r->watched = smx__arena_array(&r->arena, n, sizeof *r->watched);
    }
    if (!r->checks || !r->watched)
        return -ENOMEM;
    for (; n && b->next < b->records.n; b->next++) {
        const struct smx__raw *raw = &b->records.raw[b->next];
        bool here = raw->kind == SMX__RECORD_CHECK;
        if (!smx__build_spend(b, sizeof *raw + (here ? raw->size + r->n_checks * 16 : 0)))
            return 1;
        int result = here ? find_check(b, raw) : 0;
        if (result != 0)
            return result;
    }
    return 0;
}

/* Room for the reports of all who live, and for what changes of the checks. */
static int reserve(struct smx__check_values *v, size_t n, size_t n_live)
{
    if (n > v->room) {
        free(v->of);
        free(v->text);
        v->of = calloc(n, sizeof *v->of);
        v->text = calloc(n, SMX__CHECK_STATES * sizeof *v->text);
        v->room = v->of && v->text ? n : 0;
    }
    if (n * n_live > v->reports_room) {
        free(v->reports);
        v->reports = calloc(n * n_live, sizeof *v->reports);
        v->reports_room = v->reports ? n * n_live : 0;
    }
    return v->room < n || v->reports_room < n * n_live ? -ENOMEM : 0;
}

int smx__checks_begin(struct smx__check_values *v, const struct smx__registry *r,
                      const struct smx__processes *processes)
{
    v->n_reports = v->next = 0;
    return reserve(v, r->n_checks, processes->n_live);
}

/* One reading of the checks. */
struct pass {
    struct smx__check_values *v;
    const struct smx__processes *processes;
    struct smx__source *file;
};

/* What those who live have reported. Row by row, as they lie in the file. */
static int read_reports(const struct pass *p, uint64_t cell)
{
    const struct smx__live *live = p->processes->live;
    const size_t n = p->processes->n_live;
    const uint64_t last = n ? (uint32_t)live[n - 1].word : 0;
    const uint64_t end = cell + (last << SMX_GAUGE_SHIFT) + sizeof(struct smx_cell);
    for (size_t i = 0; i < n; i++) {
        const uint64_t row = (uint32_t)live[i].word;
        const struct smx_cell *at =
            smx__source_view(p->file, cell + (row << SMX_GAUGE_SHIFT), sizeof *at, end);
        if (!at)
            return -EIO;
        if (at->owner != live[i].word || smx__check_state(at->value) == SMX_CHECK_SILENT)
            continue;
        p->v->reports[p->v->n_reports++] =
            (struct smx_check_report_info){.worker = (uint32_t)row - 1,
                                           .state = smx__check_state(at->value),
                                           .time_ns = smx__check_time_ns(at->value)};
    }
    return 0;
}

/* Whether a process that lives, and is in this state, has this word. */
static bool is_of(const struct pass *p, const struct smx__check_value *of, uint64_t word,
                  enum smx_check_state state)
{
    bool lives = false, says = false;
    for (size_t i = 0; i < p->processes->n_live; i++)
        lives = lives || p->processes->live[i].word == word;
    for (size_t i = 0; lives && i < of->n; i++) {
        const struct smx_check_report_info *report = &p->v->reports[of->first + i];
        says = says || (report->worker + 1 == (uint32_t)word && report->state == state);
    }
    return says;
}

/* Take the words of one state: a copy of a report that lies at an offset. */
static int take_message(const struct pass *p, size_t check, unsigned place, uint64_t at,
                        struct smx__report *report)
{
    struct smx__check_value *of = &p->v->of[check];
    char *text = p->v->text[check * SMX__CHECK_STATES + place];
    of->length[place] = 0;
    text[0] = 0;
    int result = smx__source_sealed(p->file, at, report, sizeof *report);
    if (result != 1)
        return result;
    if (!is_of(p, of, report->owner, (enum smx_check_state)(place + 1)) ||
        !smx__is_utf8(report->text, report->length))
        return 0;
    memcpy(text, report->text, report->length);
    text[report->length] = 0;
    of->length[place] = (size_t)report->length;
    of->worker[place] = (uint32_t)report->owner - 1;
    return 0;
}

static int read_check(const struct pass *p, const struct smx__watched *watched, size_t check)
{
    struct smx__check_value *of = &p->v->of[check];
    struct smx__check_now now;
    of->first = p->v->n_reports;
    int result = read_reports(p, watched->cell);
    of->n = p->v->n_reports - of->first;
    uint64_t at = watched->at + offsetof(struct smx__check, terms);
    if (result == 0)
        result = smx__source_read(p->file, at, &now, sizeof now);
    if (result != 0)
        return result;
    of->terms = now.terms;
    at += offsetof(struct smx__check_now, reports);
    for (unsigned i = 0; result == 0 && i < SMX__CHECK_STATES; i++)
        result = take_message(p, check, i, at + i * sizeof now.reports[i], &now.reports[i]);
    return result;
}

int smx__checks_step(struct smx__check_values *v, const struct smx__registry *r,
                     const struct smx__processes *processes, struct smx__source *file,
                     uint64_t max_bytes)
{
    const struct pass p = {v, processes, file};
    int result = 0;
    for (uint64_t done = 0; result == 0 && v->next < r->n_checks && done < max_bytes; v->next++) {
        result = read_check(&p, &r->watched[v->next], v->next);
        done += sizeof(struct smx__check) + (processes->n_live << SMX_GAUGE_SHIFT);
    }
    return result < 0 ? result : v->next < r->n_checks;
}

void smx__checks_show(const struct smx__check_values *v, struct smx__registry *r)
{
    for (size_t i = 0; i < r->n_checks; i++) {
        const struct smx__check_value *of = &v->of[i];
        struct smx_check_info *info = &r->checks[i];
        info->critical = smx__check_is_critical(of->terms);
        info->interval_ns = smx__check_interval_ns(of->terms);
        info->reports = of->n ? v->reports + of->first : NULL;
        info->n_reports = of->n;
        for (unsigned k = 0; k < SMX__CHECK_STATES; k++)
            info->messages[k + 1] = (struct smx_check_message){
                .text = {v->text[i * SMX__CHECK_STATES + k], of->length[k]},
                .worker = of->worker[k]};
        info->messages[0] = (struct smx_check_message){.text = {"", 0}};
    }
}

void smx__checks_free(struct smx__check_values *v)
{
    free(v->of);
    free(v->text);
    free(v->reports);
    *v = (struct smx__check_values){0};
}
