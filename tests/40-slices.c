/* SPDX-License-Identifier: MIT
 *
 * 40-slices.c - families that are too large for one slice: in every format every series is there,
 * once, with its own value, however many pieces it took; and it took many.
 */
#include "support/tap.h"

#include "support/messages.h"
#include "support/scrape.h"

#include "agent/encode/openmetrics.h"
#include "agent/encode/proto.h"
#include "agent/encode/slice.h"
#include "agent/encode/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SERIES = 5000, HISTOGRAMS = 700 };

typedef bool step_fn(const struct snapshot *, struct progress *, struct buffer *);

static const struct smx_metric requests = {
    .name = "requests_total", .labels = {"n"}, .max_series = SERIES};
static const struct smx_metric depth = {.name = "depth", .labels = {"n"}, .max_series = SERIES};
static const struct smx_metric each = {
    .name = "each", .labels = {"n"}, .max_series = SERIES, .mode = SMX_EACH};
static const double bounds[] = {10, 20};
static const struct smx_metric latency = {
    .name = "latency", .labels = {"n"}, .max_series = HISTOGRAMS, .bounds = bounds, .n_bounds = 2};

static void fill(smx_segment *segment)
{
    smx_family c = smx_counter_family(segment, &requests, NULL);
    smx_family g = smx_gauge_family(segment, &depth, NULL);
    smx_family e = smx_gauge_family(segment, &each, NULL);
    smx_family h = smx_histogram_family(segment, &latency, NULL);
    for (unsigned i = 0; i < SERIES; i++) {
        char n[16];
        snprintf(n, sizeof n, "%u", i);
        smx_counter_add(smx_counter_with(c, SMX_VALUES(n)), i);
        smx_gauge_set(smx_gauge_with(g, SMX_VALUES(n)), (int64_t)i);
        smx_gauge_set(smx_gauge_with(e, SMX_VALUES(n)), (int64_t)i);
        if (i < HISTOGRAMS)
            smx_histogram_record(smx_histogram_with(h, SMX_VALUES(n)), i % 30);
    }
}

/* All in pieces, counted. */
static unsigned encode(step_fn *step, const struct snapshot *snapshot, struct buffer *out)
{
    struct progress at = {0};
    unsigned steps = 1;
    for (out->length = 0; step(snapshot, &at, out); steps++)
        continue;
    assert_false(out->failed);
    buffer_put(out, "", 1);
    out->length--;
    return steps;
}

/* Lines that begin so have the label n from 0 on, in order, each once, with n as the value. */
static void expect_lines(const struct buffer *text, const char *begin, unsigned n)
{
    unsigned found = 0;
    for (const char *line = text->at; (line = strstr(line, begin)); line++, found++) {
        char expected[64];
        snprintf(expected, sizeof expected, "n=\"%u\"", found);
        const char *end = strchr(line + 1, '\n'), *value = end;
        while (value[-1] != ' ')
            value--;
        assert_true(strstr(line, expected) < end && strstr(line, expected));
        assert_int_equal(strtoull(value, NULL, 10), found);
    }
    assert_int_equal(found, n);
}

static void expect_text(const struct buffer *text)
{
    unsigned buckets = 0, headers = 0;
    expect_lines(text, "\nrequests_total{", SERIES);
    expect_lines(text, "\ndepth{", SERIES);
    expect_lines(text, "\neach{", SERIES);
    for (const char *at = text->at; (at = strstr(at, "\nlatency_bucket{")); at++)
        buckets++;
    for (const char *at = text->at; (at = strstr(at, "\n# TYPE latency ")); at++)
        headers++;
    assert_int_equal(buckets, HISTOGRAMS * 3);
    assert_int_equal(headers, 1);
}

static void every_series_is_there_once_in_text(void **state)
{
    (void)state;
    struct scrape s;
    scrape_start(&s);
    fill(scrape_open(&s, &(struct smx_options){.app = "shop", .slots = 8}));
    scrape_run(&s);
    const struct snapshot *snapshot = gather_snapshot(s.gather);
    struct buffer out = {0};
    assert_true(encode(text_step, snapshot, &out) > snapshot->n + 6);
    expect_text(&out);
    assert_true(encode(openmetrics_step, snapshot, &out) > snapshot->n + 6);
    expect_text(&out);
    assert_string_equal(out.at + out.length - 6, "# EOF\n");
    buffer_fini(&out);
    scrape_end(&s);
}

static void every_series_is_there_once_in_messages(void **state)
{
    (void)state;
    struct scrape s;
    size_t at = 0;
    unsigned found = 0;
    scrape_start(&s);
    fill(scrape_open(&s, &(struct smx_options){.app = "shop", .slots = 8}));
    gather_messages(s.gather);
    scrape_run(&s);
    const struct snapshot *snapshot = gather_snapshot(s.gather);
    struct buffer out = {0};
    assert_true(encode(proto_step, snapshot, &out) > snapshot->n + 6);
    assert_null(messages_fault(out.at, out.length, &at));
    /* A label n, and two bytes later its value. */
    for (size_t i = 0; i + 3 < out.length; i++)
        found += memcmp(out.at + i, "\x01n\x12", 3) == 0;
    assert_int_equal(found, 3 * SERIES + HISTOGRAMS);
    buffer_fini(&out);
    scrape_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_series_is_there_once_in_text),
        cmocka_unit_test(every_series_is_there_once_in_messages),
    };
    return RUN_TESTS(tests);
}
