/* SPDX-License-Identifier: MIT
 *
 * options.c - the command line of smx-agent, by getopt_long(3). Names have dots, as those of
 * Prometheus' own programs do.
 */
#include "agent/options.h"
#include "agent/http/listen.h"

#include <errno.h>
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WEB_LISTEN_ADDRESS = 256,
    WEB_CONFIG_FILE,
    SEGMENTS_DIR,
    SEGMENTS_MAX_BYTES,
    HISTOGRAM_BOUNDS,
    CREATED_SAMPLES,
    CONFIG_FILE,
    LEVEL,
    FORMAT,
    LOOP,
    SANDBOX,
    MAX_AGE,
    METRICS_ALLOW,
    METRICS_DENY,
    LABELS_ALLOW,
    LABELS_DENY,
    CHECK_CONFIG,
    ONCE,
};

static const struct option long_options[] = {
    {"web.listen-address", required_argument, NULL, WEB_LISTEN_ADDRESS},
    {"web.config.file", required_argument, NULL, WEB_CONFIG_FILE},
    {"segments.dir", required_argument, NULL, SEGMENTS_DIR},
    {"segments.max-bytes", required_argument, NULL, SEGMENTS_MAX_BYTES},
    {"histogram.bounds", required_argument, NULL, HISTOGRAM_BOUNDS},
    {"openmetrics.created-samples", no_argument, NULL, CREATED_SAMPLES},
    {"config.file", required_argument, NULL, CONFIG_FILE},
    {"log.level", required_argument, NULL, LEVEL},
    {"log.format", required_argument, NULL, FORMAT},
    {"loop", required_argument, NULL, LOOP},
    {"sandbox", required_argument, NULL, SANDBOX},
    {"scrape.max-age", required_argument, NULL, MAX_AGE},
    {"metrics.allow", required_argument, NULL, METRICS_ALLOW},
    {"metrics.deny", required_argument, NULL, METRICS_DENY},
    {"labels.allow", required_argument, NULL, LABELS_ALLOW},
    {"labels.deny", required_argument, NULL, LABELS_DENY},
    {"check-config", no_argument, NULL, CHECK_CONFIG},
    {"once", no_argument, NULL, ONCE},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {0},
};

const char *options_help(void)
{
    return "Usage: smx-agent [OPTION]...\n"
           "Serve the metrics of the smx segments of this machine to Prometheus.\n"
           "\n"
           "  --web.listen-address=ADDR  where to listen: HOST:PORT, [IPV6]:PORT, :PORT or\n"
           "                             unix:PATH; repeatable (default " OPTIONS_DEFAULT_LISTEN
           ")\n"
           "  --segments.dir=DIR         where the segments are; repeatable\n"
           "                             (default: $SMX_DIR if set, else /run/smx and\n"
           "                             /dev/shm/smx-<uid>)\n"
           "  --scrape.max-age=DURATION  how old what scrapes share may be, as 100ms or 2s; 0:\n"
           "                             only those at the same moment share (default 100ms)\n"
           "  --metrics.allow=REGEX      expose only families of such names; repeatable\n"
           "  --metrics.deny=REGEX       expose none of such names; repeatable\n"
           "  --labels.allow=LABEL=REGEX of the series with this label expose only those with\n"
           "                             such values; repeatable\n"
           "  --labels.deny=LABEL=REGEX  expose none with such values; repeatable\n"
           "  --segments.max-bytes=SIZE  read no more than that of one user's segments; K, M or G\n"
           "                             may follow (default 1G)\n"
           "  --histogram.bounds=[NAME=]LIST\n"
           "                             classic bounds of the exponential histogram NAME, or of\n"
           "                             all others: 0.1,0.5,1; repeatable (default: powers of 2)\n"
           "  --openmetrics.created-samples\n"
           "                             say in OpenMetrics since when counters count\n"
           "  --log.level=LEVEL          debug, info, warn or error (default info)\n"
           "  --log.format=FORMAT        logfmt or json (default logfmt)\n"
           "  --loop=KIND                auto, uring or epoll (default auto)\n"
           "  --sandbox=MODE             auto: give up what is not needed; or off (default auto)\n"
           "  --once                     print one scrape to the standard output and exit\n"
           "  --check-config             check the options and exit\n"
           "  -h, --help                 print this and exit\n"
           "  -V, --version              print the version and exit\n"
           "\n"
           "Exit status: 0 fine, 1 failure, 2 usage. See smx-agent(8).\n";
}

