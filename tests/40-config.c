/* SPDX-License-Identifier: MIT
 *
 * 40-config.c - the configuration file: what it says is in force, and what options and the
 * environment say overrules it. What is wrong with it is in 40-config-refused.c.
 */
#include "support/tap.h"

#include "support/scratch.h"

#include "agent/config/config.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/prctl.h>

static char directory[SCRATCH_SIZE], path[SCRATCH_SIZE + 16];

static void write_file(const char *text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static struct options options_of(const char *const arguments[], char *environment[])
{
    struct options options;
    char program[] = "smx-agent", *argv[8] = {program};
    int argc = 1;
    for (; arguments && arguments[argc - 1]; argc++)
        argv[argc] = (char *)(uintptr_t)arguments[argc - 1];
    assert_int_equal(options_parse(argc, argv, environment, &options), 0);
    options.config_file = path;
    return options;
}

static struct config *load(const char *text, const char *const arguments[])
{
    char why[CONFIG_WHY_SIZE];
    struct config *config = NULL;
    struct options options = options_of(arguments, NULL);
    write_file(text);
    if (config_load(&options, &config, why) < 0)
        fail_msg("%s", why);
    return config;
}

/* The kernel says 0 of it, and has more. */
static void a_file_without_a_size_is_read(void **state)
{
    (void)state;
    char why[CONFIG_WHY_SIZE];
    struct config *config = NULL;
    struct options options = options_of(NULL, NULL);
    options.config_file = "/proc/self/comm";
    assert_int_equal(prctl(PR_SET_NAME, "labels: {a: b}"), 0);
    if (config_load(&options, &config, why) < 0)
        fail_msg("%s", why);
    assert_int_equal(config->settings.n_labels, 1);
    assert_string_equal(config->settings.labels[0].value.at, "b");
    config_free(config);
}

static void an_empty_file_changes_nothing(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "\n",
        "# nothing\n",
        "---\n",
        "--- ~\n...\n",
        "{}",
        "segments:\nmetrics: {}\n",
        "segments: {directories: }\nhistograms: []\nseries: {allow: null}\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct config *config = load(texts[i], NULL);
        const struct settings *s = &config->settings;
        assert_int_equal(s->n_directories + s->n_bounds + s->n_rules, 0);
        assert_int_equal(s->max_bytes, 0);
        assert_int_equal(s->max_age_ns, SETTINGS_DEFAULT_MAX_AGE_NS);
        assert_int_equal(s->connections, 512);
        assert_int_equal(s->rate, 50);
        assert_false(s->created_samples);
        assert_int_equal(s->workers, WORKERS_EACH);
        config_free(config);
    }
}

static const char whole[] = "segments:\n"
                            "  directories: [/a, /b]\n"
                            "  max_bytes: 2M\n"
                            "scrape:\n"
                            "  max_age: 2s\n"
                            "openmetrics:\n"
                            "  created_samples: yes\n"
                            "limits:\n"
                            "  connections: 100\n"
                            "  requests_per_second: 0\n"
                            "workers:\n"
                            "  detail: sums\n"
                            "  memory: on\n"
                            "metrics:\n"
                            "  allow:\n"
                            "    - http_.*\n"
                            "  deny: ['http_x{1,2}']\n"
                            "series:\n"
                            "  deny:\n"
                            "    - app=test\n"
                            "health:\n"
                            "  rules:\n"
                            "    - workers: {role: worker, min: 2}\n"
                            "      app: shop@eu\n"
                            "      critical: yes\n"
                            "    - heartbeat: {max_age: 30s}\n"
                            "    - metric:\n"
                            "        family: queue\n"
                            "        labels: {name: mail}\n"
                            "        max: 1e3\n"
                            "        absent: ok\n"
                            "      name: mail waits\n"
                            "    - workers:\n"
                            "labels:\n"
                            "  cluster: eu1\n"
                            "  zone: \"a\"\n"
                            "histograms:\n"
                            "  - bounds: [0.1, 1]\n"
                            "  - family: latency\n"
                            "    bounds:\n"
                            "      - 5\n";

static void what_a_file_says_is_in_force(void **state)
{
    (void)state;
    struct config *config = load(whole, NULL);
    const struct settings *s = &config->settings;
    assert_int_equal(s->n_directories, 2);
    assert_string_equal(s->directories[1], "/b");
    assert_int_equal(s->max_bytes, 2 << 20);
    assert_int_equal(s->max_age_ns, UINT64_C(2000000000));
    assert_true(s->created_samples);
    assert_int_equal(s->connections, 100);
    assert_int_equal(s->rate, 0);
    assert_int_equal(s->workers, WORKERS_SUMS);
    assert_true(s->workers_memory && !s->workers_io);
    assert_int_equal(s->n_rules, 3);
    assert_int_equal(s->rules[0].kind, FILTER_ALLOW_FAMILY);
    assert_string_equal(s->rules[1].text, "http_x{1,2}");
    assert_int_equal(s->rules[2].kind, FILTER_DENY_LABEL);
    assert_int_equal(s->n_labels, 2);
    assert_string_equal(s->labels[0].name.at, "cluster");
    assert_string_equal(s->labels[1].value.at, "a");
    assert_int_equal(s->n_bounds, 2);
    assert_int_equal(s->bounds[0].family.length, 0);
    assert_int_equal(s->bounds[0].n, 2);
    assert_string_equal(s->bounds[1].family.at, "latency");
    assert_true(s->bounds[1].bounds[0] == 5);
    config_free(config);
}

