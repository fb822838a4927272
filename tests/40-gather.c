/* SPDX-License-Identifier: MIT
 *
 * 40-gather.c - merging segments: what stands, what is left out and why, and that nothing stale
 * survives from one scrape to the next.
 */
#include "support/scrape.h"
#include "support/tap.h"

#include <smx/reader.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *apps(struct scrape *s)
{
    return scrape_only(s, &s->text, NULL);
}

/* A segment of families without labels, each with one series of value 1 (histograms: 0). */
static struct segwriter *segment_of(const char *app, const struct segwriter_family families[],
                                    size_t n)
{
    struct segwriter *w = segwriter_new(&(struct segwriter_options){.app = app});
    for (size_t i = 0; i < n; i++) {
        static const char *const values[] = {"v1", "v2", "v3", NULL};
        uint64_t family = segwriter_family(w, &families[i]);
        uint64_t series = segwriter_series(w, family, families[i].labels[0] ? values : NULL);
        if (families[i].type == SEGWRITER_COUNTER)
            segwriter_count(w, series, 0, 1);
        else if (families[i].type == SEGWRITER_GAUGE)
            segwriter_gauge(w, series, 0, SEGWRITER_SHARED_WORD, 1);
    }
    return w;
}

static const struct gather_conflict *only_conflict(const struct scrape *s)
{
    size_t n;
    const struct gather_conflict *conflicts = gather_conflicts(s->gather, &n);
    assert_int_equal(n, 1);
    return conflicts;
}

static void assert_counted(struct scrape *s, const char *reason)
{
    char line[128];
    snprintf(line, sizeof line, "smx_agent_family_conflicts{reason=\"%s\"} 1\n", reason);
    assert_non_null(strstr(scrape_only(s, &s->text, "smx_agent_family_conflicts"), line));
}

static void the_oldest_segment_comes_first_in_whatever_order_the_sources_are(void **state)
{
    (void)state;
    static const char expected[] = "# HELP jobs_total First.\n"
                                   "# TYPE jobs_total counter\n"
                                   "jobs_total{app=\"zebra\"} 1\n"
                                   "jobs_total{app=\"ant\"} 2\n";
    struct scrape s;
    scrape_start(&s);
    smx_segment *old = scrape_open(&s, &(struct smx_options){.app = "zebra"});
    smx_segment *young = scrape_open(&s, &(struct smx_options){.app = "ant"});
    smx_counter_add(
        smx_counter_new(young, &(struct smx_metric){.name = "jobs_total", .help = "Second."}, NULL),
        2);
    smx_counter_add(
        smx_counter_new(old, &(struct smx_metric){.name = "jobs_total", .help = "First."}, NULL),
        1);
    scrape_run(&s);
    assert_string_equal(apps(&s), expected);
    struct gather_source first = s.sources[0];
    s.sources[0] = s.sources[1];
    s.sources[1] = first;
    scrape_run(&s);
    assert_string_equal(apps(&s), expected);
    scrape_end(&s);
}

#define COUNTER  SEGWRITER_COUNTER
#define INFO     SEGWRITER_INFO
#define STATESET SEGWRITER_STATESET
#define GAUGE    SEGWRITER_GAUGE
#define HIST     SEGWRITER_HISTOGRAM

static const double one_bound[] = {1}, another_bound[] = {2};

