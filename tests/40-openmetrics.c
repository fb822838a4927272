/* SPDX-License-Identifier: MIT
 *
 * 40-openmetrics.c - OpenMetrics 1.0.0, byte by byte where it differs from the text format.
 */
#include "support/scrape.h"
#include "support/tap.h"

#include <inttypes.h>
#include <string.h>

static const char shop[] =
    "# TYPE http_requests counter\n"
    "# HELP http_requests Requests \\\"served\\\",\\nby C:\\\\path.\n"
    "http_requests_total{app=\"shop\",method=\"GET\",path=\"/\"} 1027\n"
    "http_requests_total{app=\"shop\",method=\"POST\",path=\"a\\\\b\\\"c\\nd\xc3\xa9\"} 3\n"
    "# TYPE busy_seconds counter\n"
    "# UNIT busy_seconds seconds\n"
    "# HELP busy_seconds Time at work.\n"
    "busy_seconds_total{app=\"shop\"} 1.500000001\n"
    "busy_seconds_total{app=\"shop\",app_instance=\"b\",zone=\"eu\"} 2.0\n"
    "# TYPE in_flight gauge\n"
    "# HELP in_flight Requests in flight.\n"
    "in_flight{app=\"shop\"} -2\n"
    "# TYPE load_ratio gauge\n"
    "# UNIT load_ratio ratio\n"
    "# HELP load_ratio Load.\n"
    "load_ratio{app=\"shop\"} 0.1\n"
    "# TYPE worker_state gauge\n"
    "# HELP worker_state State.\n"
    "worker_state{app=\"shop\",worker=\"0\"} 4\n"
    "# TYPE wait_seconds histogram\n"
    "# UNIT wait_seconds seconds\n"
    "# HELP wait_seconds Waiting.\n"
    "wait_seconds_bucket{app=\"shop\",queue=\"in\",le=\"0.05\"} 1\n"
    "wait_seconds_bucket{app=\"shop\",queue=\"in\",le=\"1.0\"} 1\n"
    "wait_seconds_bucket{app=\"shop\",queue=\"in\",le=\"2.5\"} 2\n"
    "wait_seconds_bucket{app=\"shop\",queue=\"in\",le=\"+Inf\"} 3\n"
    "wait_seconds_sum{app=\"shop\",queue=\"in\"} 5.05\n"
    "wait_seconds_count{app=\"shop\",queue=\"in\"} 3\n"
    "# TYPE size_bytes histogram\n"
    "# UNIT size_bytes bytes\n"
    "# HELP size_bytes Sizes.\n"
    "size_bytes_bucket{app=\"shop\",le=\"1.0\"} 1\n"
    "size_bytes_bucket{app=\"shop\",le=\"2.0\"} 1\n"
    "size_bytes_bucket{app=\"shop\",le=\"4.0\"} 1\n"
    "size_bytes_bucket{app=\"shop\",le=\"8.0\"} 2\n"
    "size_bytes_bucket{app=\"shop\",le=\"16.0\"} 2\n"
    "size_bytes_bucket{app=\"shop\",le=\"32.0\"} 3\n"
    "size_bytes_bucket{app=\"shop\",le=\"+Inf\"} 4\n"
    "size_bytes_sum{app=\"shop\"} 1037\n"
    "size_bytes_count{app=\"shop\"} 4\n"
    "# TYPE build info\n"
    "# HELP build What runs.\n"
    "build_info{app=\"shop\",version=\"1.4.2\",commit=\"a\\\"b\"} 1\n"
    "# TYPE circuit stateset\n"
    "# HELP circuit The circuit breaker.\n"
    "circuit{app=\"shop\",circuit=\"open\"} 0\n"
    "circuit{app=\"shop\",circuit=\"half\\nopen\"} 1\n"
    "circuit{app=\"shop\",circuit=\"closed\"} 0\n"
    "# TYPE lamp stateset\n"
    "# HELP lamp Lamps.\n"
    "lamp{app=\"shop\",room=\"a\",worker=\"0\",lamp=\"half\\nopen\"} 1\n"
    "lamp{app=\"shop\",room=\"a\",worker=\"0\",lamp=\"closed\"} 1\n";

static void one_family_of_every_kind_is_exposed_to_the_byte(void **state)
{
    (void)state;
    struct scrape s;
    scrape_start(&s);
    scrape_shop(&s);
    scrape_run(&s);
    assert_string_equal(scrape_only(&s, &s.openmetrics, NULL), shop);
    scrape_end(&s);
}