static void the_rules_of_health_are_those_of_the_file(void **state)
{
    (void)state;
    struct config *config = load(whole, NULL);
    const struct health_rule *rules = config->health.at;
    assert_int_equal(config->health.n, 4);
    assert_int_equal(rules[0].kind, HEALTH_WORKERS);
    assert_string_equal(rules[0].name, "workers worker of shop@eu");
    assert_string_equal(rules[0].app, "shop");
    assert_string_equal(rules[0].instance, "eu");
    assert_string_equal(rules[0].role, "worker");
    assert_int_equal(rules[0].least, 2);
    assert_true(rules[0].critical);
    assert_int_equal(rules[1].kind, HEALTH_HEARTBEAT);
    assert_string_equal(rules[1].name, "heartbeat");
    assert_null(rules[1].app);
    assert_null(rules[1].role);
    assert_int_equal(rules[1].max_age_ns, UINT64_C(30000000000));
    assert_false(rules[1].critical);
    assert_int_equal(rules[2].kind, HEALTH_METRIC);
    assert_string_equal(rules[2].name, "mail waits");
    assert_string_equal(rules[2].metric, "queue");
    assert_int_equal(rules[2].n_labels, 1);
    assert_string_equal(rules[2].labels[0].label, "name");
    assert_string_equal(rules[2].labels[0].value, "mail");
    assert_true(rules[2].max == 1000 && isinf(rules[2].min) && rules[2].min < 0);
    assert_true(rules[2].may_be_absent);
    assert_int_equal(rules[3].least, 1);
    assert_string_equal(rules[3].name, "workers");
    config_free(config);
}

static void an_option_overrules_the_file_as_a_whole(void **state)
{
    (void)state;
    static const char *const arguments[] = {"--segments.dir=/c",
                                            "--openmetrics.created-samples=no",
                                            "--metrics.deny=z",
                                            "--histogram.bounds=3",
                                            "--labels.add=x=y",
                                            "--web.rate-limit=7",
                                            NULL};
    struct config *config = load(whole, arguments);
    const struct settings *s = &config->settings;
    assert_int_equal(s->n_directories, 1);
    assert_string_equal(s->directories[0], "/c");
    assert_false(s->created_samples);
    assert_int_equal(s->max_bytes, 2 << 20);
    assert_int_equal(s->n_rules, 3);
    assert_string_equal(s->rules[0].text, "z");
    assert_int_equal(s->rules[1].kind, FILTER_ALLOW_FAMILY);
    assert_int_equal(s->n_labels, 1);
    assert_memory_equal(s->labels[0].name.at, "x=y", 4);
    assert_int_equal(s->n_bounds, 1);
    assert_true(s->bounds[0].bounds[0] == 3);
    assert_int_equal(s->rate, 7);
    assert_int_equal(s->connections, 100);
    config_free(config);
}

static void what_an_option_overrules_is_checked_all_the_same(void **state)
{
    (void)state;
    static const char *const arguments[] = {"--segments.max-bytes=1M", NULL};
    char why[CONFIG_WHY_SIZE];
    struct config *config = NULL;
    struct options options = options_of(arguments, NULL);
    const char text[] = "segments: {max_bytes: many}";
    write_file(text);
    assert_int_equal(config_load(&options, &config, why), -EINVAL);
    assert_non_null(strstr(why, "segments.max_bytes: expected a number of bytes"));
}

static void the_environment_stands_between_options_and_file(void **state)
{
    (void)state;
    static const char *const arguments[] = {"--segments.max-bytes=1M", NULL};
    char directories[] = "SMX_AGENT_SEGMENTS_DIR=/c,/d\n/e\n",
         bytes[] = "SMX_AGENT_SEGMENTS_MAX_BYTES=3M",
         age[] = "SMX_AGENT_SCRAPE_MAX_AGE=", denied[] = "SMX_AGENT_METRICS_DENY=a{1,2}\nb",
         created[] = "SMX_AGENT_OPENMETRICS_CREATED_SAMPLES=off",
         port[] = "SMX_AGENT_PORT=tcp://10.0.0.1:9745";
    char *environment[] = {directories, bytes, age, denied, created, port, NULL};
    char why[CONFIG_WHY_SIZE];
    struct config *config;
    struct options options = options_of(arguments, environment);
    write_file(whole);
    assert_int_equal(config_load(&options, &config, why), 0);
    const struct settings *s = &config->settings;
    assert_int_equal(s->n_directories, 3);
    assert_string_equal(s->directories[0], "/c");
    assert_string_equal(s->directories[2], "/e");
    assert_int_equal(s->max_bytes, 1 << 20);
    assert_int_equal(s->max_age_ns, UINT64_C(2000000000));
    assert_false(s->created_samples);
    assert_int_equal(s->n_rules, 4);
    assert_string_equal(s->rules[0].text, "a{1,2}");
    assert_string_equal(s->rules[1].text, "b");
    config_free(config);
}