static void a_contradicting_family_is_left_out_and_the_first_stays(void **state)
{
    (void)state;
    static const struct {
        struct segwriter_family first, second;
        const char *reason;
    } cases[] = {
        {{.name = "x", .type = GAUGE}, {.name = "x", .type = COUNTER}, "type"},
        {{.name = "x_s", .type = GAUGE, .unit = "s"}, {.name = "x_s", .type = GAUGE}, "unit"},
        {{.name = "x", .type = HIST, .bounds = one_bound, .n_bounds = 1},
         {.name = "x", .type = HIST, .bounds = another_bound, .n_bounds = 1},
         "buckets"},
        {{.name = "x", .type = HIST, .bounds = one_bound, .n_bounds = 1},
         {.name = "x", .type = HIST, .n_exponential = 1},
         "buckets"},
        {{.name = "x", .type = HIST, .n_exponential = 8},
         {.name = "x", .type = HIST, .n_exponential = 8, .first_index = 1},
         "buckets"},
        {{.name = "x", .type = HIST, .n_exponential = 8, .schema = 1},
         {.name = "x", .type = HIST, .n_exponential = 8, .schema = 2},
         "buckets"},
        {{.name = "x", .type = HIST, .n_exponential = 8},
         {.name = "x_count", .type = COUNTER},
         "name_clash"},
        {{.name = "x_sum", .type = GAUGE},
         {.name = "x", .type = HIST, .n_exponential = 8},
         "name_clash"},
        {{.name = "x_total", .type = COUNTER}, {.name = "x", .type = GAUGE}, "name_clash"},
        {{.name = "x", .type = GAUGE}, {.name = "x_total", .type = COUNTER}, "name_clash"},
        {{.name = "x_info", .type = INFO, .mode = SEGWRITER_LAST},
         {.name = "x", .type = GAUGE},
         "name_clash"},
        {{.name = "x", .type = GAUGE},
         {.name = "x_info", .type = INFO, .mode = SEGWRITER_LAST},
         "name_clash"},
        {{.name = "x_info", .type = GAUGE},
         {.name = "x_info", .type = INFO, .mode = SEGWRITER_LAST},
         "type"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct scrape s;
        scrape_start(&s);
        scrape_save(&s, segment_of("a", &cases[i].first, 1));
        scrape_run(&s);
        char *alone = strdup(apps(&s));
        scrape_save(&s, segment_of("b", &cases[i].second, 1));
        scrape_run(&s);
        const struct gather_conflict *conflict = only_conflict(&s);
        assert_string_equal(conflict->reason, cases[i].reason);
        assert_string_equal(conflict->name, cases[i].second.name);
        assert_string_equal(conflict->app, "b");
        assert_true(strlen(conflict->why) > 0);
        assert_string_equal(apps(&s), alone);
        assert_counted(&s, cases[i].reason);
        free(alone);
        scrape_end(&s);
    }
}

static void a_family_that_breaks_a_rule_by_itself_is_left_out_and_its_neighbour_served(void **state)
{
    (void)state;
    static const char *const states[] = {"on", NULL};
    static const struct {
        struct segwriter_family family;
        const char *reason;
    } cases[] = {
        {{.name = "smx_agent_x", .type = GAUGE}, "reserved_name"},
        {{.name = "smx_segment_x", .type = GAUGE}, "reserved_name"},
        {{.name = "smx_process_x", .type = GAUGE}, "reserved_name"},
        {{.name = "process_open_fds", .type = GAUGE}, "reserved_name"},
        {{.name = "scrape_x", .type = GAUGE}, "reserved_name"},
        {{.name = "x", .type = GAUGE, .labels = {"app"}}, "reserved_label"},
        {{.name = "x", .type = GAUGE, .labels = {"a", "app_instance"}}, "reserved_label"},
        {{.name = "x", .type = GAUGE, .labels = {"le"}}, "reserved_label"},
        {{.name = "x", .type = GAUGE, .labels = {"quantile"}}, "reserved_label"},
        {{.name = "x", .type = GAUGE, .labels = {"otel_metric_overflow"}}, "reserved_label"},
        {{.name = "x", .type = COUNTER, .labels = {"zone"}}, "duplicate_label"},
        {{.name = "zone", .type = STATESET, .mode = SEGWRITER_LAST, .states = states},
         "duplicate_label"},
        {{.name = "app", .type = STATESET, .mode = SEGWRITER_LAST, .states = states},
         "reserved_label"},
    };
    static const char *const constant[] = {"zone", "eu", NULL};
    static const char *const values[] = {"1", "2", NULL};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct scrape s;
        scrape_start(&s);
        struct segwriter *w =
            segwriter_new(&(struct segwriter_options){.app = "a", .labels = constant});
        segwriter_series(w, segwriter_family(w, &cases[i].family),
                         cases[i].family.labels[0] ? values : NULL);
        struct segwriter_family fine = {
            .name = "fine_total", .type = COUNTER, .labels = {"worker"}};
        segwriter_series(w, segwriter_family(w, &fine), values);
        scrape_save(&s, w);
        scrape_run(&s);
        assert_string_equal(only_conflict(&s)->reason, cases[i].reason);
        assert_counted(&s, cases[i].reason);
        assert_string_equal(apps(&s), "# TYPE fine_total counter\n"
                                      "fine_total{app=\"a\",zone=\"eu\",worker=\"1\"} 0\n");
        scrape_end(&s);
    }
}