static void a_body_ends_with_one_eof_even_with_nothing_to_expose(void **state)
{
    (void)state;
    static const char eof[] = "\n# EOF\n";
    struct scrape s;
    scrape_start(&s);
    scrape_run(&s);
    size_t n = sizeof eof - 1;
    assert_memory_equal(s.openmetrics.at + s.openmetrics.length - n, eof, n);
    assert_ptr_equal(memmem(s.openmetrics.at, s.openmetrics.length, "# EOF", 5),
                     s.openmetrics.at + s.openmetrics.length - n + 1);
    scrape_end(&s);
}

static void
a_counter_without_total_is_unknown_and_a_unit_that_is_no_suffix_is_left_out(void **state)
{
    (void)state;
    static const struct segwriter_family families[] = {
        {.name = "hits", .help = "Hits.", .type = SEGWRITER_COUNTER},
        {.name = "seconds_total", .unit = "seconds", .type = SEGWRITER_COUNTER},
        {.name = "milliseconds", .unit = "seconds", .type = SEGWRITER_COUNTER},
        {.name = "bytes_sent_total", .unit = "bytes", .type = SEGWRITER_COUNTER},
        {.name = "sent_bytes_total", .unit = "bytes", .type = SEGWRITER_COUNTER},
    };
    struct scrape s;
    scrape_start(&s);
    struct segwriter *w = segwriter_new(&(struct segwriter_options){.app = "old"});
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        segwriter_series(w, segwriter_family(w, &families[i]), NULL);
    scrape_save(&s, w);
    scrape_run(&s);
    const char *body = scrape_only(&s, &s.openmetrics, NULL);
    assert_non_null(strstr(body, "# TYPE hits unknown\n# HELP hits Hits.\nhits{app=\"old\"} 0\n"));
    assert_non_null(strstr(body, "# TYPE seconds counter\nseconds_total{"));
    assert_non_null(strstr(body, "# TYPE milliseconds unknown\nmilliseconds{"));
    assert_non_null(strstr(body, "# TYPE bytes_sent counter\nbytes_sent_total{"));
    assert_non_null(strstr(body, "# UNIT sent_bytes bytes\nsent_bytes_total{"));
    scrape_end(&s);
}

/* A counter, one past the old alphabet, one without _total, and a histogram. */
static void since_when_they_count_is_said_of_counters_and_histograms_when_asked(void **state)
{
    (void)state;
    static const char format[] = "# TYPE x counter\n"
                                 "x_total{app=\"a\",l=\"1\"} 1\n"
                                 "x_created{app=\"a\",l=\"1\"} %s\n"
                                 "x_total{app=\"a\",l=\"2\"} 2\n"
                                 "x_created{app=\"a\",l=\"2\"} %s\n"
                                 "# TYPE \"y.\" counter\n"
                                 "{\"y._total\",app=\"a\"} 3\n"
                                 "{\"y._created\",app=\"a\"} %s\n"
                                 "# TYPE z unknown\n"
                                 "z{app=\"a\"} 4\n"
                                 "# TYPE h histogram\n"
                                 "h_bucket{app=\"a\",le=\"1.0\"} 1\n"
                                 "h_bucket{app=\"a\",le=\"+Inf\"} 1\n"
                                 "h_sum{app=\"a\"} 1\n"
                                 "h_count{app=\"a\"} 1\n"
                                 "h_created{app=\"a\"} %s\n";
    static const double bounds[] = {1};
    struct scrape s;
    scrape_start(&s);
    smx_segment *segment = scrape_open(&s, &(struct smx_options){.app = "a"});
    smx_family x =
        smx_counter_family(segment, &(struct smx_metric){.name = "x_total", .labels = {"l"}}, NULL);
    smx_counter_add(smx_counter_with(x, SMX_VALUES("1")), 1);
    smx_counter_add(smx_counter_with(x, SMX_VALUES("2")), 2);
    smx_counter_add(smx_counter_new(segment, &(struct smx_metric){.name = "y._total"}, NULL), 3);
    smx_counter_add(smx_counter_new(segment, &(struct smx_metric){.name = "z"}, NULL), 4);
    struct smx_metric h = {.name = "h", .bounds = bounds, .n_bounds = 1};
    smx_histogram_record(smx_histogram_new(segment, &h, NULL), 1);
    smx_gauge_set(smx_gauge_new(segment, &(struct smx_metric){.name = "x_created"}, NULL), 5);
    gather_set(s.gather, &(struct gather_rules){.created = true});
    s.escaping = ESCAPING_UTF8;
    scrape_run(&s);
    uint64_t ns = smx_reader_info(s.sources[0].reader)->created_ns;
    char time[32], expected[2048];
    snprintf(time, sizeof time, "%" PRIu64 ".%09" PRIu64, ns / 1000000000, ns % 1000000000);
    for (size_t end = strlen(time); time[end - 1] == '0' && time[end - 2] != '.';)
        time[--end] = '\0';
    snprintf(expected, sizeof expected, format, time, time, time, time);
    assert_string_equal(scrape_only(&s, &s.openmetrics, NULL), expected);
    assert_null(strstr(scrape_only(&s, &s.text, NULL), "_created"));
    size_t n;
    const struct gather_conflict *left_out = gather_conflicts(s.gather, &n);
    assert_int_equal(n, 1);
    assert_string_equal(left_out[0].name, "x_created");
    scrape_end(&s);
}