static void every_option_has_a_variable(void **state)
{
    (void)state;
    static const char *const values[OPTION_COUNT] = {
        [OPTION_CONFIG_FILE] = "CONFIG_FILE=/x",
        [OPTION_WEB_CONFIG_FILE] = "WEB_CONFIG_FILE=/x",
        [OPTION_LISTEN] = "WEB_LISTEN_ADDRESS=:1,[::1]:2",
        [OPTION_LIFECYCLE] = "WEB_ENABLE_LIFECYCLE=1",
        [OPTION_SYSTEMD_SOCKET] = "WEB_SYSTEMD_SOCKET=1",
        [OPTION_PROBES] = "WEB_PROBE_ADDRESS=:3",
        [OPTION_HOSTS] = "WEB_ALLOWED_HOSTS=a,b",
        [OPTION_RATE] = "WEB_RATE_LIMIT=3",
        [OPTION_CONNECTIONS] = "WEB_MAX_CONNECTIONS=30",
        [OPTION_DIRECTORY] = "SEGMENTS_DIR=/x",
        [OPTION_MAX_AGE] = "SCRAPE_MAX_AGE=1s",
        [OPTION_METRICS_ALLOW] = "METRICS_ALLOW=x",
        [OPTION_METRICS_DENY] = "METRICS_DENY=x",
        [OPTION_LABELS_ALLOW] = "LABELS_ALLOW=x=y",
        [OPTION_LABELS_DENY] = "LABELS_DENY=x=y",
        [OPTION_LABELS_ADD] = "LABELS_ADD=a=b,c\nd=e",
        [OPTION_MAX_BYTES] = "SEGMENTS_MAX_BYTES=1K",
        [OPTION_BOUNDS] = "HISTOGRAM_BOUNDS=1,2\nx=1,2",
        [OPTION_CREATED_SAMPLES] = "OPENMETRICS_CREATED_SAMPLES=true",
        [OPTION_WORKERS_DETAIL] = "WORKERS_DETAIL=sums",
        [OPTION_WORKERS_MEMORY] = "WORKERS_MEMORY=on",
        [OPTION_WORKERS_IO] = "WORKERS_IO=on",
        [OPTION_LOG_LEVEL] = "LOG_LEVEL=debug",
        [OPTION_LOG_FORMAT] = "LOG_FORMAT=json",
        [OPTION_LOOP] = "LOOP=epoll",
        [OPTION_SANDBOX] = "SANDBOX=off",
        [OPTION_ONCE] = "ONCE=1",
        [OPTION_CHECK_CONFIG] = "CHECK_CONFIG=yes",
    };
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        char variable[64];
        assert_non_null(values[i]);
        snprintf(variable, sizeof variable, "SMX_AGENT_%s", values[i]);
        char program[] = "smx-agent", *argv[] = {program, NULL}, *environment[] = {variable, NULL};
        struct options options;
        assert_int_equal(options_parse(1, argv, environment, &options), 0);
        for (size_t k = 0; k < OPTION_COUNT; k++)
            assert_int_equal(options.given[k], k == i);
        if (i == OPTION_LISTEN)
            assert_int_equal(options.n_listen, 2);
        if (i == OPTION_LABELS_ADD)
            assert_memory_equal(options.settings.labels[0].value.at, "b,c", 4);
        if (i == OPTION_BOUNDS)
            assert_int_equal(options.settings.bounds[1].n, 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_file_changes_nothing),
        cmocka_unit_test(a_file_without_a_size_is_read),
        cmocka_unit_test(what_a_file_says_is_in_force),
        cmocka_unit_test(the_rules_of_health_are_those_of_the_file),
        cmocka_unit_test(an_option_overrules_the_file_as_a_whole),
        cmocka_unit_test(what_an_option_overrules_is_checked_all_the_same),
        cmocka_unit_test(the_environment_stands_between_options_and_file),
        cmocka_unit_test(every_option_has_a_variable),
    };
    if (scratch_make(directory) != 0)
        return 1;
    snprintf(path, sizeof path, "%s/agent.yaml", directory);
    int rc = RUN_TESTS(tests);
    scratch_remove(directory);
    return rc;
}