static void a_constant_label_that_collides_leaves_out_the_families_of_that_segment(void **state)
{
    (void)state;
    static const char *const labels[] = {"app", "faked", NULL};
    struct scrape s;
    scrape_start(&s);
    struct segwriter *w = segwriter_new(&(struct segwriter_options){.app = "a", .labels = labels});
    struct segwriter_family family = {.name = "x_total", .type = COUNTER};
    segwriter_series(w, segwriter_family(w, &family), NULL);
    scrape_save(&s, w);
    scrape_save(&s, segment_of("b", &family, 1));
    scrape_run(&s);
    assert_string_equal(only_conflict(&s)->reason, "reserved_label");
    assert_string_equal(apps(&s), "# TYPE x_total counter\nx_total{app=\"b\"} 1\n");
    assert_non_null(
        strstr(scrape_only(&s, &s.text, "smx_segment_"), "smx_segment_families{app=\"a\"} 1\n"));
    scrape_end(&s);
}

/* libshm refuses such a label; a file can have it all the same. */
static void a_constant_label_worker_leaves_out_the_gauges_of_mode_each(void **state)
{
    (void)state;
    static const char *const labels[] = {"worker", "3", NULL};
    struct scrape s;
    scrape_start(&s);
    struct segwriter *w = segwriter_new(&(struct segwriter_options){.app = "a", .labels = labels});
    uint64_t sum =
        segwriter_family(w, &(struct segwriter_family){.name = "sum", .type = SEGWRITER_GAUGE});
    uint64_t each =
        segwriter_family(w, &(struct segwriter_family){
                                .name = "each", .type = SEGWRITER_GAUGE, .mode = SEGWRITER_EACH});
    segwriter_gauge(w, segwriter_series(w, sum, NULL), 0, SEGWRITER_SHARED_WORD, 1);
    segwriter_series(w, each, NULL);
    scrape_save(&s, w);
    scrape_run(&s);
    assert_string_equal(only_conflict(&s)->name, "each");
    assert_string_equal(only_conflict(&s)->reason, "reserved_label");
    assert_string_equal(apps(&s), "# TYPE sum gauge\nsum{app=\"a\",worker=\"3\"} 1\n");
    scrape_end(&s);
}

/* A few bytes in the file, a long line in each scrape: a segment may not exhaust the agent. */
static void a_family_of_too_many_long_lines_is_left_out_and_its_neighbour_served(void **state)
{
    enum { NAME = 1000, SERIES = 17000 };
    static char names[SMX_LABELS_MAX][NAME + 1];
    const char *values[SMX_LABELS_MAX + 1] = {NULL};
    struct smx_metric wide = {.name = "wide_total", .max_series = SERIES};
    (void)state;
    for (int i = 0; i < SMX_LABELS_MAX; i++) {
        memset(names[i], 'a' + i, NAME);
        wide.labels[i] = names[i];
        values[i] = "";
    }
    struct scrape s;
    scrape_start(&s);
    smx_segment *segment = scrape_open(&s, &(struct smx_options){.app = "a"});
    smx_family family = smx_counter_family(segment, &wide, NULL);
    for (int i = 0; i < SERIES; i++) {
        char value[16];
        snprintf(value, sizeof value, "%d", i);
        values[0] = value;
        smx_counter_inc(smx_counter_with(family, values));
    }
    smx_counter_inc(smx_counter_new(
        segment, &(struct smx_metric){.name = "next_total", .help = "Next."}, NULL));
    scrape_run(&s);
    assert_string_equal(only_conflict(&s)->name, "wide_total");
    assert_string_equal(only_conflict(&s)->reason, "size");
    assert_string_equal(apps(&s), "# HELP next_total Next.\n"
                                  "# TYPE next_total counter\n"
                                  "next_total{app=\"a\"} 1\n");
    assert_counted(&s, "size");
    scrape_end(&s);
}

