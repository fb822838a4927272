/* SPDX-License-Identifier: MIT
 *
 * scrape.c - the agent's data path without its server, for tests.
 */
#include "support/scrape.h"

#include "agent/encode/openmetrics.h"
#include "agent/encode/text.h"
#include "agent/gather/snapshot.h"
#include "support/tap.h"

#include <string.h>

void scrape_start(struct scrape *s)
{
    *s = (struct scrape){.self = {.version = "0.1.0", .revision = "abc", .started_ns = 1}};
    assert_int_equal(scratch_make(s->directory), 0);
    assert_int_equal(gather_new(&s->gather), 0);
}

void scrape_end(struct scrape *s)
{
    for (size_t i = 0; i < s->n; i++)
        smx_reader_close(s->sources[i].reader);
    gather_free(s->gather);
    buffer_fini(&s->text);
    buffer_fini(&s->openmetrics);
    buffer_fini(&s->part);
    scratch_remove(s->directory);
}

static void add_reader(struct scrape *s, const char *path)
{
    struct smx_diag diag = {0};
    assert_true(s->n < SCRAPE_SOURCES);
    if (smx_reader_open(path, &s->sources[s->n].reader, &diag) < 0)
        fail_msg("%s: %s", path, diag.text);
    s->n++;
}

smx_segment *scrape_open(struct scrape *s, const struct smx_options *options)
{
    struct smx_options here = *options;
    struct smx_diag diag = {0};
    smx_segment *segment;
    here.directory = s->directory;
    if (smx_open(&here, &segment, &diag) < 0)
        fail_msg("%s", diag.text);
    add_reader(s, smx_path(segment));
    return segment;
}

void scrape_save(struct scrape *s, struct segwriter *w)
{
    char path[SEGWRITER_PATH_SIZE];
    assert_int_equal(segwriter_save(w, s->directory, path), 0);
    segwriter_free(w);
    add_reader(s, path);
}

void scrape_run(struct scrape *s)
{
    const struct snapshot *snapshot;
    struct smx_diag diag = {0};
    for (size_t i = 0; i < s->n; i++)
        if (smx_reader_update(s->sources[i].reader, &diag) < 0)
            fail_msg("%s", diag.text);
    gather_escaping(s->gather, s->escaping);
    assert_int_equal(gather_run(s->gather, s->sources, s->n, &s->self, &snapshot), 0);
    struct snapshot escaped = *snapshot;
    escaped.escaping = s->escaping;
    s->text.length = 0;
    s->openmetrics.length = 0;
    escaped.created = false;
    assert_int_equal(text_encode(&escaped, &s->text), 0);
    escaped.created = snapshot->created;
    assert_int_equal(openmetrics_encode(&escaped, &s->openmetrics), 0);
}

