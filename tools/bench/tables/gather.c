/* SPDX-License-Identifier: MIT
 *
 * gather.c - a scrape without HTTP: update the readers, gather, encode as text, as smx-agent does
 * it; and what compressing that takes. All rows have counts, as in a segment that every CPU has
 * written to; every value moves between two scrapes (not those of many segments); and the text of
 * the last one is added up again.
 *
 * The only file of the tools that knows the agent: a benchmark of it is its client.
 */
#include "run/limit.h"
#include "run/load.h"
#include "run/page.h"
#include "run/sample.h"
#include "run/segment.h"
#include "tables/tables.h"

#include "agent/gather/gather.h"
#include "agent/encode/gzip.h"
#include "agent/encode/openmetrics.h"
#include "agent/encode/proto.h"
#include "agent/encode/text.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* A page of histograms is compared with one of so many counters. */
enum { LIMIT_OF_HISTOGRAMS = 10000 };
enum { SEGMENTS_MAX = 256, RECORDS = 100, APP_SIZE = 32 };

struct site {
    const struct bench_case *bench;
    struct gather_source sources[SEGMENTS_MAX];
    unsigned n;
    smx_counter *counters; /* or histograms */
    smx_histogram *histograms;
    struct gather *gather;
    struct buffer text;
    struct buffer messages; /* or the text, compressed */
    struct limit_page limit;
    uint64_t *expected; /* shared with the makers of segments */
};

static bool has_histograms(const struct bench_case *bench)
{
    return strcmp(bench->name, "gather_histograms") == 0;
}

static bool is_of(const struct bench_case *bench, const char *format)
{
    return strcmp(bench->name, format) == 0;
}

/* Counts into every row, by what the handle says of them; they differ, and have many digits. */
static uint64_t fill_counter(smx_counter c, uint64_t i)
{
    uint64_t sum = 0;
    for (uint64_t row = 0; row < c.rows; row++) {
        uint64_t n = (i * 2654435761u + row * 40503u) % 100000000;
        c.base[row << (SMX_COUNTER_SHIFT - 3)] += n;
        sum += n;
    }
    return sum;
}

static uint64_t fill_histogram(smx_histogram h, uint64_t i)
{
    uint64_t seed = i;
    for (unsigned k = 0; k < RECORDS; k++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        smx_histogram_record(h, (seed >> 40) << (seed >> 60));
    }
    return RECORDS;
}

/* Segment i, with its share of the series, filled. */
static int make_segment(struct site *site, const struct bench_place *place, unsigned i,
                        struct bench_result *result)
{
    char app[APP_SIZE];
    smx_segment *segment;
    const uint64_t share = site->bench->series / site->n;
    const bool histograms = has_histograms(site->bench);
    snprintf(app, sizeof app, "bench%u", i);
    const struct segment_plan plan = {
        .app = app,
        .counters = histograms ? 0 : share,
        .histograms = histograms ? share : 0,
        .rows = site->bench->rows,
    };
    int code = segment_open(&plan, place, &segment, result);
    if (code == 0 && histograms)
        code = segment_histograms(segment, site->histograms, share, false, result);
    else if (code == 0)
        code = segment_counters(segment, site->counters, share, result);
    for (uint64_t k = 0; k < share && code == 0; k++)
        *site->expected += histograms ? fill_histogram(site->histograms[k], k)
                                      : fill_counter(site->counters[k], k);
    return code;
}

/* A process opens few segments, so one of its own makes each of many; their values then stand. */
static int make_segment_elsewhere(struct site *site, const struct bench_place *place, unsigned i,
                                  struct bench_result *result)
{
    int status;
    pid_t pid = fork();
    if (pid == 0)
        _exit(make_segment(site, place, i, result) == 0 ? 0 : 1);
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        return bench_fail_errno(result, "cannot make a segment");
    return status == 0 ? 0 : bench_fail(result, -ECHILD, "cannot make segment %u", i);
}