static int refuse(const char *option, const char *value, const char *why)
{
    fprintf(stderr, "smx-agent: --%s '%s': %s\n", option, value, why);
    return -EINVAL;
}

static int add_listen(struct options *options, const char *value)
{
    char why[LISTEN_WHY_SIZE];
    if (options->n_listen == OPTIONS_LISTEN_MAX)
        return refuse("web.listen-address", value, "too many addresses, 16 are the most");
    if (listen_check(value, why) < 0)
        return refuse("web.listen-address", value, why);
    options->listen[options->n_listen++] = value;
    return 0;
}

static int add_directory(struct options *options, const char *value)
{
    if (options->n_directories == OPTIONS_DIRECTORIES_MAX)
        return refuse("segments.dir", value, "too many directories, 32 are the most");
    if (value[0] != '/')
        return refuse("segments.dir", value, "must be an absolute path");
    for (size_t i = 0; i < options->n_directories; i++)
        if (strcmp(options->directories[i], value) == 0)
            return 0;
    options->directories[options->n_directories++] = value;
    return 0;
}

/* A number, and what it is counted in: K, M, G, powers of 1024. 0: it is none. */
static uint64_t parse_bytes(const char *value)
{
    static const char units[] = "KMG";
    char *end;
    errno = 0;
    uint64_t n = value[0] >= '0' && value[0] <= '9' ? strtoull(value, &end, 10) : 0;
    if (n == 0 || errno)
        return 0;
    const char *unit = *end ? strchr(units, *end) : NULL;
    unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
    bool is_all = unit ? end[1] == '\0' : *end == '\0';
    return is_all && n <= (uint64_t)INT64_MAX >> shift ? n << shift : 0;
}

static int set_max_bytes(struct options *options, const char *value)
{
    options->max_bytes = parse_bytes(value);
    return options->max_bytes
               ? 0
               : refuse("segments.max-bytes", value, "must be a number of bytes, as 256M");
}

static int add_bounds(struct options *options, const char *value)
{
    if (options->n_bounds == OPTIONS_BOUNDS_MAX)
        return refuse("histogram.bounds", value, "too many lists, 64 are the most");
    if (edges_wish_parse(value, &options->bounds[options->n_bounds]) < 0)
        return refuse("histogram.bounds", value,
                      "must be [NAME=]LIST, of up to 64 positive numbers that ascend");
    options->n_bounds++;
    return 0;
}

static int set_loop(struct options *options, const char *value)
{
    if (strcmp(value, "auto") == 0)
        options->loop = LOOP_AUTO;
    else if (strcmp(value, "uring") == 0)
        options->loop = LOOP_URING;
    else if (strcmp(value, "epoll") == 0)
        options->loop = LOOP_EPOLL;
    else
        return refuse("loop", value, "must be auto, uring or epoll");
    return 0;
}

static int add_rule(struct options *options, int option, const char *value)
{
    static const char *const names[FILTER_KINDS] = {"metrics.allow", "metrics.deny", "labels.allow",
                                                    "labels.deny"};
    char why[FILTER_WHY_SIZE];
    unsigned kind = (unsigned)(option - METRICS_ALLOW);
    struct filter_rule rule = {(enum filter_kind)kind, value};
    if (options->n_rules == OPTIONS_RULES_MAX)
        return refuse(names[kind], value, "too many rules, 64 are the most");
    if (filter_check(&rule, why) < 0)
        return refuse(names[kind], value, why);
    options->rules[options->n_rules++] = rule;
    return 0;
}