static int starts(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static int is_wanted(const char *line, const char *prefix)
{
    if (starts(line, "# EOF"))
        return 0;
    const char *name = starts(line, "# ") ? line + sizeof "# TYPE" : line;
    if (prefix)
        return starts(name, prefix);
    return !starts(name, "smx_") && !starts(name, "process_");
}

const char *scrape_only(struct scrape *s, const struct buffer *body, const char *prefix)
{
    s->part.length = 0;
    const char *end = body->at + body->length;
    for (const char *line = body->at; line < end;) {
        const char *next = memchr(line, '\n', (size_t)(end - line));
        assert_non_null(next);
        if (is_wanted(line, prefix))
            buffer_put(&s->part, line, (size_t)(next + 1 - line));
        line = next + 1;
    }
    buffer_put(&s->part, "", 1);
    assert_false(s->part.failed);
    return s->part.at;
}

static void fill_requests(smx_segment *segment)
{
    smx_family requests = smx_counter_family(segment,
                                             &(struct smx_metric){
                                                 .name = "http_requests_total",
                                                 .help = "Requests \"served\",\nby C:\\path.",
                                                 .labels = {"method", "path"},
                                             },
                                             NULL);
    smx_counter_add(smx_counter_with(requests, SMX_VALUES("GET", "/")), 1027);
    smx_counter_add(smx_counter_with(requests, SMX_VALUES("POST", "a\\b\"c\nd\xc3\xa9")), 3);
    smx_counter busy = smx_counter_new(segment,
                                       &(struct smx_metric){.name = "busy_seconds_total",
                                                            .help = "Time at work.",
                                                            .unit = "seconds"},
                                       NULL);
    smx_counter_add(busy, 1500000001);
}

static void fill_gauges(smx_segment *segment)
{
    smx_gauge in_flight = smx_gauge_new(
        segment, &(struct smx_metric){.name = "in_flight", .help = "Requests in flight."}, NULL);
    smx_gauge_set(in_flight, -2);
    smx_fgauge load = smx_fgauge_new(
        segment, &(struct smx_metric){.name = "load_ratio", .help = "Load.", .unit = "ratio"},
        NULL);
    smx_fgauge_set(load, 0.1);
    smx_gauge state = smx_gauge_new(
        segment, &(struct smx_metric){.name = "worker_state", .help = "State.", .mode = SMX_EACH},
        NULL);
    smx_gauge_set(state, 4);
    (void)smx_gauge_new(segment, &(struct smx_metric){.name = "never_written", .help = "Nothing."},
                        NULL);
}

static void fill_histograms(smx_segment *segment)
{
    static const double bounds[] = {0.05, 1, 2.5};
    smx_family explicit = smx_histogram_family(segment,
                                               &(struct smx_metric){.name = "wait_seconds",
                                                                    .help = "Waiting.",
                                                                    .unit = "seconds",
                                                                    .labels = {"queue"},
                                                                    .bounds = bounds,
                                                                    .n_bounds = 3},
                                               NULL);
    smx_histogram wait = smx_histogram_with(explicit, SMX_VALUES("in"));
    smx_histogram_record(wait, 50000000);
    smx_histogram_record(wait, 2000000000);
    smx_histogram_record(wait, 3000000000);
    smx_histogram sizes = smx_histogram_new(
        segment,
        &(struct smx_metric){
            .name = "size_bytes", .help = "Sizes.", .unit = "bytes", .min = 1, .max = 32},
        NULL);
    smx_histogram_record(sizes, 0);
    smx_histogram_record(sizes, 5);
    smx_histogram_record(sizes, 32);
    smx_histogram_record(sizes, 1000);
}

static void fill_states(smx_segment *segment)
{
    static const char *const states[] = {"open", "half\nopen", "closed", NULL};
    (void)smx_info(segment,
                   &(struct smx_metric){
                       .name = "build", .help = "What runs.", .labels = {"version", "commit"}},
                   SMX_VALUES("1.4.2", "a\"b"), NULL);
    smx_stateset_enter(smx_stateset_new(segment,
                                        &(struct smx_metric){.name = "circuit",
                                                             .help = "The circuit breaker.",
                                                             .states = states},
                                        NULL),
                       1);
    smx_family lamps = smx_stateset_family(segment,
                                           &(struct smx_metric){.name = "lamp",
                                                                .help = "Lamps.",
                                                                .labels = {"room"},
                                                                .mode = SMX_EACH,
                                                                .states = states + 1},
                                           NULL);
    smx_stateset_set(smx_stateset_with(lamps, SMX_VALUES("a")), 3);
    (void)smx_stateset_with(lamps, SMX_VALUES("dark"));
}

void scrape_shop(struct scrape *s)
{
    static const char *const labels[] = {"zone", "eu", NULL};
    smx_segment *a = scrape_open(s, &(struct smx_options){.app = "shop"});
    fill_requests(a);
    fill_gauges(a);
    fill_histograms(a);
    fill_states(a);
    smx_segment *b = scrape_open(
        s, &(struct smx_options){.app = "shop", .instance = "b", .constant_labels = labels});
    smx_counter busy = smx_counter_new(b,
                                       &(struct smx_metric){.name = "busy_seconds_total",
                                                            .help = "Another help.",
                                                            .unit = "seconds"},
                                       NULL);
    smx_counter_add(busy, 2000000000);
}
