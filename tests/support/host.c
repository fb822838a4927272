/* SPDX-License-Identifier: MIT
 *
 * host.c - one family of each kind, and one with labels, by the public interface alone.
 */
#include "support/host.h"

#include "support/patience.h"
#include "support/process.h"
#include "support/soundness.h"
#include "support/worker.h"

#include <smx/reader.h>

#include <errno.h>
#include <string.h>

enum { GUARD = 4321, FAMILIES = 6, SERIES = 8 };

/* A call of libshm, after which errno is what it was. */
#define QUIET(call)                                                                                \
    do {                                                                                           \
        errno = GUARD;                                                                             \
        call;                                                                                      \
        CHECK(errno == GUARD);                                                                     \
    } while (0)

static int use_counters(smx_segment *segment, struct host_tally *tally)
{
    static const char *const values[] = {"a", "b"};
    struct smx_metric plain = {.name = "plain_total"};
    struct smx_metric labelled = {.name = "labelled_total", .labels = {"of"}};
    smx_counter counter;
    smx_family family;
    QUIET(counter = smx_counter_new(segment, &plain, NULL));
    QUIET(smx_counter_inc(counter));
    tally->plain += counter.base != NULL;
    tally->refused += counter.base == NULL;
    QUIET(family = smx_counter_family(segment, &labelled, NULL));
    tally->refused += family.record == NULL;
    for (int i = 0; i < 2; i++) {
        QUIET(counter = smx_counter_with(family, SMX_VALUES(values[i])));
        QUIET(smx_counter_inc(counter));
        /* Where there is a family, there is a series, if only that of the overflow. */
        CHECK((counter.base != NULL) == (family.record != NULL));
        tally->labelled += counter.base != NULL;
    }
    return 0;
}

static int use_histograms(smx_segment *segment, struct host_tally *tally)
{
    static const double bounds[] = {1, 2, 4};
    struct smx_metric plan[2] = {{.name = "took_seconds", .unit = "seconds"},
                                 {.name = "sizes", .bounds = bounds, .n_bounds = 3}};
    for (int i = 0; i < 2; i++) {
        smx_histogram histogram;
        QUIET(histogram = smx_histogram_new(segment, &plan[i], NULL));
        QUIET(smx_histogram_record(histogram, 3));
        tally->observed += histogram.base != NULL;
        tally->refused += histogram.base == NULL;
    }
    return 0;
}

static int use_gauges(smx_segment *segment, struct host_tally *tally)
{
    struct smx_metric each = {.name = "each", .mode = SMX_EACH};
    struct smx_metric last = {.name = "last", .mode = SMX_LAST};
    smx_gauge gauge;
    smx_fgauge fgauge;
    QUIET(gauge = smx_gauge_new(segment, &each, NULL));
    QUIET(smx_gauge_set(gauge, 7));
    tally->refused += gauge.base == NULL;
    bool dropped = gauge.base && smx_gauge_value(gauge) != 7;
    CHECK(!dropped || smx_worker(segment) < 0);
    tally->dropped += dropped;
    QUIET(fgauge = smx_fgauge_new(segment, &last, NULL));
    QUIET(smx_fgauge_set(fgauge, 0.5));
    tally->refused += fgauge.base == NULL;
    CHECK(!fgauge.base || smx_fgauge_value(fgauge) == 0.5);
    return 0;
}

int host_use(smx_segment *segment, struct host_tally *tally)
{
    struct host_tally nowhere = {0};
    /* Without a segment nothing is lost but what nobody counts. */
    struct host_tally *t = segment ? tally : &nowhere;
    QUIET(smx_heartbeat(segment));
    QUIET(smx_set_role(segment, "worker"));
    return use_counters(segment, t) || use_histograms(segment, t) || use_gauges(segment, t);
}

struct use {
    smx_segment *segment;
    struct host_tally *tally;
};

static int use_it(void *argument)
{
    const struct use *use = argument;
    return host_use(use->segment, use->tally);
}

int host_use_in_child(smx_segment *segment, struct host_tally *tally)
{
    struct use use = {segment, tally};
    return worker_run(use_it, &use);
}

int host_recovers(smx_segment *segment, struct host_tally *tally)
{
    uint64_t deadline = now_ms() + PATIENCE_MS;
    uint64_t refused;
    do {
        refused = tally->refused;
        CHECK(host_use(segment, tally) == 0);
    } while (tally->refused != refused && now_ms() < deadline);
    uint64_t dropped = tally->dropped;
    CHECK(host_use_in_child(segment, tally) == 0);
    CHECK(tally->refused == refused && tally->dropped == dropped);
    CHECK(smx_worker(segment) >= 0);
    return 0;
}

static uint64_t count_of(const struct smx_family_info *f, const struct smx_series_info *series)
{
    return f->type == SMX_HISTOGRAM ? series->histogram->count : series->count;
}

/* What the counters and histograms of a name have counted; "": the overflow series of all. */
static uint64_t sum_of(const smx_reader *reader, const char *name)
{
    uint64_t sum = 0;
    const struct smx_family_info *f;
    for (size_t i = 0; (f = smx_reader_family(reader, i)); i++)
        for (size_t k = 0; k < f->n_series; k++)
            if (*name ? strcmp(f->name.at, name) == 0 : f->series[k].overflow)
                sum += count_of(f, &f->series[k]);
    return sum;
}

static int compare(const smx_reader *reader, const struct host_tally *tally)
{
    const struct smx_segment_info *info = smx_reader_info(reader);
    CHECK(soundness_fault(reader) == NULL);
    CHECK(info->errors == 0 && info->n_families == FAMILIES && info->n_series == SERIES);
    CHECK(sum_of(reader, "plain_total") == tally->plain);
    CHECK(sum_of(reader, "labelled_total") == tally->labelled);
    CHECK(sum_of(reader, "took_seconds") + sum_of(reader, "sizes") == tally->observed);
    /* Each loss once: a refusal, or a lookup that got the overflow series. */
    CHECK(info->lost[SMX_LOST_SPACE] == tally->refused + sum_of(reader, ""));
    CHECK(info->lost[SMX_LOST_GAUGE] == tally->dropped);
    CHECK(info->lost[SMX_LOST_CONFLICT] == 0 && info->lost[SMX_LOST_INVALID] == 0);
    return 0;
}

int host_compare(const smx_segment *segment, const struct host_tally *tally)
{
    smx_reader *reader;
    struct smx_diag diag = {0, ""};
    int error = smx_reader_open(smx_path(segment), &reader, &diag);
    if (!error)
        error = smx_reader_update(reader, &diag);
    if (error)
        fprintf(stderr, "# %s\n", diag.text);
    CHECK(error == 0);
    int fault = compare(reader, tally);
    smx_reader_close(reader);
    return fault;
}