static int open_segment(struct site *site, const struct bench_place *place, unsigned i,
                        struct bench_result *result)
{
    char app[APP_SIZE];
    char path[PATH_MAX];
    struct smx_diag diag;
    int code = (site->n > 1 ? make_segment_elsewhere : make_segment)(site, place, i, result);
    if (code < 0)
        return code;
    snprintf(app, sizeof app, "bench%u", i);
    code = smx_find(app, NULL, place->directory, path, sizeof path, &diag);
    if (code == 0)
        code = smx_reader_open(path, &site->sources[i].reader, &diag);
    return code < 0 ? bench_fail(result, code, "%s", diag.text) : 0;
}

static int open_site(struct site *site, const struct bench_place *place,
                     struct bench_result *result)
{
    const uint64_t series = site->bench->series;
    site->n = site->bench->segments ? site->bench->segments : 1;
    site->counters = calloc(series, sizeof *site->counters);
    site->histograms = calloc(series, sizeof *site->histograms);
    site->expected = load_share(sizeof *site->expected);
    if (!site->counters || !site->histograms || !site->expected || gather_new(&site->gather) < 0 ||
        limit_page_init(&site->limit, has_histograms(site->bench) ? LIMIT_OF_HISTOGRAMS : series) <
            0)
        return bench_fail(result, -ENOMEM, "no memory for the handles");
    if (is_of(site->bench, "gather_protobuf"))
        gather_messages(site->gather);
    int code = 0;
    for (unsigned i = 0; i < site->n && code == 0; i++)
        code = open_segment(site, place, i, result);
    return code;
}

static void close_site(struct site *site)
{
    for (unsigned i = 0; i < site->n; i++)
        smx_reader_close(site->sources[i].reader);
    gather_free(site->gather);
    limit_page_fini(&site->limit);
    buffer_fini(&site->text);
    buffer_fini(&site->messages);
    free(site->counters);
    free(site->histograms);
}

static void move_values(struct site *site)
{
    if (site->n > 1)
        return;
    for (uint64_t i = 0; i < site->bench->series; i++) {
        if (has_histograms(site->bench))
            smx_histogram_record(site->histograms[i], i);
        else
            smx_counter_inc(site->counters[i]);
    }
    *site->expected += site->bench->series;
}

/* One scrape, of values that have moved. Returns: its milliseconds of CPU time, or those of its
 * compression alone, or a negative errno. */
static double scrape(struct site *site)
{
    static const struct self_stats self = {.version = SMX_VERSION};
    const struct snapshot *snapshot;
    move_values(site);
    uint64_t start = sample_cpu_ns();
    for (unsigned i = 0; i < site->n; i++) {
        int code = smx_reader_update(site->sources[i].reader, NULL);
        if (code < 0)
            return code;
    }
    int code = gather_run(site->gather, site->sources, site->n, &self, &snapshot);
    site->text.length = 0;
    site->messages.length = 0;
    if (code == 0 && is_of(site->bench, "gather_protobuf"))
        code = proto_encode(snapshot, &site->messages);
    else if (code == 0)
        code = (is_of(site->bench, "gather_openmetrics") ? openmetrics_encode
                                                         : text_encode)(snapshot, &site->text);
    if (code == 0 && is_of(site->bench, "gzip_text")) {
        start = sample_cpu_ns();
        code = gzip_encode(&site->text, &site->messages);
    }
    double ms = (double)(sample_cpu_ns() - start) / 1e6;
    /* Messages are judged by tests; what they were made of is added up as text. */
    if (code == 0 && site->text.length == 0)
        code = text_encode(snapshot, &site->text);
    return code < 0 ? code : ms;
}

static uint64_t add_up(struct site *site)
{
    buffer_put(&site->text, "", 1);
    return site->text.at ? page_total(site->text.at, has_histograms(site->bench)
                                                         ? "bench_duration_seconds_count{"
                                                         : "bench_requests_total{")
                         : 0;
}

/* Workers that count in every series and are killed: what they leave behind is what every scrape
 * has to cope with from then on. */