/* Sixty-four names of states, stored once, stand in the lines of every series. */
static void states_of_long_names_count_as_the_lines_that_they_make(void **state)
{
    enum { SERIES = 600 };
    static char names[SMX_STATES_MAX][SMX_NAME_MAX + 1];
    const char *states[SMX_STATES_MAX + 1] = {NULL};
    (void)state;
    for (int i = 0; i < SMX_STATES_MAX; i++) {
        memset(names[i], 'a', SMX_NAME_MAX);
        names[i][0] = (char)('0' + i);
        states[i] = names[i];
    }
    struct scrape s;
    scrape_start(&s);
    smx_segment *segment = scrape_open(&s, &(struct smx_options){.app = "a", .slots = 4});
    smx_family family = smx_stateset_family(
        segment, &(struct smx_metric){.name = "wide", .labels = {"n"}, .states = states}, NULL);
    for (int i = 0; i < SERIES; i++) {
        char value[16];
        snprintf(value, sizeof value, "%d", i);
        smx_stateset_enter(smx_stateset_with(family, SMX_VALUES(value)), 0);
    }
    scrape_run(&s);
    assert_string_equal(only_conflict(&s)->name, "wide");
    assert_string_equal(only_conflict(&s)->reason, "size");
    scrape_end(&s);
}

static void of_two_segments_with_one_application_and_instance_the_older_is_served(void **state)
{
    (void)state;
    struct scrape s, other;
    scrape_start(&s);
    scrape_start(&other);
    struct segwriter_family family = {.name = "x_total", .type = COUNTER};
    scrape_save(&s, segment_of("a", &family, 1));
    scrape_save(&other, segment_of("a", &family, 1));
    s.sources[s.n++] = other.sources[0];
    other.n = 0;
    scrape_run(&s);
    assert_string_equal(apps(&s), "# TYPE x_total counter\nx_total{app=\"a\"} 1\n");
    assert_string_equal(only_conflict(&s)->reason, "duplicate_segment");
    assert_non_null(strstr(only_conflict(&s)->name, "/a.v1.smx"));
    const char *usage = scrape_only(&s, &s.text, "smx_segment_families");
    assert_ptr_equal(strstr(usage, "{app=\"a\"}"), strrchr(usage, '{'));
    scrape_end(&s);
    scrape_end(&other);
}

static void types_modes_and_labels_may_differ_where_no_series_collides(void **state)
{
    (void)state;
    static const struct segwriter_family first = {.name = "x", .type = GAUGE, .labels = {"a"}},
                                         second = {.name = "x",
                                                   .type = GAUGE,
                                                   .mode = SEGWRITER_MAX,
                                                   .labels = {"b", "c"}};
    struct scrape s;
    size_t n;
    scrape_start(&s);
    scrape_save(&s, segment_of("a", &first, 1));
    scrape_save(&s, segment_of("b", &second, 1));
    scrape_run(&s);
    (void)gather_conflicts(s.gather, &n);
    assert_int_equal(n, 0);
    assert_string_equal(apps(&s), "# TYPE x gauge\n"
                                  "x{app=\"a\",a=\"v1\"} 1\n"
                                  "x{app=\"b\",b=\"v1\",c=\"v2\"} 1\n");
    scrape_end(&s);
}

static void series_and_families_that_come_and_go_are_seen_at_the_next_scrape(void **state)
{
    (void)state;
    struct scrape s;
    scrape_start(&s);
    smx_segment *segment = scrape_open(&s, &(struct smx_options){.app = "a"});
    smx_family family =
        smx_counter_family(segment, &(struct smx_metric){.name = "x_total", .labels = {"l"}}, NULL);
    scrape_run(&s);
    assert_string_equal(apps(&s), "");
    smx_counter_inc(smx_counter_with(family, SMX_VALUES("1")));
    smx_counter_add(smx_counter_with(family, SMX_VALUES("2")), 20);
    scrape_run(&s);
    assert_string_equal(apps(&s), "# TYPE x_total counter\n"
                                  "x_total{app=\"a\",l=\"1\"} 1\n"
                                  "x_total{app=\"a\",l=\"2\"} 20\n");
    smx_series_remove(family, SMX_VALUES("1"));
    smx_counter_inc(smx_counter_new(segment, &(struct smx_metric){.name = "y_total"}, NULL));
    scrape_run(&s);
    assert_string_equal(apps(&s), "# TYPE x_total counter\n"
                                  "x_total{app=\"a\",l=\"2\"} 20\n"
                                  "# TYPE y_total counter\n"
                                  "y_total{app=\"a\"} 1\n");
    smx_counter_inc(smx_counter_with(family, SMX_VALUES("1")));
    scrape_run(&s);
    assert_non_null(strstr(apps(&s), "x_total{app=\"a\",l=\"1\"} 2\n"));
    scrape_end(&s);
}

