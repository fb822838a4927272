/* SPDX-License-Identifier: MIT
 *
 * 40-health.c - what is said of applications: by the processes that live, by their own checks, by
 * the operator's rules, at any time; and what the probes of an orchestrator are answered then. The
 * time is made up, the processes are real.
 */
#include "agent/http/applications.h"
#include "support/scratch.h"
#include "support/tap.h"
#include "support/worker.h"

#include <smx/health.h>

#include <math.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#define SECOND UINT64_C(1000000000)

static char directory[SCRATCH_SIZE];
static struct health health;

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

/* An application of this test: in it live this process, if it has it open, and children. */
struct app {
    smx_segment *segment;
    smx_reader *reader;
    pid_t children[40];
    size_t n_children;
    uint32_t *turn;
};

/* What a child does before it waits for its end. */
struct child {
    struct app *app;
    const char *role;
    bool beats;
};

static int live(void *argument)
{
    const struct child *c = argument;
    smx_set_role(c->app->segment, c->role);
    if (c->beats)
        smx_heartbeat(c->app->segment);
    worker_arrive(&c->app->turn[0]);
    CHECK(worker_reach(&c->app->turn[1], 1));
    return 0;
}

static struct app *open_app(const char *name, const char *instance)
{
    struct app *app = calloc(1, sizeof *app);
    assert_non_null(app);
    struct smx_options options = {
        .app = name, .instance = instance, .directory = directory, .role = "master"};
    assert_int_equal(smx_open(&options, &app->segment, NULL), 0);
    assert_int_equal(smx_reader_open(smx_path(app->segment), &app->reader, NULL), 0);
    app->turn = worker_shared(2 * sizeof *app->turn);
    return app;
}

static void start(struct app *app, const char *role, bool beats)
{
    struct child child = {app, role, beats};
    assert_true(app->n_children < sizeof app->children / sizeof *app->children);
    app->children[app->n_children++] = worker_start(live, &child);
    assert_true(worker_reach(&app->turn[0], (uint32_t)app->n_children));
}

static void close_app(struct app *app)
{
    worker_arrive(&app->turn[1]);
    for (size_t i = 0; i < app->n_children; i++)
        assert_int_equal(worker_wait(app->children[i]), 0);
    smx_close(app->segment);
    smx_reader_close(app->reader);
    free(app);
}

static struct health_source source_of(const struct app *app)
{
    assert_int_equal(smx_reader_update(app->reader, NULL), 0);
    const struct smx_segment_info *info = smx_reader_info(app->reader);
    return (struct health_source){.app = info->app.at,
                                  .instance = info->instance.at,
                                  .path = info->path,
                                  .reader = app->reader};
}

/* Judge one application by some rules at some time. */
static const struct health_app *judge_at(const struct app *app, const struct health_rule *rules,
                                         size_t n, uint64_t at_ns)
{
    struct health_source source = source_of(app);
    struct health_input input = {.sources = &source, .n = 1, .rules = {rules, n}, .now_ns = at_ns};
    assert_int_equal(health_evaluate(&health, &input), 0);
    assert_true(health.n >= 1);
    return &health.apps[0];
}

/* `later` from now. */
static const struct health_app *judge(const struct app *app, const struct health_rule *rules,
                                      size_t n, int64_t later)
{
    return judge_at(app, rules, n, now_ns() + (uint64_t)later);
}

static void expect(const struct health_app *app, enum health_status status, bool ready, bool live)
{
    if (app->status != status || app->ready != ready || app->live != live)
        fail_msg("%s is %s, %sready, %slive", app->source.app, health_status_name(app->status),
                 app->ready ? "" : "not ", app->live ? "" : "not ");
}

