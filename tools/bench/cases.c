/* SPDX-License-Identifier: MIT
 *
 * cases.c - the list of all that is measured, what of it is wanted, and running one of it. A
 * subject gives a case for each number of series and processes; the others are listed as they are.
 *
 * Each case has a process of its own, for a segment stays with a process for ever, and so that one
 * that crashes is one row less.
 */
#include "cases.h"
#include "run/limit.h"
#include "run/load.h"
#include "subjects/subjects.h"
#include "tables/tables.h"
#include "run/tree.h"

#include <errno.h>
#include <fnmatch.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

int bench_fail(struct bench_result *result, int code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(result->note, sizeof result->note, format, arguments);
    va_end(arguments);
    return code;
}

int bench_fail_errno(struct bench_result *result, const char *what)
{
    int code = -errno;
    return bench_fail(result, code, "%s: %s", what, strerror(-code));
}

static int append(struct cases *cases, const struct bench_case *bench)
{
    struct bench_case *grown = reallocarray(cases->at, cases->n + 1, sizeof *grown);
    if (!grown)
        return -ENOMEM;
    cases->at = grown;
    cases->at[cases->n++] = *bench;
    return 0;
}

/* Many series take time to register: quick runs have them with a thousand and one process only. */
static enum bench_when when_of(const struct subject *subject, uint64_t series, unsigned procs)
{
    enum { MANY = 1024 };
    if (subject->when != BENCH_QUICK)
        return subject->when;
    return series > MANY || (series > subject->series[0] && procs > 1) ? BENCH_NORMAL : BENCH_QUICK;
}

static int append_subject(struct cases *cases, const char *group, const struct subject *subject)
{
    static const unsigned procs[] = {1, 2, 8};
    int code = 0;
    for (unsigned s = 0; s < 4 && subject->series[s]; s++)
        for (unsigned p = 0; p < (subject->alone ? 1 : 3) && code == 0; p++)
            code = append(cases, &(struct bench_case){
                                     .group = group,
                                     .name = subject->name,
                                     .unit = BENCH_NS,
                                     .when = when_of(subject, subject->series[s], procs[p]),
                                     .exact = subject->exact,
                                     .procs = procs[p],
                                     .series = subject->series[s],
                                     .reach = subject->reach[s] / LIMIT_ADD_NS,
                                     .rows = subject->rows,
                                     .kind = subject->kind,
                                     .subject = subject,
                                     .run = load_run,
                                 });
    return code;
}

static int append_subjects(struct cases *cases, const char *group,
                           const struct subject *const subjects[])
{
    int code = 0;
    for (size_t i = 0; subjects[i] && code == 0; i++)
        code = append_subject(cases, group, subjects[i]);
    return code;
}

static int append_table(struct cases *cases, const struct bench_case table[])
{
    int code = 0;
    for (size_t i = 0; table[i].name && code == 0; i++)
        code = append(cases, &table[i]);
    return code;
}

int cases_init(struct cases *out)
{
    *out = (struct cases){0};
    int code = append_subjects(out, "peers", peers_atomic);
    if (code == 0)
        code = append_subjects(out, "peers", peers_mmv);
    if (code == 0)
        code = append_subjects(out, "peers", peers_clock);
    if (code == 0)
        code = append_table(out, peers_python);
    const struct {
        const char *group;
        const struct subject *const *subjects;
    } groups[] = {
        {"update", update_counter}, {"update", update_histogram}, {"update", update_gauge},
        {"update", update_find},    {"update", update_scope},     {"striped", update_striped},
        {"work", update_work},      {"work", work_scope},
    };
    for (size_t i = 0; i < sizeof groups / sizeof groups[0] && code == 0; i++)
        code = append_subjects(out, groups[i].group, groups[i].subjects);
    const struct bench_case *const tables[] = {lifecycle_cases, gather_cases, gather_limit,
                                               gather_python,   scrape_cases, memory_cases};
    for (size_t i = 0; i < sizeof tables / sizeof tables[0] && code == 0; i++)
        code = append_table(out, tables[i]);
    if (code < 0)
        cases_fini(out);
    return code;
}

void cases_fini(struct cases *cases)
{
    free(cases->at);
    *cases = (struct cases){0};
}

bool cases_has_group(const struct cases *cases, const char *group)
{
    for (size_t i = 0; i < cases->n; i++)
        if (strcmp(cases->at[i].group, group) == 0)
            return true;
    return false;
}

static bool in_groups(const struct bench_case *bench, const struct bench_options *options)
{
    for (size_t i = 0; i < options->n_groups; i++)
        if (strcmp(options->groups[i], bench->group) == 0 ||
            (bench->beside && strcmp(options->groups[i], bench->beside) == 0))
            return true;
    return options->n_groups == 0;
}

bool cases_wanted(const struct bench_case *bench, const struct bench_options *options)
{
    if (bench->when > options->when || !in_groups(bench, options))
        return false;
    char path[128];
    snprintf(path, sizeof path, "%s/%s", bench->group, bench->name);
    for (size_t i = 0; i < options->n_filters; i++)
        if (strstr(path, options->filters[i]) || fnmatch(options->filters[i], path, 0) == 0 ||
            fnmatch(options->filters[i], bench->name, 0) == 0)
            return true;
    return options->n_filters == 0;
}

static void pace(struct bench_place *place, enum bench_when when)
{
    place->repeats = when == BENCH_QUICK ? 5 : 11;
    place->laps = when == BENCH_QUICK ? 10 : 44;
    place->lap_ns = when == BENCH_QUICK ? 1000000 : 5000000;
}

/* What the case and its process have between them. */
struct outcome {
    struct bench_result result;
    int code;
};

static int await(pid_t pid, const struct outcome *outcome, struct bench_result *result)
{
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return bench_fail_errno(result, "cannot wait for the case");
    if (WIFSIGNALED(status))
        return bench_fail(result, -ECHILD, "ended by SIG%s", sigabbrev_np(WTERMSIG(status)));
    if (status != 0)
        return bench_fail(result, -ECHILD, "ended with status %d", WEXITSTATUS(status));
    *result = outcome->result;
    return outcome->code;
}

static int run_in_child(const struct bench_case *bench, const struct bench_place *place,
                        struct outcome *outcome, struct bench_result *result)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        return bench_fail_errno(result, "cannot fork");
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        outcome->code = bench->run(bench, place, &outcome->result);
        _exit(0);
    }
    return await(pid, outcome, result);
}

int cases_run(const struct bench_case *bench, const struct bench_options *options,
              const char *directory, struct bench_result *result)
{
    struct bench_place place;
    pace(&place, options->when);
    *result = (struct bench_result){0};
    snprintf(place.directory, sizeof place.directory, "%s/case", directory);
    if (mkdir(place.directory, 0700) < 0)
        return bench_fail_errno(result, place.directory);
    struct outcome *outcome = load_share(sizeof *outcome);
    if (!outcome)
        return bench_fail(result, -ENOMEM, "no memory to share");
    int code = run_in_child(bench, &place, outcome, result);
    munmap(outcome, sizeof *outcome);
    int removed = tree_remove(place.directory);
    return code == 0 && removed < 0
               ? bench_fail(result, removed, "%s: %s", place.directory, strerror(-removed))
               : code;
}