static void a_segment_that_goes_frees_the_names_it_held(void **state)
{
    (void)state;
    static const struct segwriter_family gauge = {.name = "x", .type = GAUGE},
                                         counter = {.name = "x", .type = COUNTER};
    struct scrape s;
    scrape_start(&s);
    scrape_save(&s, segment_of("a", &gauge, 1));
    scrape_save(&s, segment_of("b", &counter, 1));
    scrape_run(&s);
    assert_non_null(strstr(apps(&s), "x{app=\"a\"} 1\n"));
    gather_forget(s.gather, s.sources[0].reader);
    smx_reader_close(s.sources[0].reader);
    s.sources[0] = s.sources[--s.n];
    scrape_run(&s);
    assert_string_equal(apps(&s), "# TYPE x counter\nx{app=\"b\"} 1\n");
    scrape_end(&s);
}

/* Malloc likes to give the same address again, and both readers are at their first epoch. */
static void a_forgotten_reader_leaves_nothing_to_one_at_its_address(void **state)
{
    (void)state;
    struct scrape s;
    scrape_start(&s);
    smx_segment *segment = scrape_open(&s, &(struct smx_options){.app = "a"});
    smx_family family =
        smx_counter_family(segment, &(struct smx_metric){.name = "x_total", .labels = {"l"}}, NULL);
    smx_counter_inc(smx_counter_with(family, SMX_VALUES("1")));
    scrape_run(&s);
    smx_counter_inc(smx_counter_with(family, SMX_VALUES("2")));
    smx_series_remove(family, SMX_VALUES("1"));
    gather_forget(s.gather, s.sources[0].reader);
    smx_reader_close(s.sources[0].reader);
    assert_int_equal(smx_reader_open(smx_path(segment), &s.sources[0].reader, NULL), 0);
    scrape_run(&s);
    assert_string_equal(apps(&s), "# TYPE x_total counter\nx_total{app=\"a\",l=\"2\"} 1\n");
    scrape_end(&s);
}

static void the_overflow_series_shows_once_something_went_there(void **state)
{
    (void)state;
    struct scrape s;
    scrape_start(&s);
    smx_segment *segment = scrape_open(&s, &(struct smx_options){.app = "a"});
    struct smx_metric counter = {.name = "x_total", .labels = {"l"}, .max_series = 1};
    struct smx_metric histogram = {.name = "h", .labels = {"l"}, .max_series = 1, .max = 2};
    smx_family x = smx_counter_family(segment, &counter, NULL);
    smx_family h = smx_histogram_family(segment, &histogram, NULL);
    smx_counter_inc(smx_counter_with(x, SMX_VALUES("1")));
    smx_histogram_record(smx_histogram_with(h, SMX_VALUES("1")), 1);
    scrape_run(&s);
    assert_null(strstr(apps(&s), "otel_metric_overflow"));
    smx_counter_add(smx_counter_with(x, SMX_VALUES("2")), 7);
    smx_histogram_record(smx_histogram_with(h, SMX_VALUES("2")), 1);
    scrape_run(&s);
    assert_non_null(strstr(apps(&s), "x_total{app=\"a\",otel_metric_overflow=\"true\"} 7\n"));
    assert_non_null(strstr(apps(&s), "h_count{app=\"a\",otel_metric_overflow=\"true\"} 1\n"));
    scrape_end(&s);
}