static int kill_workers(struct site *site, struct bench_result *result)
{
    for (unsigned i = 0; i < site->bench->procs; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            for (uint64_t k = 0; k < site->bench->series; k++)
                smx_counter_inc(site->counters[k]);
            raise(SIGKILL);
        }
        if (pid < 0 || waitpid(pid, NULL, 0) < 0)
            return bench_fail_errno(result, "cannot fork a worker");
        *site->expected += site->bench->series;
    }
    return 0;
}

static int measure(struct site *site, const struct bench_place *place, struct bench_result *result)
{
    struct sample sample = {0};
    for (unsigned i = 0; i < place->repeats; i++) {
        double limit = limit_page_write(&site->limit);
        /* As of the limit, the second of two counts, whose memory no one else has used since. The
         * very first one renders the names, which are kept. */
        double ms = scrape(site);
        if (ms >= 0)
            ms = scrape(site);
        if (ms < 0)
            return bench_fail(result, (int)ms, "the scrape failed: %s", smx_strerror((int)ms));
        sample_put(&sample, ms, limit);
    }
    sample_conclude(&sample, result);
    result->counts = true;
    result->lost = (int64_t)(*site->expected - add_up(site));
    result->rows = smx_reader_info(site->sources[0].reader)->rows;
    return 0;
}

static int run(const struct bench_case *bench, const struct bench_place *place,
               struct bench_result *result)
{
    struct site site = {.bench = bench};
    int code = open_site(&site, place, result);
    if (code == 0)
        code = kill_workers(&site, result);
    if (code == 0)
        code = measure(&site, place, result);
    close_site(&site);
    return code;
}

#define GATHER(name_, when_, series_, rows_, segments_, reach_)                                    \
    {                                                                                              \
        .group = "gather", .name = (name_), .unit = BENCH_MS, .when = (when_), .exact = true,      \
        .series = (series_), .rows = (rows_), .segments = (segments_), .reach = (reach_),          \
        .run = run                                                                                 \
    }

const struct bench_case gather_cases[] = {
    GATHER("gather_text", BENCH_QUICK, 1000, 2, 0, 0),
    GATHER("gather_text", BENCH_QUICK, 10000, 2, 0, .2 / LIMIT_10K_MS),
    GATHER("gather_text", BENCH_QUICK, 100000, 2, 0, 2 / LIMIT_100K_MS),
    GATHER("gather_text", BENCH_FULL, 1000000, 2, 0, 0),
    GATHER("gather_text", BENCH_NORMAL, 10000, 1, 0, 0),
    GATHER("gather_text", BENCH_NORMAL, 10000, 8, 0, 0),
    GATHER("gather_text", BENCH_NORMAL, 10000, 64, 0, 0),
    GATHER("gather_text", BENCH_QUICK, 10000, 192, 0, 3 / LIMIT_10K_MS),
    GATHER("gather_text", BENCH_NORMAL, 10000, 512, 0, 0),
    GATHER("gather_text", BENCH_FULL, 100000, 192, 0, 0),
    GATHER("gather_openmetrics", BENCH_NORMAL, 100000, 2, 0, 0),
    GATHER("gather_protobuf", BENCH_QUICK, 100000, 2, 0, 0),
    GATHER("gzip_text", BENCH_QUICK, 100000, 2, 0, 0),
    GATHER("gather_histograms", BENCH_QUICK, 1000, 2, 0, 3 / LIMIT_10K_MS),
    GATHER("gather_histograms", BENCH_FULL, 1000, 192, 0, 0),
    GATHER("gather_segments", BENCH_NORMAL, 10000, 2, 2, 0),
    GATHER("gather_segments", BENCH_NORMAL, 10000, 2, 20, 0),
    GATHER("gather_segments", BENCH_NORMAL, 10000, 2, 200, 0),
    {"gather", "gather_after_kills", BENCH_MS, .exact = true, .series = 1000, .run = run},
    {"gather", "gather_after_kills", BENCH_MS, .exact = true, .procs = 1000, .series = 1000,
     .run = run},
    {"gather", "gather_after_kills", BENCH_MS, BENCH_FULL, .exact = true, .procs = 100000,
     .series = 1000, .run = run},
    {0},
};
