/* SPDX-License-Identifier: MIT
 *
 * 40-config.c - the configuration file: what it says is in force, what options say overrules it,
 * and what is wrong with it is told with line, key, and what was expected.
 */
#include "support/tap.h"

#include "support/scratch.h"

#include "agent/config/config.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[SCRATCH_SIZE], path[SCRATCH_SIZE + 16];

static void write_file(const char *text, size_t length)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, length, file), length);
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
    write_file(text, strlen(text));
    if (config_load(&options, &config, why) < 0)
        fail_msg("%s", why);
    return config;
}

/* A file is refused with these words, behind its path. */
static void refuses_bytes(const char *text, size_t length, const char *words)
{
    char why[CONFIG_WHY_SIZE] = "", expected[CONFIG_WHY_SIZE];
    struct config *config = NULL;
    struct options options = options_of(NULL, NULL);
    write_file(text, length);
    snprintf(expected, sizeof expected, "%s%s", path, words);
    int rc = config_load(&options, &config, why);
    assert_string_equal(why, expected);
    assert_true(rc < 0);
    assert_null(config);
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
    write_file(text, strlen(text));
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
    write_file(whole, strlen(whole));
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

/* A table of cases, easier to read in one piece. */
static void what_is_wrong_is_told_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } cases[] = {
        /* keys */
        {"segment: {}", ":1: segment: unknown key; did you mean segments?"},
        {"\nscrape:\n  max-age: 1s\n", ":3: scrape.max-age: unknown key; did you mean max_age?"},
        {"series:\n  only: []\n", ":2: series.only: unknown key; there are allow and deny"},
        {"metrics: {}\nseries: {}\nmetrics: {}\n", ":3: the key metrics stands here a second time"},
        {"histograms:\n  - bounds: [1]\n  - family: x\n",
         ":3: histograms[1]: the key bounds is missing"},
        {"{[a]: b}", ":1: a key must be a word, and not a list or a mapping"},
        {"histograms:\n  - bound: [1]\n",
         ":2: histograms[0].bound: unknown key; did you mean bounds?"},
        /* kinds */
        {"- segments\n", ":1: expected a mapping, got a list"},
        {"segments\n", ":1: expected a mapping, got \"segments\""},
        {"segments: 3\n", ":1: segments: expected a mapping, got \"3\""},
        {"segments: ''\n", ":1: segments: expected a mapping, got \"\""},
        {"segments:\n  directories: /run/smx\n",
         ":2: segments.directories: expected a list, got \"/run/smx\""},
        {"segments:\n  directories:\n    - [/a]\n",
         ":3: segments.directories[0]: expected a text, got a list"},
        {"segments: {max_bytes: }\n", ":1: segments.max_bytes: expected a text, got nothing"},
        {"histograms: [{bounds: []}]", ":1: histograms[0].bounds: expected 1 to 64 entries, got 0"},
        /* values */
        {"segments:\n\n  max_bytes:\n    many\n",
         ":4: segments.max_bytes: expected a number of bytes, as 256M, got \"many\""},
        {"segments:\n  directories:\n  - /a\n  - b\n",
         ":4: segments.directories[1]: expected an absolute path, got \"b\""},
        {"scrape: {max_age: 61s}",
         ":1: scrape.max_age: expected a duration up to 1m, as 100ms or 2s, or 0, got \"61s\""},
        {"openmetrics: {created_samples: maybe}",
         ":1: openmetrics.created_samples: expected true or false, got \"maybe\""},
        {"limits: {rate: 7}",
         ":1: limits.rate: unknown key; there are connections and requests_per_second"},
        {"limits: {connections: 7}",
         ":1: limits.connections: expected a whole number from 8 to 4096, got \"7\""},
        {"limits: {requests_per_second: 1.5}",
         ":1: limits.requests_per_second: expected a whole number, got \"1.5\""},
        {"workers: {io: 7}", ":1: workers.io: expected true or false, got \"7\""},
        {"workers: {detail: some}", ":1: workers.detail: expected each, sums or off, got \"some\""},
        {"metrics:\n  allow: [a, 'b(']\n",
         ":2: metrics.allow[1]: expected a POSIX extended regular expression: Unmatched ( or \\(, "
         "got \"b(\""},
        {"series: {deny: [app]}", ":1: series.deny[0]: expected LABEL=REGEX, got \"app\""},
        {"histograms:\n  - bounds:\n      - 1\n      - 0.5\n",
         ":4: histograms[0].bounds[1]: expected a number above the one before it, got \"0.5\""},
        {"histograms: [{bounds: [-1]}]",
         ":1: histograms[0].bounds[0]: expected a number above 0, got \"-1\""},
        {"histograms: [{bounds: [1s]}]",
         ":1: histograms[0].bounds[0]: expected a number above 0, got \"1s\""},
        {"scrape: {max_age: \"a\\nb\"}",
         ":1: scrape.max_age: expected a duration up to 1m, as 100ms or 2s, or 0, got \"a b\""},
        {"health:\n  rules:\n    - name: a\n",
         ":3: health.rules[0]: needs one of workers, heartbeat and metric"},
        {"health: {rules: [{workers: {min: 1}, heartbeat: {max_age: 1s}}]}",
         ":1: health.rules[0]: needs one of workers, heartbeat and metric"},
        {"health: {rules: [{workers: {min: 0}}]}",
         ":1: health.rules[0].workers.min: expected a whole number from 1 to 65536, got \"0\""},
        {"health: {rules: [{workers: {role: ''}}]}",
         ":1: health.rules[0].workers.role: expected a role of 1 to 31 bytes, got \"\""},
        {"health: {rules: [{workers: {least: 1}}]}",
         ":1: health.rules[0].workers.least: unknown key; there are role and min"},
        {"health: {rules: [{heartbeat: {role: a}}]}",
         ":1: health.rules[0].heartbeat: needs max_age, how old a heartbeat may be"},
        {"health: {rules: [{heartbeat: {max_age: 0}}]}",
         ":1: health.rules[0].heartbeat.max_age: expected a duration above 0, got \"0\""},
        {"health: {rules: [{heartbeat: {max_age: 25h}}]}",
         ":1: health.rules[0].heartbeat.max_age: expected a duration up to 24h, as 100ms or 2s, or "
         "0, got \"25h\""},
        {"health: {rules: [{metric: {max: 1}}]}",
         ":1: health.rules[0].metric: needs family, the name of a metric"},
        {"health: {rules: [{metric: {family: a}}]}",
         ":1: health.rules[0].metric: needs min or max, or both"},
        {"health: {rules: [{metric: {family: a, max: inf}}]}",
         ":1: health.rules[0].metric.max: expected a number, got \"inf\""},
        {"health: {rules: [{metric: {family: a, max: 1, min: 2}}]}",
         ":1: health.rules[0].metric.min: expected no more than max, got \"2\""},
        {"health: {rules: [{metric: {family: a, max: 1, absent: yes}}]}",
         ":1: health.rules[0].metric.absent: expected ok or failed, got \"yes\""},
        {"health: {rules: [{metric: {family: a, max: 1, labels: [a]}}]}",
         ":1: health.rules[0].metric.labels: expected a mapping, got a list"},
        {"health: {rules: [{metric: {family: a, max: 1, labels: {a: }}}]}",
         ":1: health.rules[0].metric.labels.a: expected a text, got nothing"},
        {"health: {rules: [{app: '@eu', workers: {}}]}",
         ":1: health.rules[0].app: expected APPLICATION or APPLICATION@INSTANCE, got \"@eu\""},
        {"health: {rules: [{app: a@b@c, workers: {}}]}",
         ":1: health.rules[0].app: expected APPLICATION or APPLICATION@INSTANCE, got \"a@b@c\""},
        {"health: {rules: [{critical: maybe, workers: {}}]}",
         ":1: health.rules[0].critical: expected true or false, got \"maybe\""},
        {"health:\n  rules:\n    - workers: {}\n    - workers: {min: 2}\n",
         ":4: health.rules[1]: needs a name: another rule is the same but for numbers"},
        {"health:\n  rules:\n    - workers: {}\n    - name: workers\n      heartbeat: {max_age: "
         "1s}\n",
         ":4: health.rules[1].name: expected a name that no other rule has, got \"workers\""},
        {"health: {rules: [{name: '', workers: {}}]}",
         ":1: health.rules[0].name: expected a name of 1 to 128 bytes, got \"\""},
        {"labels: [a]", ":1: labels: expected a mapping, got a list"},
        {"labels:\n  a: {b: c}\n", ":2: labels.a: expected a text, got a mapping"},
        {"labels:\n  a:\n", ":2: labels.a: expected a text, got nothing"},
        {"labels: {a: ''}", ":1: labels.a: expected a label value of 1 to 256 bytes, got \"\""},
        {"labels:\n\n  a-b: c\n",
         ":3: labels.a-b: expected a label name of up to 64 of a-z, A-Z, 0-9 and _, without __ at "
         "its begin"},
        {"labels: {__a: c}",
         ":1: labels.__a: expected a label name of up to 64 of a-z, A-Z, 0-9 and _, without __ at "
         "its begin"},
        {"labels: {le: c}",
         ":1: labels.le: expected another label name: the agent sets app, app_instance, le, "
         "quantile and otel_metric_overflow itself"},
        {"labels: {a: b}\nlabels: {a: b}", ":2: the key labels stands here a second time"},
        /* YAML */
        {"segments:\n\tmax_bytes: 1M\n", ":2: a tab: lines are indented by spaces"},
        {"segments: {\n", ":2: not YAML: did not find expected node content"},
        {"a: 'b\n", ":2: not YAML: found unexpected end of stream"},
        {"a: &x 1\n", ":1: anchors and aliases (&x) are not taken here"},
        {"a: *x\n", ":1: anchors and aliases (&x) are not taken here"},
        {"--- {}\n--- {}\n", ":2: a second document begins"},
        {"# \n\nscrape: \xff\n", ":3: not UTF-8 text: invalid leading UTF-8 octet"},
        {"scrape: {max_age: \"1\\0\"}", ":1: a value with a NUL in it"},
        {"\"a\\0b\": 1", ":1: a key with a control character in it"},
        {"\"a\\nb\": 1", ":1: a key with a control character in it"},
        {"a\tb: 1", ":1: a key with a control character in it"},
        {"[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", ":1: too many levels, 16 are the most"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        refuses_bytes(cases[i].text, strlen(cases[i].text), cases[i].words);
    refuses_bytes("\xff\xfe{\0}\0", 6, ":1: not UTF-8 text: invalid leading UTF-8 octet");
}

/* A value many times over. */
static char *repeat(const char *before, const char *value, size_t n, const char *after)
{
    char *text = malloc(strlen(before) + n * strlen(value) + strlen(after) + 1);
    assert_non_null(text);
    char *to = stpcpy(text, before);
    for (size_t i = 0; i < n; i++)
        to = stpcpy(to, value);
    strcpy(to, after);
    return text;
}

static void what_is_too_much_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *before, *value;
        size_t n;
        const char *after, *words;
    } cases[] = {
        {"segments: {directories: [", "/a,", 33, "]}",
         ":1: segments.directories: expected 0 to 32 entries, got 33"},
        {"labels: {", "a,", 2, "}", ":1: the key a stands here a second time"},
        {"x: [", "a,", 1025, "]", ":1: too many entries, 1024 are the most in one place"},
        {"", "- [a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q]\n", 1000, "",
         ":911: too many values, 16384 are the most"},
        {"#", "x", 1 << 20, "", ": is larger than 1 MiB"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *text = repeat(cases[i].before, cases[i].value, cases[i].n, cases[i].after);
        refuses_bytes(text, strlen(text), cases[i].words);
        free(text);
    }
}