/* As Prometheus writes durations, of the units that make sense here. */
static int set_max_age(struct options *options, const char *value)
{
    static const char why[] = "must be a duration up to 1m, as 100ms or 2s, or 0";
    static const struct {
        const char *name;
        uint64_t ns;
    } units[] = {{"ms", 1000000}, {"s", 1000000000}, {"m", UINT64_C(60000000000)}};
    char *unit;
    errno = 0;
    unsigned long long n = strtoull(value, &unit, 10);
    if (value[0] < '0' || value[0] > '9' || errno || n > 60000)
        return refuse("scrape.max-age", value, why);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(unit, units[i].name) != 0 || n * units[i].ns > units[2].ns)
            continue;
        options->max_age_ns = n * units[i].ns;
        return 0;
    }
    options->max_age_ns = 0;
    return n == 0 && !*unit ? 0 : refuse("scrape.max-age", value, why);
}

static int set_sandbox(struct options *options, const char *value)
{
    if (strcmp(value, "auto") != 0 && strcmp(value, "off") != 0)
        return refuse("sandbox", value, "must be auto or off");
    options->no_sandbox = strcmp(value, "off") == 0;
    return 0;
}

static int apply(struct options *options, int option, const char *value)
{
    switch (option) {
    case WEB_LISTEN_ADDRESS:
        return add_listen(options, value);
    case SEGMENTS_DIR:
        return add_directory(options, value);
    case SEGMENTS_MAX_BYTES:
        return set_max_bytes(options, value);
    case HISTOGRAM_BOUNDS:
        return add_bounds(options, value);
    case CREATED_SAMPLES:
        options->created_samples = true;
        return 0;
    case WEB_CONFIG_FILE:
        return refuse("web.config.file", value, "not supported in this version");
    case CONFIG_FILE:
        return refuse("config.file", value, "not supported in this version");
    case LEVEL:
        return log_level_parse(value, &options->log_level) == 0
                   ? 0
                   : refuse("log.level", value, "must be debug, info, warn or error");
    case FORMAT:
        return log_format_parse(value, &options->log_format) == 0
                   ? 0
                   : refuse("log.format", value, "must be logfmt or json");
    case LOOP:
        return set_loop(options, value);
    case SANDBOX:
        return set_sandbox(options, value);
    case MAX_AGE:
        return set_max_age(options, value);
    case METRICS_ALLOW:
    case METRICS_DENY:
    case LABELS_ALLOW:
    case LABELS_DENY:
        return add_rule(options, option, value);
    case CHECK_CONFIG:
        options->action = OPTIONS_CHECK;
        return 0;
    case ONCE:
        options->action = OPTIONS_ONCE;
        return 0;
    case 'h':
        options->action = OPTIONS_HELP;
        return 0;
    case 'V':
        options->action = OPTIONS_VERSION;
        return 0;
    default: /* getopt_long has said what is wrong */
        return -EINVAL;
    }
}

int options_parse(int argc, char *argv[], struct options *out)
{
    struct options options = {.log_level = LOG_LEVEL_INFO,
                              .max_age_ns = OPTIONS_DEFAULT_MAX_AGE_NS};
    int option;
    optind = 0; /* glibc: start afresh, so that a program may parse twice */
    while ((option = getopt_long(argc, argv, "hV", long_options, NULL)) != -1) {
        int rc = apply(&options, option, optarg);
        if (rc < 0)
            return rc;
        if (options.action == OPTIONS_HELP || options.action == OPTIONS_VERSION)
            break;
    }
    if (optind < argc && options.action != OPTIONS_HELP && options.action != OPTIONS_VERSION) {
        fprintf(stderr, "smx-agent: unexpected argument '%s'\n", argv[optind]);
        return -EINVAL;
    }
    if (options.n_listen == 0)
        options.listen[options.n_listen++] = OPTIONS_DEFAULT_LISTEN;
    *out = options;
    return 0;
}