static void a_gauge_of_mode_each_shows_every_live_worker_and_no_dead_one(void **state)
{
    (void)state;
    struct scrape s;
    int written[2] = {-1, -1}, release[2] = {-1, -1};
    char byte = 0;
    scrape_start(&s);
    smx_segment *segment = scrape_open(&s, &(struct smx_options){.app = "a"});
    smx_fgauge gauge =
        smx_fgauge_new(segment, &(struct smx_metric){.name = "x", .mode = SMX_EACH}, NULL);
    assert_true(pipe(written) == 0 && pipe(release) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        smx_fgauge_set(gauge, 2.5);
        (void)!write(written[1], &byte, 1);
        (void)!read(release[0], &byte, 1);
        _exit(0);
    }
    assert_true(pid > 0);
    assert_int_equal(read(written[0], &byte, 1), 1);
    scrape_run(&s);
    assert_string_equal(apps(&s), "# TYPE x gauge\nx{app=\"a\",worker=\"1\"} 2.5\n");
    smx_fgauge_set(gauge, 1);
    scrape_run(&s);
    assert_string_equal(apps(&s), "# TYPE x gauge\n"
                                  "x{app=\"a\",worker=\"0\"} 1.0\n"
                                  "x{app=\"a\",worker=\"1\"} 2.5\n");
    assert_int_equal(write(release[1], &byte, 1), 1);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    scrape_run(&s);
    assert_string_equal(apps(&s), "# TYPE x gauge\nx{app=\"a\",worker=\"0\"} 1.0\n");
    scrape_end(&s);
}

static void usage_tells_losses_and_live_processes_by_segment(void **state)
{
    (void)state;
    struct scrape s;
    scrape_start(&s);
    smx_segment *segment =
        scrape_open(&s, &(struct smx_options){.app = "a", .instance = "i", .max_bytes = 1 << 20});
    smx_counter_add_signed(smx_counter_new(segment, &(struct smx_metric){.name = "x_total"}, NULL),
                           -1);
    scrape_run(&s);
    static const char *const lines[] = {
        "smx_segment_max_bytes{app=\"a\",app_instance=\"i\"} 1048576\n",
        "smx_segment_families{app=\"a\",app_instance=\"i\"} 1\n",
        "smx_segment_processes{app=\"a\",app_instance=\"i\"} 1\n",
        "smx_segment_lost_total{app=\"a\",app_instance=\"i\",reason=\"negative\"} 1\n",
        "smx_segment_lost_total{app=\"a\",app_instance=\"i\",reason=\"space\"} 0\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        assert_non_null(strstr(scrape_only(&s, &s.text, "smx_segment_"), lines[i]));
    scrape_end(&s);
}

static void the_agents_own_process_is_measured(void **state)
{
    (void)state;
    struct self_process before, after;
    self_measure(&before);
    int fd = dup(0);
    self_measure(&after);
    close(fd);
    assert_int_equal(after.open_fds, before.open_fds + 1);
    assert_int_equal(after.threads, 1);
    assert_true(after.cpu_ns > before.cpu_ns);
    assert_true(after.resident_bytes > 0 && after.resident_bytes < after.virtual_bytes);
    assert_true(after.max_fds >= after.open_fds && after.virtual_max_bytes > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_oldest_segment_comes_first_in_whatever_order_the_sources_are),
        cmocka_unit_test(a_contradicting_family_is_left_out_and_the_first_stays),
        cmocka_unit_test(
            a_family_that_breaks_a_rule_by_itself_is_left_out_and_its_neighbour_served),
        cmocka_unit_test(a_constant_label_that_collides_leaves_out_the_families_of_that_segment),
        cmocka_unit_test(a_constant_label_worker_leaves_out_the_gauges_of_mode_each),
        cmocka_unit_test(a_family_of_too_many_long_lines_is_left_out_and_its_neighbour_served),
        cmocka_unit_test(states_of_long_names_count_as_the_lines_that_they_make),
        cmocka_unit_test(of_two_segments_with_one_application_and_instance_the_older_is_served),
        cmocka_unit_test(types_modes_and_labels_may_differ_where_no_series_collides),
        cmocka_unit_test(series_and_families_that_come_and_go_are_seen_at_the_next_scrape),
        cmocka_unit_test(a_segment_that_goes_frees_the_names_it_held),
        cmocka_unit_test(a_forgotten_reader_leaves_nothing_to_one_at_its_address),
        cmocka_unit_test(the_overflow_series_shows_once_something_went_there),
        cmocka_unit_test(a_gauge_of_mode_each_shows_every_live_worker_and_no_dead_one),
        cmocka_unit_test(usage_tells_losses_and_live_processes_by_segment),
        cmocka_unit_test(the_agents_own_process_is_measured),
    };
    return RUN_TESTS(tests);
}