static void refuses_path(const char *at, int code, const char *words)
{
    char why[CONFIG_WHY_SIZE] = "", expected[CONFIG_WHY_SIZE];
    struct config *config = NULL;
    struct options options = options_of(NULL, NULL);
    options.config_file = at;
    snprintf(expected, sizeof expected, "%s: %s", at, words);
    assert_int_equal(config_load(&options, &config, why), code);
    assert_string_equal(why, expected);
}

static void what_is_no_file_is_refused(void **state)
{
    (void)state;
    char fifo[SCRATCH_SIZE + 16];
    snprintf(fifo, sizeof fifo, "%s/fifo", directory);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    refuses_path(fifo, -EINVAL, "is not a regular file");
    refuses_path(directory, -EISDIR, "is a directory, and not a file");
    refuses_path("/dev/null", -EINVAL, "is not a regular file");
    assert_true(unlink(path) == 0 || errno == ENOENT);
    refuses_path(path, -ENOENT, "No such file or directory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_file_changes_nothing),
        cmocka_unit_test(what_a_file_says_is_in_force),
        cmocka_unit_test(the_rules_of_health_are_those_of_the_file),
        cmocka_unit_test(an_option_overrules_the_file_as_a_whole),
        cmocka_unit_test(what_an_option_overrules_is_checked_all_the_same),
        cmocka_unit_test(the_environment_stands_between_options_and_file),
        cmocka_unit_test(every_option_has_a_variable),
        cmocka_unit_test(what_is_wrong_is_told_with_its_place),
        cmocka_unit_test(what_is_too_much_is_refused),
        cmocka_unit_test(what_is_no_file_is_refused),
    };
    if (scratch_make(directory) != 0)
        return 1;
    snprintf(path, sizeof path, "%s/agent.yaml", directory);
    int rc = RUN_TESTS(tests);
    scratch_remove(directory);
    return rc;
}