static void an_application_without_checks_is_what_its_processes_are(void **state)
{
    (void)state;
    struct app *app = open_app("plain", NULL);
    expect(judge(app, NULL, 0, 0), HEALTH_OK, true, true);
    assert_int_equal(health.apps[0].n_live, 1);
    start(app, "worker", true);
    start(app, "worker", false);
    const struct health_app *seen = judge(app, NULL, 0, 0);
    assert_int_equal(seen->n_live, 3);
    assert_int_equal(seen->n_roles, 2);
    assert_string_equal(seen->roles[0].name, "master");
    assert_string_equal(seen->roles[1].name, "worker");
    assert_int_equal(seen->roles[1].live, 2);
    assert_int_equal(seen->roles[0].last_beat_ns, 0);
    assert_true(seen->roles[1].last_beat_ns > 0);
    assert_int_equal(seen->last_beat_ns, seen->roles[1].last_beat_ns);
    smx_close(app->segment);
    close_app(app);
}

static void of_which_nothing_lives_is_stopped_and_neither_ready_nor_live(void **state)
{
    static const struct health_rule workers[] = {
        {.kind = HEALTH_WORKERS, .name = "w", .least = 1},
        {.kind = HEALTH_HEARTBEAT, .name = "h", .max_age_ns = 1, .critical = true},
        {.kind = HEALTH_METRIC, .name = "m", .metric = "none", .critical = true}};
    (void)state;
    struct app *app = open_app("stopped", NULL);
    smx_check check = smx_check_new(
        app->segment, &(struct smx_check_options){.name = "c", .critical = true}, NULL);
    smx_check_report(check, SMX_CHECK_FAILED, NULL);
    smx_close(app->segment);
    expect(judge(app, NULL, 0, 0), HEALTH_STOPPED, false, false);
    assert_false(applications_degraded(&health));
    /* That it should run is for a rule to say; what cannot be known then is not held against it. */
    expect(judge(app, workers + 1, 2, 0), HEALTH_STOPPED, false, false);
    expect(judge(app, workers, 3, 0), HEALTH_FAILED, false, false);
    assert_true(applications_degraded(&health));
    close_app(app);
}