/* A scraper that changes the format must not see other series, nor other values. */
static void sample_lines_are_the_same_bytes_in_both_formats(void **state)
{
    (void)state;
    struct scrape s;
    struct buffer text = {0}, openmetrics = {0};
    const struct {
        const struct buffer *from;
        struct buffer *to;
    } bodies[] = {{&s.text, &text}, {&s.openmetrics, &openmetrics}};
    scrape_start(&s);
    scrape_shop(&s);
    scrape_run(&s);
    for (size_t i = 0; i < 2; i++) {
        char *copy = strndup(bodies[i].from->at, bodies[i].from->length);
        char *rest = copy;
        for (char *line; (line = strsep(&rest, "\n"));)
            if (*line && *line != '#') {
                buffer_puts(bodies[i].to, line);
                buffer_puts(bodies[i].to, "\n");
            }
        buffer_put(bodies[i].to, "", 1);
        free(copy);
    }
    assert_true(text.length > 1000);
    assert_string_equal(text.at, openmetrics.at);
    buffer_fini(&text);
    buffer_fini(&openmetrics);
    scrape_end(&s);
}

/* One line of a body, by its beginning. */
static const char *line_of(struct scrape *s, const struct buffer *body, const char *begin)
{
    static char line[2048];
    const char *at = strstr(scrape_only(s, body, NULL), begin);
    if (!at)
        fail_msg("no line %s", begin);
    const size_t n = strcspn(at, "\n");
    assert_true(n < sizeof line);
    memcpy(line, at, n);
    line[n] = '\0';
    return line;
}

static struct segwriter *with_exemplars(void)
{
    static const double bounds[] = {0.5, 1, 2};
    static const char *const escaped[] = {"trace_id", "a\"b\\c\nd", "span", "\xc3\xa4", NULL};
    static const char *const plain[] = {"id", "1", NULL};
    static const char *const none[] = {NULL};
    struct segwriter *w = segwriter_new(&(struct segwriter_options){.app = "x"});
    uint64_t counter =
        segwriter_series(w,
                         segwriter_family(w, &(struct segwriter_family){.name = "c_seconds_total",
                                                                        .type = SEGWRITER_COUNTER,
                                                                        .digits = 3}),
                         NULL);
    segwriter_count(w, counter, 0, 2500);
    (void)segwriter_exemplar(w, segwriter_exemplars(w, counter, 1), 0, 250, 1700000000123456789,
                             escaped);
    uint64_t unknown = segwriter_series(
        w, segwriter_family(w, &(struct segwriter_family){.name = "u", .type = SEGWRITER_COUNTER}),
        NULL);
    (void)segwriter_exemplar(w, segwriter_exemplars(w, unknown, 1), 0, 1, 1, plain);
    uint64_t hist =
        segwriter_series(w,
                         segwriter_family(w, &(struct segwriter_family){.name = "h",
                                                                        .type = SEGWRITER_HISTOGRAM,
                                                                        .digits = 1,
                                                                        .bounds = bounds,
                                                                        .n_bounds = 3}),
                         NULL);
    segwriter_bucket(w, hist, 0, 1, 2);
    segwriter_bucket(w, hist, 0, 3, 1);
    uint64_t places = segwriter_exemplars(w, hist, 4);
    (void)segwriter_exemplar(w, places, 1, 10, 1500000000, plain);
    (void)segwriter_exemplar(w, places, 3, 21, 1700000000000000000, none);
    return w;
}

