/* SPDX-License-Identifier: MIT
 *
 * 40-labels.c - labels that the agent adds: on every series of an application, in every format and
 * escaping, unless the series has one of that name.
 */
#include "support/exposition.h"
#include "support/messages.h"
#include "support/scrape.h"
#include "support/tap.h"

#include "agent/encode/proto.h"
#include "agent/gather/label.h"

#include <string.h>

static const struct smx_label labels[] = {
    {{"cluster", 7}, {"eu\"1", 4}}, {{"zone", 4}, {"agent", 5}}, {{"code", 4}, {"agent", 5}},
    {{"worker", 6}, {"agent", 5}},  {{"mode", 4}, {"agent", 5}}, {{"a_b", 3}, {"agent", 5}}};
static const struct gather_rules rules = {.labels = labels,
                                          .n_labels = sizeof labels / sizeof labels[0]};

static void fill(smx_segment *segment)
{
    static const double bounds[] = {1};
    static const char *const states[] = {"on", "off", NULL};
    static const struct smx_metric requests = {.name = "requests_total", .labels = {"code"}};
    smx_counter_add(
        smx_counter_with(smx_counter_family(segment, &requests, NULL), SMX_VALUES("200")), 1);
    smx_counter_add(smx_counter_new(segment, &(struct smx_metric){.name = "jobs_total"}, NULL), 1);
    smx_gauge_set(
        smx_gauge_new(segment, &(struct smx_metric){.name = "depth", .mode = SMX_EACH}, NULL), 1);
    smx_histogram_record(
        smx_histogram_new(segment,
                          &(struct smx_metric){.name = "latency", .bounds = bounds, .n_bounds = 1},
                          NULL),
        1);
    smx_stateset_set(
        smx_stateset_new(segment, &(struct smx_metric){.name = "mode", .states = states}, NULL), 1);
}

static smx_segment *start(struct scrape *s)
{
    static const char *const constant[] = {"zone", "own", NULL};
    scrape_start(s);
    return scrape_open(
        s, &(struct smx_options){.app = "shop", .slots = 8, .constant_labels = constant});
}

static void assert_sound(struct scrape *s)
{
    size_t at;
    struct buffer messages = {0};
    assert_null(exposition_fault(s->text.at, s->text.length, false, &at));
    assert_null(exposition_fault(s->openmetrics.at, s->openmetrics.length, true, &at));
    assert_int_equal(proto_encode(gather_snapshot(s->gather), &messages), 0);
    assert_null(messages_fault(messages.at, messages.length, &at));
    buffer_fini(&messages);
}

#define ADDED "app=\"shop\",zone=\"own\",cluster=\"eu\\\"1\","

static void every_series_has_what_it_has_not_itself(void **state)
{
    (void)state;
    struct scrape s;
    fill(start(&s));
    gather_set(s.gather, &rules);
    gather_messages(s.gather);
    scrape_run(&s);
    assert_string_equal(
        scrape_only(&s, &s.openmetrics, NULL),
        "# TYPE requests counter\n"
        "requests_total{" ADDED "worker=\"agent\",mode=\"agent\",a_b=\"agent\",code=\"200\"} 1\n"
        "# TYPE jobs counter\n"
        "jobs_total{" ADDED "code=\"agent\",worker=\"agent\",mode=\"agent\",a_b=\"agent\"} 1\n"
        "# TYPE depth gauge\n"
        "depth{" ADDED "code=\"agent\",mode=\"agent\",a_b=\"agent\",worker=\"0\"} 1\n"
        "# TYPE latency histogram\n"
        "latency_bucket{" ADDED
        "code=\"agent\",worker=\"agent\",mode=\"agent\",a_b=\"agent\",le=\"1.0\"} 1\n"
        "latency_bucket{" ADDED
        "code=\"agent\",worker=\"agent\",mode=\"agent\",a_b=\"agent\",le=\"+Inf\"} 1\n"
        "latency_sum{" ADDED "code=\"agent\",worker=\"agent\",mode=\"agent\",a_b=\"agent\"} 1\n"
        "latency_count{" ADDED "code=\"agent\",worker=\"agent\",mode=\"agent\",a_b=\"agent\"} 1\n"
        "# TYPE mode stateset\n"
        "mode{" ADDED "code=\"agent\",worker=\"agent\",a_b=\"agent\",mode=\"on\"} 1\n"
        "mode{" ADDED "code=\"agent\",worker=\"agent\",a_b=\"agent\",mode=\"off\"} 0\n");
    assert_sound(&s);
    scrape_end(&s);
}

/* a.b is a_b where it is escaped by underscores, and only there. */
static void what_becomes_one_by_escaping_is_there_once(void **state)
{
    (void)state;
    static const struct smx_metric odd = {.name = "odd_total", .labels = {"a.b"}};
    static const char *const ends[ESCAPING_COUNT] = {
        ",mode=\"agent\",a_b=\"own\"} 1\n", ",mode=\"agent\",a_b=\"agent\",a_dot_b=\"own\"} 1\n",
        ",mode=\"agent\",a_b=\"agent\",U__a_2e_b=\"own\"} 1\n",
        ",mode=\"agent\",a_b=\"agent\",\"a.b\"=\"own\"} 1\n"};
    struct scrape s;
    smx_segment *segment = start(&s);
    smx_counter_add(smx_counter_with(smx_counter_family(segment, &odd, NULL), SMX_VALUES("own")),
                    1);
    gather_set(s.gather, &rules);
    gather_messages(s.gather);
    for (unsigned e = 0; e < ESCAPING_COUNT; e++) {
        s.escaping = (enum escaping)e;
        scrape_run(&s);
        const char *body = scrape_only(&s, &s.text, "odd");
        if (!strstr(body, ends[e]))
            fail_msg("escaping %u: %s", e, body);
        assert_sound(&s);
    }
    scrape_end(&s);
}

static void the_agents_own_have_none(void **state)
{
    (void)state;
    struct scrape s;
    fill(start(&s));
    gather_set(s.gather, &rules);
    scrape_run(&s);
    assert_null(strstr(scrape_only(&s, &s.text, "smx_"), "cluster"));
    assert_null(strstr(scrape_only(&s, &s.text, "process_"), "cluster"));
    scrape_end(&s);
}

static void other_labels_take_their_place(void **state)
{
    (void)state;
    static const struct smx_label others[] = {{{"stage", 5}, {"test", 4}}};
    struct scrape s;
    fill(start(&s));
    gather_set(s.gather, &rules);
    gather_messages(s.gather);
    scrape_run(&s);
    gather_set(s.gather, &(struct gather_rules){.labels = others, .n_labels = 1});
    scrape_run(&s);
    assert_string_equal(scrape_only(&s, &s.openmetrics, "jobs"),
                        "# TYPE jobs counter\n"
                        "jobs_total{app=\"shop\",zone=\"own\",stage=\"test\"} 1\n");
    assert_sound(&s);
    scrape_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_series_has_what_it_has_not_itself),
        cmocka_unit_test(what_becomes_one_by_escaping_is_there_once),
        cmocka_unit_test(the_agents_own_have_none),
        cmocka_unit_test(other_labels_take_their_place),
    };
    return RUN_TESTS(tests);
}
