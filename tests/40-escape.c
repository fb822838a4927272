/* SPDX-License-Identifier: MIT
 *
 * 40-escape.c - names past the old alphabet: the four schemes by the examples of their
 * specification, expositions in each, and names that become one by escaping.
 */
#include "support/scrape.h"
#include "support/exposition.h"
#include "support/messages.h"
#include "support/tap.h"

#include "agent/encode/proto.h"
#include "agent/gather/snapshot.h"

#include <string.h>

static void assert_escapes(const char *name, enum escape_kind kind, enum escaping escaping,
                           const char *expected)
{
    struct buffer out = {0};
    escape_put(&out, (struct smx_str){name, strlen(name)}, kind, escaping);
    buffer_put(&out, "", 1);
    assert_string_equal(out.at, expected);
    buffer_fini(&out);
}

static void each_scheme_writes_names_as_its_specification_shows(void **state)
{
    (void)state;
    static const struct {
        enum escape_kind kind;
        const char *name, *expected[ESCAPING_COUNT];
    } cases[] = {
        {ESCAPE_METRIC,
         "no:escaping_required",
         {"no:escaping_required", "no:escaping_required", "no:escaping_required",
          "no:escaping_required"}},
        {ESCAPE_METRIC,
         "mysystem.prod.west.cpu.load",
         {"mysystem_prod_west_cpu_load", "mysystem_dot_prod_dot_west_dot_cpu_dot_load",
          "U__mysystem_2e_prod_2e_west_2e_cpu_2e_load", "mysystem.prod.west.cpu.load"}},
        {ESCAPE_METRIC,
         "mysystem.prod.west.cpu.load_total",
         {"mysystem_prod_west_cpu_load_total", "mysystem_dot_prod_dot_west_dot_cpu_dot_load__total",
          "U__mysystem_2e_prod_2e_west_2e_cpu_2e_load__total",
          "mysystem.prod.west.cpu.load_total"}},
        {ESCAPE_METRIC,
         "http.status:sum",
         {"http_status:sum", "http_dot_status:sum", "U__http_2e_status:sum", "http.status:sum"}},
        {ESCAPE_METRIC,
         "my lovely name",
         {"my_lovely_name", "my__lovely__name", "U__my_20_lovely_20_name", "my lovely name"}},
        {ESCAPE_METRIC,
         "label with \xe5\xb1\x95\xe7\xa4\xba",
         {"label_with___", "label__with______", "U__label_20_with_20__5c55__793a_",
          "label with \xe5\xb1\x95\xe7\xa4\xba"}},
        {ESCAPE_METRIC, "\xf0\x9f\x98\x80", {"_", "__", "U___1f600_", "\xf0\x9f\x98\x80"}},
        {ESCAPE_METRIC, "9a", {"_a", "__a", "U___39_a", "9a"}},
        {ESCAPE_LABEL, "a:b", {"a_b", "a__b", "U__a_3a_b", "a:b"}},
        {ESCAPE_LABEL, "a_b", {"a_b", "a_b", "a_b", "a_b"}},
        {ESCAPE_LABEL, "\xc3\xa9\n\"", {"___", "______", "U___e9__a__22_", "\xc3\xa9\n\""}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (unsigned e = 0; e < ESCAPING_COUNT; e++)
            assert_escapes(cases[i].name, cases[i].kind, (enum escaping)e, cases[i].expected[e]);
}

/* A counter, a gauge for each worker, a histogram; names and labels of the old and of the new. */
static void fill(struct scrape *s)
{
    smx_segment *segment = scrape_open(s, &(struct smx_options){.app = "a"});
    smx_family requests = smx_counter_family(segment,
                                             &(struct smx_metric){.name = "http.requests_total",
                                                                  .help = "Served.",
                                                                  .labels = {"code", "http.path"}},
                                             NULL);
    smx_counter_add(smx_counter_with(requests, SMX_VALUES("200", "/\"")), 3);
    smx_family plain = smx_gauge_family(
        segment,
        &(struct smx_metric){.name = "temperature", .mode = SMX_EACH, .labels = {"r\xc3\xb6om"}},
        NULL);
    smx_gauge_set(smx_gauge_with(plain, SMX_VALUES("k")), 21);
    static const double bounds[] = {1};
    smx_histogram wait = smx_histogram_new(
        segment,
        &(struct smx_metric){
            .name = "w\"t_seconds", .unit = "seconds", .bounds = bounds, .n_bounds = 1},
        NULL);
    smx_histogram_observe(wait, 0.5);
    smx_counter_add(smx_counter_new(segment, &(struct smx_metric){.name = "old_total"}, NULL), 7);
}

static const char *const bodies[ESCAPING_COUNT] = {
    "# TYPE http_requests counter\n"
    "# HELP http_requests Served.\n"
    "http_requests_total{app=\"a\",code=\"200\",http_path=\"/\\\"\"} 3\n"
    "# TYPE temperature gauge\n"
    "temperature{app=\"a\",r_om=\"k\",worker=\"0\"} 21\n"
    "# TYPE w_t_seconds histogram\n"
    "# UNIT w_t_seconds seconds\n"
    "w_t_seconds_bucket{app=\"a\",le=\"1.0\"} 1\n"
    "w_t_seconds_bucket{app=\"a\",le=\"+Inf\"} 1\n"
    "w_t_seconds_sum{app=\"a\"} 0.5\n"
    "w_t_seconds_count{app=\"a\"} 1\n"
    "# TYPE old counter\n"
    "old_total{app=\"a\"} 7\n",
    "# TYPE http_dot_requests_ counter\n"
    "# HELP http_dot_requests_ Served.\n"
    "http_dot_requests__total{app=\"a\",code=\"200\",http_dot_path=\"/\\\"\"} 3\n"
    "# TYPE temperature gauge\n"
    "temperature{app=\"a\",r__om=\"k\",worker=\"0\"} 21\n"
    "# TYPE w__t__seconds histogram\n"
    "# UNIT w__t__seconds seconds\n"
    "w__t__seconds_bucket{app=\"a\",le=\"1.0\"} 1\n"
    "w__t__seconds_bucket{app=\"a\",le=\"+Inf\"} 1\n"
    "w__t__seconds_sum{app=\"a\"} 0.5\n"
    "w__t__seconds_count{app=\"a\"} 1\n"
    "# TYPE old counter\n"
    "old_total{app=\"a\"} 7\n",
    "# TYPE U__http_2e_requests_ counter\n"
    "# HELP U__http_2e_requests_ Served.\n"
    "U__http_2e_requests__total{app=\"a\",code=\"200\",U__http_2e_path=\"/\\\"\"} 3\n"
    "# TYPE temperature gauge\n"
    "temperature{app=\"a\",U__r_f6_om=\"k\",worker=\"0\"} 21\n"
    "# TYPE U__w_22_t__seconds histogram\n"
    "# UNIT U__w_22_t__seconds seconds\n"
    "U__w_22_t__seconds_bucket{app=\"a\",le=\"1.0\"} 1\n"
    "U__w_22_t__seconds_bucket{app=\"a\",le=\"+Inf\"} 1\n"
    "U__w_22_t__seconds_sum{app=\"a\"} 0.5\n"
    "U__w_22_t__seconds_count{app=\"a\"} 1\n"
    "# TYPE old counter\n"
    "old_total{app=\"a\"} 7\n",
    "# TYPE \"http.requests\" counter\n"
    "# HELP \"http.requests\" Served.\n"
    "{\"http.requests_total\",app=\"a\",code=\"200\",\"http.path\"=\"/\\\"\"} 3\n"
    "# TYPE temperature gauge\n"
    "temperature{app=\"a\",\"r\xc3\xb6om\"=\"k\",worker=\"0\"} 21\n"
    "# TYPE \"w\\\"t_seconds\" histogram\n"
    "# UNIT \"w\\\"t_seconds\" seconds\n"
    "{\"w\\\"t_seconds_bucket\",app=\"a\",le=\"1.0\"} 1\n"
    "{\"w\\\"t_seconds_bucket\",app=\"a\",le=\"+Inf\"} 1\n"
    "{\"w\\\"t_seconds_sum\",app=\"a\"} 0.5\n"
    "{\"w\\\"t_seconds_count\",app=\"a\"} 1\n"
    "# TYPE old counter\n"
    "old_total{app=\"a\"} 7\n",
};

static void assert_sound(const struct buffer *body, bool openmetrics)
{
    size_t line;
    const char *fault = exposition_fault(body->at, body->length, openmetrics, &line);
    if (fault)
        fail_msg("line %zu: %s\n%.*s", line, fault, (int)body->length, body->at);
}

static void openmetrics_has_the_names_that_were_asked_for(void **state)
{
    (void)state;
    struct scrape s;
    scrape_start(&s);
    fill(&s);
    for (unsigned e = ESCAPING_COUNT; e-- > 0;) {
        s.escaping = (enum escaping)e;
        scrape_run(&s);
        assert_string_equal(scrape_only(&s, &s.openmetrics, NULL), bodies[e]);
        assert_sound(&s.openmetrics, true);
    }
    scrape_end(&s);
}

static void text_has_the_same_lines_under_its_own_headers(void **state)
{
    (void)state;
    static const char *const types[ESCAPING_COUNT] = {
        "\n# TYPE http_requests_total counter\nhttp_requests_total{",
        "\n# TYPE http_dot_requests__total counter\nhttp_dot_requests__total{",
        "\n# TYPE U__http_2e_requests__total counter\nU__http_2e_requests__total{",
        "\n# TYPE \"http.requests_total\" counter\n{\"http.requests_total\","};
    struct scrape s;
    scrape_start(&s);
    fill(&s);
    for (unsigned e = 0; e < ESCAPING_COUNT; e++) {
        s.escaping = (enum escaping)e;
        scrape_run(&s);
        assert_sound(&s.text, false);
        assert_non_null(strstr(scrape_only(&s, &s.text, NULL), types[e]));
    }
    scrape_end(&s);
}

static bool has(const struct buffer *body, const char *what)
{
    return memmem(body->at, body->length, what, strlen(what)) != NULL;
}

static void messages_have_them_too(void **state)
{
    (void)state;
    static const char *const families[ESCAPING_COUNT] = {
        "http_requests_total", "http_dot_requests__total", "U__http_2e_requests__total",
        "http.requests_total"};
    static const char *const labels[ESCAPING_COUNT] = {"http_path", "http_dot_path",
                                                       "U__http_2e_path", "http.path"};
    struct scrape s;
    scrape_start(&s);
    fill(&s);
    gather_messages(s.gather);
    for (unsigned e = 0; e < ESCAPING_COUNT; e++) {
        struct buffer body = {0};
        const struct snapshot *snapshot;
        gather_escaping(s.gather, (enum escaping)e);
        scrape_run(&s);
        assert_int_equal(gather_run(s.gather, s.sources, s.n, &s.self, &snapshot), 0);
        struct snapshot escaped = *snapshot;
        escaped.escaping = (enum escaping)e;
        assert_int_equal(proto_encode(&escaped, &body), 0);
        size_t at;
        assert_null(messages_fault(body.at, body.length, &at));
        for (unsigned i = 0; i < ESCAPING_COUNT; i++) {
            assert_int_equal(has(&body, families[i]), i == e);
            assert_int_equal(has(&body, labels[i]), i == e);
        }
        buffer_fini(&body);
    }
    scrape_end(&s);
}

/* One of two that are left out: the later one, whichever way it comes. */
static void names_that_become_one_leave_the_later_one_out(void **state)
{
    (void)state;
    static const struct {
        enum smx_type first_type;
        const char *first, *second;
    } cases[] = {
        {SMX_COUNTER, "a.b", "a_b"},         {SMX_COUNTER, "a_b", "a.b"},
        {SMX_COUNTER, "a.b", "a b"},         {SMX_COUNTER, "a.b", "a_dot_b"},
        {SMX_COUNTER, "U__a_2e_b", "a.b"},   {SMX_COUNTER, "a.b_total", "a_b"},
        {SMX_HISTOGRAM, "a.b", "a_b_count"}, {SMX_HISTOGRAM, "a.b", "a.b_bucket"},
        {SMX_HISTOGRAM, "a_b", "a.b_sum"},   {SMX_COUNTER, "x.total", "x"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct scrape s;
        scrape_start(&s);
        smx_segment *segment = scrape_open(&s, &(struct smx_options){.app = "a"});
        struct smx_metric first = {.name = cases[i].first}, second = {.name = cases[i].second};
        if (cases[i].first_type == SMX_HISTOGRAM)
            smx_histogram_observe(smx_histogram_new(segment, &first, NULL), 1);
        else
            smx_counter_add(smx_counter_new(segment, &first, NULL), 1);
        smx_gauge_set(smx_gauge_new(segment, &second, NULL), 1);
        for (unsigned e = 0; e < ESCAPING_COUNT; e++) {
            size_t n;
            s.escaping = (enum escaping)e;
            scrape_run(&s);
            const struct gather_conflict *list = gather_conflicts(s.gather, &n);
            if (n != 1 || strcmp(list[0].name, second.name) != 0)
                fail_msg("%s, %s: %zu left out", first.name, second.name, n);
            assert_string_equal(list[0].reason, "name_clash");
            assert_sound(&s.text, false);
            assert_sound(&s.openmetrics, true);
        }
        scrape_end(&s);
    }
}

static void labels_that_become_one_or_the_agents_own_leave_their_family_out(void **state)
{
    (void)state;
    static const struct {
        const char *labels[2], *reason;
    } cases[] = {
        {{"a.b", "a_b"}, "duplicate_label"},     {{"a.b", "a b"}, "duplicate_label"},
        {{"a.b", "a_dot_b"}, "duplicate_label"}, {{"a:b", "U__a_3a_b"}, "duplicate_label"},
        {{"zone.x"}, "duplicate_label"},         {{"app.instance"}, "reserved_label"},
        {{"..name.."}, "reserved_label"},        {{"otel.metric.overflow"}, "reserved_label"},
    };
    static const char *const constant[] = {"zone_x", "eu", NULL};
    struct scrape s;
    scrape_start(&s);
    smx_segment *segment =
        scrape_open(&s, &(struct smx_options){.app = "a", .constant_labels = constant});
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[16];
        snprintf(name, sizeof name, "x%zu_total", i);
        struct smx_metric metric = {.name = name};
        memcpy(metric.labels, cases[i].labels, sizeof cases[i].labels);
        smx_counter_add(
            smx_counter_with(smx_counter_family(segment, &metric, NULL), SMX_VALUES("1", "2")), 1);
    }
    smx_counter_add(smx_counter_new(segment, &(struct smx_metric){.name = "process.x"}, NULL), 1);
    smx_counter_add(smx_counter_new(segment, &(struct smx_metric){.name = "ok_total"}, NULL), 1);
    scrape_run(&s);
    size_t n;
    const struct gather_conflict *list = gather_conflicts(s.gather, &n);
    assert_int_equal(n, sizeof cases / sizeof *cases + 1);
    for (size_t i = 0; i + 1 < n; i++)
        assert_string_equal(list[i].reason, cases[i].reason);
    assert_string_equal(list[n - 1].reason, "reserved_name");
    assert_string_equal(scrape_only(&s, &s.text, NULL),
                        "# TYPE ok_total counter\nok_total{app=\"a\",zone_x=\"eu\"} 1\n");
    scrape_end(&s);
}

/* 17,600 names of a kilobyte, each of which takes 11 in all schemes: more than 256 MiB. */
static void names_that_would_be_too_long_escaped_are_left_out(void **state)
{
    (void)state;
    enum { FAMILIES = 17600, LENGTH = 1000 };
    static char name[LENGTH + 1];
    struct scrape s;
    size_t n, size = 0;
    scrape_start(&s);
    struct segwriter *w = segwriter_new(
        &(struct segwriter_options){.app = "a", .capacity = 64 << 20, .n_buckets = 16384});
    for (size_t i = 0; i < FAMILIES; i++) {
        memset(name, '.', LENGTH);
        name[snprintf(name, sizeof name, "n%zu", i)] = '.';
        segwriter_series(w,
                         segwriter_family(w, &(struct segwriter_family){.name = name,
                                                                        .type = SEGWRITER_COUNTER}),
                         NULL);
    }
    scrape_save(&s, w);
    scrape_run(&s);
    const struct gather_conflict *list = gather_conflicts(s.gather, &n);
    assert_true(n > 0 && n < FAMILIES);
    for (size_t i = 0; i < n; i++)
        size += strcmp(list[i].reason, "size") == 0;
    assert_int_equal(size, n);
    scrape_end(&s);
}

static void a_constant_label_is_escaped_in_every_line(void **state)
{
    (void)state;
    static const char *const constant[] = {"k8s.pod", "p-1", NULL};
    struct scrape s;
    scrape_start(&s);
    smx_segment *segment =
        scrape_open(&s, &(struct smx_options){.app = "a", .constant_labels = constant});
    smx_counter_add(smx_counter_new(segment, &(struct smx_metric){.name = "x_total"}, NULL), 1);
    scrape_run(&s);
    assert_string_equal(scrape_only(&s, &s.text, NULL),
                        "# TYPE x_total counter\nx_total{app=\"a\",k8s_pod=\"p-1\"} 1\n");
    s.escaping = ESCAPING_UTF8;
    scrape_run(&s);
    assert_string_equal(scrape_only(&s, &s.text, NULL),
                        "# TYPE x_total counter\nx_total{app=\"a\",\"k8s.pod\"=\"p-1\"} 1\n");
    scrape_end(&s);
}

static void a_counter_that_is_called_total_is_of_type_unknown(void **state)
{
    (void)state;
    struct scrape s;
    scrape_start(&s);
    smx_segment *segment = scrape_open(&s, &(struct smx_options){.app = "a"});
    smx_counter_add(smx_counter_new(segment, &(struct smx_metric){.name = "_total"}, NULL), 1);
    smx_counter_add(smx_counter_new(segment, &(struct smx_metric){.name = "x.total"}, NULL), 1);
    scrape_run(&s);
    assert_string_equal(scrape_only(&s, &s.openmetrics, NULL),
                        "# TYPE _total unknown\n_total{app=\"a\"} 1\n"
                        "# TYPE x counter\nx_total{app=\"a\"} 1\n");
    s.escaping = ESCAPING_UTF8;
    scrape_run(&s);
    assert_string_equal(scrape_only(&s, &s.openmetrics, NULL),
                        "# TYPE _total unknown\n_total{app=\"a\"} 1\n"
                        "# TYPE \"x.total\" unknown\n{\"x.total\",app=\"a\"} 1\n");
    scrape_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_scheme_writes_names_as_its_specification_shows),
        cmocka_unit_test(openmetrics_has_the_names_that_were_asked_for),
        cmocka_unit_test(text_has_the_same_lines_under_its_own_headers),
        cmocka_unit_test(messages_have_them_too),
        cmocka_unit_test(names_that_become_one_leave_the_later_one_out),
        cmocka_unit_test(labels_that_become_one_or_the_agents_own_leave_their_family_out),
        cmocka_unit_test(names_that_would_be_too_long_escaped_are_left_out),
        cmocka_unit_test(a_constant_label_is_escaped_in_every_line),
        cmocka_unit_test(a_counter_that_is_called_total_is_of_type_unknown),
    };
    return RUN_TESTS(tests);
}