/* Two in the range of one exposed bucket: the one of the later time. */
static struct segwriter *with_merged_buckets(void)
{
    static const char *const earlier[] = {"id", "earlier", NULL};
    static const char *const later[] = {"id", "later", NULL};
    struct segwriter *w = segwriter_new(&(struct segwriter_options){.app = "x"});
    uint64_t hist =
        segwriter_series(w,
                         segwriter_family(w, &(struct segwriter_family){.name = "e",
                                                                        .type = SEGWRITER_HISTOGRAM,
                                                                        .schema = 3,
                                                                        .first_index = 0,
                                                                        .n_exponential = 40}),
                         NULL);
    uint64_t places = segwriter_exemplars(w, hist, 16);
    /* Bucket i ends with 2^((i - 1) / 8): three is in the 14th, four in the 17th of 42. */
    (void)segwriter_exemplar(w, places, 17 * 16 / 42, 4, 2, later);
    (void)segwriter_exemplar(w, places, 14 * 16 / 42, 3, 1, earlier);
    return w;
}

static void exemplars_are_those_of_openmetrics_and_no_other_formats(void **state)
{
    (void)state;
    struct scrape s;
    scrape_start(&s);
    scrape_save(&s, with_exemplars());
    scrape_run(&s);
    assert_string_equal(line_of(&s, &s.openmetrics, "c_seconds_total{"),
                        "c_seconds_total{app=\"x\"} 2.5 # {trace_id=\"a\\\"b\\\\c\\nd\","
                        "span=\"\xc3\xa4\"} 0.25 1700000000.123456789");
    assert_string_equal(line_of(&s, &s.openmetrics, "u{"), "u{app=\"x\"} 0");
    assert_string_equal(line_of(&s, &s.openmetrics, "h_bucket{app=\"x\",le=\"0.5\"}"),
                        "h_bucket{app=\"x\",le=\"0.5\"} 0");
    assert_string_equal(line_of(&s, &s.openmetrics, "h_bucket{app=\"x\",le=\"1.0\"}"),
                        "h_bucket{app=\"x\",le=\"1.0\"} 2 # {id=\"1\"} 1.0 1.5");
    assert_string_equal(line_of(&s, &s.openmetrics, "h_bucket{app=\"x\",le=\"+Inf\"}"),
                        "h_bucket{app=\"x\",le=\"+Inf\"} 3 # {} 2.1 1700000000.0");
    assert_null(memmem(s.text.at, s.text.length, " # ", 3));
    scrape_end(&s);
    scrape_start(&s);
    scrape_save(&s, with_merged_buckets());
    scrape_run(&s);
    assert_string_equal(line_of(&s, &s.openmetrics, "e_bucket{app=\"x\",le=\"4.0\"}"),
                        "e_bucket{app=\"x\",le=\"4.0\"} 0 # {id=\"later\"} 4 0.000000002");
    scrape_end(&s);
}

/* So many that they are put in slices. */
static void every_exemplar_goes_with_its_own_series(void **state)
{
    enum { SERIES = 5000 };
    (void)state;
    struct scrape s;
    scrape_start(&s);
    smx_segment *segment = scrape_open(&s, &(struct smx_options){.app = "x"});
    smx_family family = smx_counter_family(
        segment, &(struct smx_metric){.name = "c_total", .labels = {"n"}, .max_series = SERIES},
        NULL);
    for (int i = 0; i < SERIES; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        smx_counter c = smx_counter_with(family, SMX_VALUES(text));
        if (i % 3 == 0)
            smx_counter_add_exemplar(c, 1, SMX_VALUES("n", text));
        else
            smx_counter_inc(c);
    }
    scrape_run(&s);
    const char *body = scrape_only(&s, &s.openmetrics, NULL);
    for (int i = 0; i < SERIES; i++) {
        char line[128];
        snprintf(line, sizeof line, "\nc_total{app=\"x\",n=\"%d\"} 1%s", i,
                 i % 3 ? "\n" : " # {n=");
        const char *at = strstr(body, line);
        assert_non_null(at);
        snprintf(line, sizeof line, "{n=\"%d\"} 1 ", i);
        assert_true(i % 3 || strncmp(strchr(at + 1, '#') + 2, line, strlen(line)) == 0);
    }
    scrape_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_family_of_every_kind_is_exposed_to_the_byte),
        cmocka_unit_test(a_body_ends_with_one_eof_even_with_nothing_to_expose),
        cmocka_unit_test(
            a_counter_without_total_is_unknown_and_a_unit_that_is_no_suffix_is_left_out),
        cmocka_unit_test(since_when_they_count_is_said_of_counters_and_histograms_when_asked),
        cmocka_unit_test(sample_lines_are_the_same_bytes_in_both_formats),
        cmocka_unit_test(every_exemplar_goes_with_its_own_series),
        cmocka_unit_test(exemplars_are_those_of_openmetrics_and_no_other_formats),
    };
    return RUN_TESTS(tests);
}