static void checks_weigh_as_they_are_critical_or_not(void **state)
{
    static const struct {
        enum smx_check_state state;
        bool critical;
        enum health_status expected;
        bool ready;
    } table[] = {
        {SMX_CHECK_OK, true, HEALTH_OK, true},
        {SMX_CHECK_OK, false, HEALTH_OK, true},
        {SMX_CHECK_DEGRADED, true, HEALTH_DEGRADED, true},
        {SMX_CHECK_DEGRADED, false, HEALTH_DEGRADED, true},
        {SMX_CHECK_FAILED, false, HEALTH_DEGRADED, true},
        {SMX_CHECK_FAILED, true, HEALTH_FAILED, false},
        {SMX_CHECK_SILENT, false, HEALTH_DEGRADED, true},
        {SMX_CHECK_SILENT, true, HEALTH_FAILED, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char name[16];
        snprintf(name, sizeof name, "weigh%zu", i);
        struct app *app = open_app(name, NULL);
        smx_check check = smx_check_new(
            app->segment, &(struct smx_check_options){.name = "c", .critical = table[i].critical},
            NULL);
        if (table[i].state != SMX_CHECK_SILENT)
            smx_check_report(check, table[i].state, NULL);
        expect(judge(app, NULL, 0, 0), table[i].expected, table[i].ready, true);
        close_app(app);
    }
}

static void a_check_of_which_nothing_is_heard_fails_after_its_interval(void **state)
{
    (void)state;
    struct app *app = open_app("silent", NULL);
    const struct smx_check_options options = {.name = "c", .interval_ms = 30000, .critical = true};
    smx_check_report(smx_check_new(app->segment, &options, NULL), SMX_CHECK_OK, NULL);
    expect(judge(app, NULL, 0, 0), HEALTH_OK, true, true);
    expect(judge(app, NULL, 0, 29 * (int64_t)SECOND), HEALTH_OK, true, true);
    expect(judge(app, NULL, 0, 31 * (int64_t)SECOND), HEALTH_FAILED, false, true);
    expect(judge(app, NULL, 0, -31 * (int64_t)SECOND), HEALTH_FAILED, false, true);
    close_app(app);
}

/* Large segments are not read for each probe. Time passes, but whoever is heard of may have been
 * since; so nothing grows old but by a look. */
static void what_was_read_a_while_ago_is_judged_as_of_then(void **state)
{
    static const struct health_rule rule = {
        .kind = HEALTH_HEARTBEAT, .name = "h", .max_age_ns = 30 * SECOND, .critical = true};
    (void)state;
    struct app *app = open_app("large", NULL);
    const struct smx_check_options options = {.name = "c", .interval_ms = 30000, .critical = true};
    smx_check_report(smx_check_new(app->segment, &options, NULL), SMX_CHECK_OK, NULL);
    smx_heartbeat(app->segment);
    struct health_source source = source_of(app);
    struct health_input input = {
        .sources = &source, .n = 1, .rules = {&rule, 1}, .now_ns = now_ns() + 60 * SECOND};
    source.age_ns = 60 * SECOND;
    assert_int_equal(health_evaluate(&health, &input), 0);
    expect(&health.apps[0], HEALTH_OK, true, true);
    source.age_ns = 10 * SECOND;
    assert_int_equal(health_evaluate(&health, &input), 0);
    expect(&health.apps[0], HEALTH_FAILED, false, false);
    close_app(app);
}

static void a_rule_on_workers_counts_those_of_a_role_that_live_and_do_not_hang(void **state)
{
    static const struct health_rule rules[] = {
        {.kind = HEALTH_WORKERS, .name = "w", .role = "worker", .least = 2, .critical = true},
        {.kind = HEALTH_HEARTBEAT, .name = "h", .role = "worker", .max_age_ns = 30 * SECOND}};
    (void)state;
    struct app *app = open_app("crew", NULL);
    start(app, "worker", true);
    expect(judge(app, rules, 2, 0), HEALTH_FAILED, false, true);
    assert_string_equal(health.apps[0].findings[0].why, "1 worker process lives, 2 needed");
    start(app, "worker", false);
    expect(judge(app, rules, 2, 0), HEALTH_OK, true, true);
    expect(judge(app, rules, 2, 31 * (int64_t)SECOND), HEALTH_FAILED, false, true);
    assert_string_equal(health.apps[0].findings[0].why,
                        "1 worker process lives, 2 needed; 1 more hang");
    close_app(app);
}

static void who_has_ever_sent_a_heartbeat_hangs_when_it_is_too_old(void **state)
{
    static const struct health_rule critical = {
        .kind = HEALTH_HEARTBEAT, .name = "h", .max_age_ns = 30 * SECOND, .critical = true};
    struct health_rule minor = critical;
    const int64_t later = 31 * (int64_t)SECOND;
    (void)state;
    minor.critical = false;
    struct app *app = open_app("beating", NULL);
    /* Nobody beats: nothing is known. */
    expect(judge(app, &critical, 1, later), HEALTH_OK, true, true);
    smx_heartbeat(app->segment);
    expect(judge(app, &critical, 1, 0), HEALTH_OK, true, true);
    expect(judge(app, &critical, 1, later), HEALTH_FAILED, false, false);
    assert_string_equal(health.apps[0].findings[0].why,
                        "1 of 1 processes without a heartbeat for 30 s, number 0 for the longest");
    assert_int_equal(health.apps[0].n_hung, 1);
    /* Back in time it is as unknown. */
    expect(judge(app, &critical, 1, -later), HEALTH_FAILED, false, false);
    expect(judge(app, &minor, 1, later), HEALTH_DEGRADED, true, true);
    /* One that does not hang: some work is done. */
    smx_reader_update(app->reader, NULL);
    uint64_t first = health.apps[0].last_beat_ns;
    while (now_ns() - first < 50000000) /* apart */
        ;
    start(app, "worker", true);
    expect(judge_at(app, &critical, 1, first + 30 * SECOND + 10000000), HEALTH_DEGRADED, true,
           true);
    assert_int_equal(health.apps[0].n_hung, 1);
    close_app(app);
}

/* One series out of bounds is one too many. */
static const struct metric_case {
    const char *metric;
    const char *label, *value;
    double min, max;
    bool may_be_absent;
    enum health_status expected;
    const char *why;
} metric_cases[] = {
    {"jobs_total", NULL, NULL, 0, INFINITY, false, HEALTH_OK, ""},
    {"jobs_total", NULL, NULL, 42, 42, false, HEALTH_OK, ""},
    {"jobs_total", NULL, NULL, 43, INFINITY, false, HEALTH_FAILED, "jobs_total is 42, below 43"},
    {"busy_seconds_total", NULL, NULL, 1.5, 1.5, false, HEALTH_OK, ""},
    {"queue", NULL, NULL, -INFINITY, 1000, false, HEALTH_FAILED,
     "queue of \"mail\" is 1200, above 1000"},
    {"queue", "name", "web", -INFINITY, 1000, false, HEALTH_OK, ""},
    {"queue", "name", "mail", -INFINITY, 1200, false, HEALTH_OK, ""},
    {"queue", "name", "none", -INFINITY, 1, false, HEALTH_FAILED,
     "queue: no series matches, or none has a value"},
    {"queue", "name", "none", -INFINITY, 1, true, HEALTH_OK, ""},
    {"queue", "nothing", "web", -INFINITY, 1, true, HEALTH_OK, ""},
    {"each", NULL, NULL, 7, 7, false, HEALTH_OK, ""},
    {"each", NULL, NULL, 8, INFINITY, false, HEALTH_FAILED, "each is 7, below 8"},
    {"load", NULL, NULL, 0, 0.5, false, HEALTH_FAILED, "load is 0.75, above 0.5"},
    {"nan", NULL, NULL, -INFINITY, INFINITY, false, HEALTH_FAILED, "nan is not a number"},
    {"unset", NULL, NULL, 0, 1, false, HEALTH_FAILED,
     "unset: no series matches, or none has a value"},
    {"missing", NULL, NULL, 0, 1, false, HEALTH_FAILED, "missing: no such metric"},
    {"missing", NULL, NULL, 0, 1, true, HEALTH_OK, ""},
    {"waits", NULL, NULL, 0, 1, true, HEALTH_FAILED,
     "waits has no single value: the rule cannot be met"},
    {"build_info", NULL, NULL, 1, 1, false, HEALTH_OK, ""},
};

static void fill_metrics(smx_segment *s)
{
    smx_counter_add(smx_counter_new(s, &(struct smx_metric){.name = "jobs_total"}, NULL), 42);
    smx_counter_add(
        smx_counter_new(s, &(struct smx_metric){.name = "busy_seconds_total", .unit = "seconds"},
                        NULL),
        1500000000);
    smx_family queue =
        smx_gauge_family(s, &(struct smx_metric){.name = "queue", .labels = {"name"}}, NULL);
    smx_gauge_set(smx_gauge_with(queue, SMX_VALUES("web")), 3);
    smx_gauge_set(smx_gauge_with(queue, SMX_VALUES("mail")), 1200);
    smx_gauge_set(smx_gauge_new(s, &(struct smx_metric){.name = "each", .mode = SMX_EACH}, NULL),
                  7);
    smx_fgauge_set(smx_fgauge_new(s, &(struct smx_metric){.name = "load"}, NULL), 0.75);
    smx_fgauge_set(smx_fgauge_new(s, &(struct smx_metric){.name = "nan"}, NULL), NAN);
    (void)smx_gauge_new(s, &(struct smx_metric){.name = "unset"}, NULL);
    (void)smx_histogram_new(s, &(struct smx_metric){.name = "waits"}, NULL);
    (void)smx_info(s, &(struct smx_metric){.name = "build", .labels = {"v"}}, SMX_VALUES("1"),
                   NULL);
}

static struct health_rule rule_of(const struct metric_case *c)
{
    return (struct health_rule){.kind = HEALTH_METRIC,
                                .name = "m",
                                .critical = true,
                                .metric = c->metric,
                                .labels = {{c->label, c->value}},
                                .n_labels = c->label != NULL,
                                .min = c->min,
                                .max = c->max,
                                .may_be_absent = c->may_be_absent};
}

static void a_rule_on_a_metric_asks_every_series_that_matches(void **state)
{
    (void)state;
    struct app *app = open_app("metrics", NULL);
    fill_metrics(app->segment);
    for (size_t i = 0; i < sizeof metric_cases / sizeof *metric_cases; i++) {
        const struct metric_case *c = &metric_cases[i];
        const struct health_rule rule = rule_of(c);
        const struct health_finding *found = &judge(app, &rule, 1, 0)->findings[0];
        if (found->status != c->expected || strcmp(found->why, c->why) != 0)
            fail_msg("case %zu: %s, \"%s\"", i, health_status_name(found->status), found->why);
        expect(&health.apps[0], found->status, found->status == HEALTH_OK, true);
    }
    close_app(app);
}

static void a_rule_is_for_an_application_for_an_instance_of_it_or_for_all(void **state)
{
    static const struct health_rule rules[] = {
        {.kind = HEALTH_WORKERS, .name = "all", .least = 1},
        {.kind = HEALTH_WORKERS, .name = "shop", .app = "shop", .least = 1},
        {.kind = HEALTH_WORKERS, .name = "eu", .app = "shop", .instance = "eu", .least = 1},
        {.kind = HEALTH_WORKERS, .name = "us", .app = "shop", .instance = "us", .least = 1},
        {.kind = HEALTH_WORKERS, .name = "bank", .app = "bank", .least = 1, .critical = true},
        {.kind = HEALTH_WORKERS, .name = "bank too", .app = "bank", .least = 2}};
    (void)state;
    struct app *eu = open_app("shop", "eu"), *plain = open_app("shop", NULL);
    struct app *other = open_app("other", NULL);
    struct health_source sources[] = {source_of(eu), source_of(plain), source_of(other)};
    struct health_input input = {
        .sources = sources, .n = 3, .rules = {rules, 6}, .now_ns = now_ns()};
    assert_int_equal(health_evaluate(&health, &input), 0);
    assert_int_equal(health.n, 5);
    assert_int_equal(health.apps[0].n_findings, 3);
    assert_string_equal(health.apps[0].findings[2].rule->name, "eu");
    assert_int_equal(health.apps[1].n_findings, 2);
    assert_int_equal(health.apps[2].n_findings, 1);
    /* What rules name, and is not there. */
    assert_string_equal(health.apps[3].source.app, "shop");
    assert_string_equal(health.apps[3].source.instance, "us");
    expect(&health.apps[3], HEALTH_FAILED, false, false);
    assert_string_equal(health.apps[4].source.app, "bank");
    assert_int_equal(health.apps[4].n_findings, 3);
    expect(&health.apps[4], HEALTH_FAILED, false, false);
    close_app(eu);
    close_app(plain);
    close_app(other);
}

static void what_cannot_be_read_is_unknown_and_no_reason_to_start_it_anew(void **state)
{
    static const struct health_rule rule = {
        .kind = HEALTH_WORKERS, .name = "w", .least = 1, .critical = true};
    struct health_source source = {
        .app = "dark", .instance = "", .path = "/dark.v1.smx", .why = "not a segment"};
    struct health_input input = {
        .sources = &source, .n = 1, .rules = {&rule, 1}, .now_ns = now_ns()};
    (void)state;
    assert_int_equal(health_evaluate(&health, &input), 0);
    expect(&health.apps[0], HEALTH_UNKNOWN, false, true);
    assert_int_equal(health.apps[0].n_findings, 0);
}

static void more_roles_than_anybody_has_are_counted_together(void **state)
{
    (void)state;
    struct app *app = open_app("roles", NULL);
    for (unsigned i = 0; i < 38; i++) {
        char role[16];
        snprintf(role, sizeof role, "role%02u", i % 36);
        start(app, role, false);
    }
    const struct health_app *seen = judge(app, NULL, 0, 0);
    assert_int_equal(seen->n_roles, HEALTH_ROLES_MAX);
    assert_string_equal(seen->roles[HEALTH_ROLES_MAX - 1].name, "(other)");
    size_t live = 0;
    for (size_t i = 0; i < seen->n_roles; i++)
        live += seen->roles[i].live;
    assert_int_equal(live, 39);
    assert_int_equal(seen->roles[1].live, 2); /* role00, also when all places are taken */
    close_app(app);
}

/* Ask; the answer has to have this text. */
static void ask(const char *name, enum application_question question, int status, const char *text)
{
    struct buffer out = {0};
    int got = applications_probe(&health, name, question, &out);
    buffer_put(&out, "", 1);
    if (got != status || !strstr(out.at, text))
        fail_msg("%s: %d, %s", name, got, out.at);
    buffer_fini(&out);
}

static void a_probe_of_an_application_asks_all_its_instances_or_one(void **state)
{
    (void)state;
    struct app *eu = open_app("probed", "eu"), *us = open_app("probed", "us");
    smx_check check = smx_check_new(
        us->segment, &(struct smx_check_options){.name = "redis", .critical = true}, NULL);
    smx_check_report(check, SMX_CHECK_FAILED, "refused");
    struct health_source sources[] = {
        source_of(eu), source_of(us), {.app = "dark", .instance = "", .path = "/x", .why = "torn"}};
    struct health_input input = {.sources = sources, .n = 3, .now_ns = now_ns()};
    assert_int_equal(health_evaluate(&health, &input), 0);
    ask("probed@eu", APPLICATION_READY, 200, "\"status\": \"ready\"");
    ask("probed@us", APPLICATION_READY, 503, "\"check redis is failed: refused\"");
    ask("probed", APPLICATION_READY, 503, "\"status\": \"unready\"");
    ask("probed", APPLICATION_LIVE, 200, "\"status\": \"live\"");
    ask("probed@", APPLICATION_READY, 404, "\"status\": \"not found\"");
    ask("probed@eu@", APPLICATION_READY, 404, "not found");
    ask("probe", APPLICATION_LIVE, 404, "not found");
    ask("", APPLICATION_LIVE, 404, "not found");
    ask("@eu", APPLICATION_LIVE, 404, "not found");
    ask("dark", APPLICATION_READY, 503, "\"torn\"");
    ask("dark", APPLICATION_LIVE, 200, "\"unknown\"");
    smx_close(us->segment);
    sources[1] = source_of(us);
    assert_int_equal(health_evaluate(&health, &input), 0);
    ask("probed@us", APPLICATION_LIVE, 503, "none of its processes lives");
    ask("probed", APPLICATION_LIVE, 503, "\"status\": \"dead\"");
    close_app(eu);
    close_app(us);
}

static void ages_are_written_as_short_as_they_are(void **state)
{
    (void)state;
    struct buffer out = {0};
    bool failed = false;
    json_t *root = json_array();
    json_push(root, json_from_ns(248274), &failed);
    json_push(root, json_from_ns(100000000), &failed);
    json_push(root, json_from_ns(UINT64_C(86400123456789)), &failed);
    assert_int_equal(json_finish(root, failed, &out), 0);
    buffer_put(&out, "", 1);
    assert_string_equal(out.at, "[\n  0.000248274,\n  0.1,\n  86400.123456789\n]\n");
    buffer_fini(&out);
}

int main(void)
{
    alarm(ALARM_S);
    if (scratch_make(directory) != 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_application_without_checks_is_what_its_processes_are),
        cmocka_unit_test(of_which_nothing_lives_is_stopped_and_neither_ready_nor_live),
        cmocka_unit_test(checks_weigh_as_they_are_critical_or_not),
        cmocka_unit_test(a_check_of_which_nothing_is_heard_fails_after_its_interval),
        cmocka_unit_test(what_was_read_a_while_ago_is_judged_as_of_then),
        cmocka_unit_test(a_rule_on_workers_counts_those_of_a_role_that_live_and_do_not_hang),
        cmocka_unit_test(who_has_ever_sent_a_heartbeat_hangs_when_it_is_too_old),
        cmocka_unit_test(a_rule_on_a_metric_asks_every_series_that_matches),
        cmocka_unit_test(a_rule_is_for_an_application_for_an_instance_of_it_or_for_all),
        cmocka_unit_test(what_cannot_be_read_is_unknown_and_no_reason_to_start_it_anew),
        cmocka_unit_test(more_roles_than_anybody_has_are_counted_together),
        cmocka_unit_test(a_probe_of_an_application_asks_all_its_instances_or_one),
        cmocka_unit_test(ages_are_written_as_short_as_they_are),
    };
    int status = RUN_TESTS(tests);
    health_fini(&health);
    scratch_remove(directory);
    return status;
}
