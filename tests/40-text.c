/* SPDX-License-Identifier: MIT
 *
 * 40-text.c - the Prometheus text format 0.0.4, byte by byte.
 */
#include "support/scrape.h"
#include "support/tap.h"

#include <string.h>

static const char shop[] =
    "# HELP http_requests_total Requests \"served\",\\nby C:\\\\path.\n"
    "# TYPE http_requests_total counter\n"
    "http_requests_total{app=\"shop\",method=\"GET\",path=\"/\"} 1027\n"
    "http_requests_total{app=\"shop\",method=\"POST\",path=\"a\\\\b\\\"c\\nd\xc3\xa9\"} 3\n"
    "# HELP busy_seconds_total Time at work.\n"
    "# TYPE busy_seconds_total counter\n"
    "busy_seconds_total{app=\"shop\"} 1.500000001\n"
    "busy_seconds_total{app=\"shop\",app_instance=\"b\",zone=\"eu\"} 2.0\n"
    "# HELP in_flight Requests in flight.\n"
    "# TYPE in_flight gauge\n"
    "in_flight{app=\"shop\"} -2\n"
    "# HELP load_ratio Load.\n"
    "# TYPE load_ratio gauge\n"
    "load_ratio{app=\"shop\"} 0.1\n"
    "# HELP worker_state State.\n"
    "# TYPE worker_state gauge\n"
    "worker_state{app=\"shop\",worker=\"0\"} 4\n"
    "# HELP wait_seconds Waiting.\n"
    "# TYPE wait_seconds histogram\n"
    "wait_seconds_bucket{app=\"shop\",queue=\"in\",le=\"0.05\"} 1\n"
    "wait_seconds_bucket{app=\"shop\",queue=\"in\",le=\"1.0\"} 1\n"
    "wait_seconds_bucket{app=\"shop\",queue=\"in\",le=\"2.5\"} 2\n"
    "wait_seconds_bucket{app=\"shop\",queue=\"in\",le=\"+Inf\"} 3\n"
    "wait_seconds_sum{app=\"shop\",queue=\"in\"} 5.05\n"
    "wait_seconds_count{app=\"shop\",queue=\"in\"} 3\n"
    "# HELP size_bytes Sizes.\n"
    "# TYPE size_bytes histogram\n"
    "size_bytes_bucket{app=\"shop\",le=\"1.0\"} 1\n"
    "size_bytes_bucket{app=\"shop\",le=\"2.0\"} 1\n"
    "size_bytes_bucket{app=\"shop\",le=\"4.0\"} 1\n"
    "size_bytes_bucket{app=\"shop\",le=\"8.0\"} 2\n"
    "size_bytes_bucket{app=\"shop\",le=\"16.0\"} 2\n"
    "size_bytes_bucket{app=\"shop\",le=\"32.0\"} 3\n"
    "size_bytes_bucket{app=\"shop\",le=\"+Inf\"} 4\n"
    "size_bytes_sum{app=\"shop\"} 1037\n"
    "size_bytes_count{app=\"shop\"} 4\n"
    "# HELP build_info What runs.\n"
    "# TYPE build_info gauge\n"
    "build_info{app=\"shop\",version=\"1.4.2\",commit=\"a\\\"b\"} 1\n"
    "# HELP circuit The circuit breaker.\n"
    "# TYPE circuit gauge\n"
    "circuit{app=\"shop\",circuit=\"open\"} 0\n"
    "circuit{app=\"shop\",circuit=\"half\\nopen\"} 1\n"
    "circuit{app=\"shop\",circuit=\"closed\"} 0\n"
    "# HELP lamp Lamps.\n"
    "# TYPE lamp gauge\n"
    "lamp{app=\"shop\",room=\"a\",worker=\"0\",lamp=\"half\\nopen\"} 1\n"
    "lamp{app=\"shop\",room=\"a\",worker=\"0\",lamp=\"closed\"} 1\n";

static void one_family_of_every_kind_is_exposed_to_the_byte(void **state)
{
    (void)state;
    struct scrape s;
    scrape_start(&s);
    scrape_shop(&s);
    scrape_run(&s);
    assert_string_equal(scrape_only(&s, &s.text, NULL), shop);
    scrape_end(&s);
}

static void a_counter_without_total_is_a_counter_and_help_may_be_missing(void **state)
{
    (void)state;
    struct scrape s;
    scrape_start(&s);
    struct segwriter *w = segwriter_new(&(struct segwriter_options){.app = "old"});
    uint64_t family =
        segwriter_family(w, &(struct segwriter_family){.name = "hits", .type = SEGWRITER_COUNTER});
    segwriter_count(w, segwriter_series(w, family, NULL), 0, 5);
    scrape_save(&s, w);
    scrape_run(&s);
    assert_string_equal(scrape_only(&s, &s.text, NULL), "# TYPE hits counter\n"
                                                        "hits{app=\"old\"} 5\n");
    scrape_end(&s);
}

static void the_agent_tells_its_build_and_the_segments_usage_without_any_application(void **state)
{
    (void)state;
    struct scrape s;
    scrape_start(&s);
    s.self = (struct self_stats){.version = "1.2.3", .revision = "f00", .phase_ns = {1500, 0, 7}};
    scrape_run(&s);
    assert_string_equal(scrape_only(&s, &s.text, NULL), "");
    const char *own = scrape_only(&s, &s.text, "smx_agent_");
    assert_non_null(strstr(own, "smx_agent_build_info{version=\"1.2.3\",revision=\"f00\"} 1\n"));
    assert_non_null(strstr(own, "smx_agent_scrape_duration_seconds{phase=\"update\"} 0.0000015\n"));
    assert_null(strstr(own, "smx_agent_segments"));
    assert_string_equal(scrape_only(&s, &s.text, "smx_segment_"), "");
    scrape_end(&s);
}

static void every_line_ends_and_no_number_has_a_timestamp(void **state)
{
    (void)state;
    struct scrape s;
    scrape_start(&s);
    scrape_shop(&s);
    scrape_run(&s);
    assert_int_equal(s.text.at[s.text.length - 1], '\n');
    assert_null(memchr(s.text.at, '\r', s.text.length));
    buffer_put(&s.text, "", 1);
    char *rest = s.text.at;
    for (char *line; (line = strsep(&rest, "\n")) && *line;) {
        if (*line == '#')
            continue;
        char *value = strrchr(line, '}') ? strrchr(line, '}') + 1 : strchr(line, ' ');
        assert_int_equal(*value, ' ');
        assert_null(strchr(value + 1, ' '));
    }
    scrape_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_family_of_every_kind_is_exposed_to_the_byte),
        cmocka_unit_test(a_counter_without_total_is_a_counter_and_help_may_be_missing),
        cmocka_unit_test(the_agent_tells_its_build_and_the_segments_usage_without_any_application),
        cmocka_unit_test(every_line_ends_and_no_number_has_a_timestamp),
    };
    return RUN_TESTS(tests);
}
