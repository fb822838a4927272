/* SPDX-License-Identifier: MIT
 *
 * 40-config-refused.c - what is wrong with the configuration file is told in one line: file, line,
 * key, what was expected and what is there.
 */
#include "agent/config/config.h"
#include "support/scratch.h"
#include "support/tap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[SCRATCH_SIZE], path[SCRATCH_SIZE + 16];

/* A file, and what is said of it behind its path. */
struct wrong {
    const char *text, *words;
};

static const struct wrong keys[] = {
    {"segment: {}", ":1: segment: unknown key; did you mean segments?"},
    {"\nscrape:\n  max-age: 1s\n", ":3: scrape.max-age: unknown key; did you mean max_age?"},
    {"series:\n  only: []\n", ":2: series.only: unknown key; there are allow and deny"},
    {"metrics: {}\nseries: {}\nmetrics: {}\n", ":3: the key metrics stands here a second time"},
    {"histograms:\n  - bounds: [1]\n  - family: x\n",
     ":3: histograms[1]: the key bounds is missing"},
    {"{[a]: b}", ":1: a key must be a word, and not a list or a mapping"},
    {"histograms:\n  - bound: [1]\n", ":2: histograms[0].bound: unknown key; did you mean bounds?"},
};

static const struct wrong kinds[] = {
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
};

static const struct wrong values[] = {
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
};

static const struct wrong rules[] = {
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
};

static const struct wrong labels[] = {
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
};

static const struct wrong syntax[] = {
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

static void write_file(const char *text, size_t length)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

static int load(const char *at, char why[CONFIG_WHY_SIZE])
{
    struct config *config = NULL;
    struct options options;
    options_init(&options);
    options.config_file = at;
    int rc = config_load(&options, &config, why);
    assert_null(config);
    return rc;
}

static void refuses_bytes(const char *text, size_t length, const char *words)
{
    char why[CONFIG_WHY_SIZE] = "", expected[CONFIG_WHY_SIZE];
    write_file(text, length);
    snprintf(expected, sizeof expected, "%s%s", path, words);
    int rc = load(path, why);
    assert_string_equal(why, expected);
    assert_true(rc < 0);
}

static void refuses(const struct wrong *cases, size_t n)
{
    for (size_t i = 0; i < n; i++)
        refuses_bytes(cases[i].text, strlen(cases[i].text), cases[i].words);
}
#define REFUSES(cases) refuses(cases, sizeof cases / sizeof cases[0])

static void keys_that_are_unknown_missing_or_there_twice(void **state)
{
    (void)state;
    REFUSES(keys);
}

static void values_of_another_kind(void **state)
{
    (void)state;
    REFUSES(kinds);
}

static void values_out_of_bounds(void **state)
{
    (void)state;
    REFUSES(values);
}

static void rules_that_ask_for_nothing_or_too_much(void **state)
{
    (void)state;
    REFUSES(rules);
}

static void labels_that_cannot_be_added(void **state)
{
    (void)state;
    REFUSES(labels);
}

static void texts_that_are_no_yaml(void **state)
{
    (void)state;
    REFUSES(syntax);
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
    snprintf(expected, sizeof expected, "%s: %s", at, words);
    assert_int_equal(load(at, why), code);
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
        cmocka_unit_test(keys_that_are_unknown_missing_or_there_twice),
        cmocka_unit_test(values_of_another_kind),
        cmocka_unit_test(values_out_of_bounds),
        cmocka_unit_test(rules_that_ask_for_nothing_or_too_much),
        cmocka_unit_test(labels_that_cannot_be_added),
        cmocka_unit_test(texts_that_are_no_yaml),
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
