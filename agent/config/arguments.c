/* SPDX-License-Identifier: MIT
 *
 * arguments.c - options from the command line, by getopt_long(3), and from the environment.
 */
#include "agent/config/options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

/* What getopt_long() returns for the first option of the table. */
enum { FIRST_LONG = 256 };

enum { VARIABLE_SIZE = 64 };

const char *options_help(void)
{
    return "Usage: smx-agent [OPTION]...\n"
           "Serve the metrics of the smx segments of this machine to Prometheus.\n"
           "\n"
           "  --config.file=FILE         read FILE for what no option says: smx-agent.yaml(5)\n"
           "  --web.config.file=FILE     TLS, users and headers of the HTTP server, as in the web\n"
           "                             configuration files of Prometheus' exporters\n"
           "  --web.listen-address=ADDR  where to listen: HOST:PORT, [IPV6]:PORT, :PORT or\n"
           "                             unix:PATH[?mode=OCTAL&group=NAME]; repeatable\n"
           "                             (default " OPTIONS_DEFAULT_LISTEN ")\n"
           "  --web.enable-lifecycle     let POST /-/reload read the files again, as SIGHUP does\n"
           "  --web.systemd-socket       listen at sockets of systemd, or fail\n"
           "  --web.probe-address=ADDR   where else to answer probes, plain and to everybody;\n"
           "                             repeatable\n"
           "  --web.allowed-hosts=NAME   a name by which requests may ask for this server;\n"
           "                             repeatable (default: localhost on the loopback, else "
           "all)\n"
           "  --web.rate-limit=N         answer one address N requests a second, 0: any number\n"
           "                             (default 50)\n"
           "  --web.max-connections=N    have N connections at a time, 8 to 4096 (default 512)\n"
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
           "  --labels.add=NAME=VALUE    give this label to each series of an application that\n"
           "                             has none of that name; repeatable\n"
           "  --segments.max-bytes=SIZE  read no more than that of one user's segments; K, M or G\n"
           "                             may follow (default 1G)\n"
           "  --histogram.bounds=[NAME=]LIST\n"
           "                             classic bounds of the exponential histogram NAME, or of\n"
           "                             all others: 0.1,0.5,1; repeatable (default: powers of 2)\n"
           "  --openmetrics.created-samples\n"
           "                             say in OpenMetrics since when counters count\n"
           "  --workers.detail=DETAIL    of applications' processes expose each, only sums, or\n"
           "                             nothing: off (default each)\n"
           "  --workers.memory           also their proportional memory, once a minute\n"
           "  --workers.io               also the bytes that they read and write, once a minute\n"
           "  --log.level=LEVEL          debug, info, warn or error (default info)\n"
           "  --log.format=FORMAT        logfmt or json (default logfmt)\n"
           "  --loop=KIND                auto, uring or epoll (default auto)\n"
           "  --sandbox=MODE             auto: give up what is not needed; or off (default auto)\n"
           "  --once                     print one scrape to the standard output and exit\n"
           "  --check-config             check the options and the file, and exit\n"
           "  -h, --help                 print this and exit\n"
           "  -V, --version              print the version and exit\n"
           "\n"
           "What no option says is read from the environment, as SMX_AGENT_SEGMENTS_DIR, and\n"
           "else from the file.\n"
           "Exit status: 0 fine, 1 failure, 2 usage. See smx-agent(8).\n";
}

/* As --segments.dir, or as SMX_AGENT_SEGMENTS_DIR. */
static int refuse(const char *dashes, const char *name, const char *value, const char *why)
{
    fprintf(stderr, "smx-agent: %s%s '%s': must be %s\n", dashes, name, value, why);
    return -EINVAL;
}

static int apply(struct options *options, int option, const char *value)
{
    char why[VALUE_WHY_SIZE];
    switch (option) {
    case 'h':
        options->action = OPTIONS_HELP;
        return 0;
    case 'V':
        options->action = OPTIONS_VERSION;
        return 0;
    case '?': /* getopt_long has said what is wrong */
        return -EINVAL;
    default:
        value = value ? value : "true";
        int rc = options_set(options, (enum option_id)(option - FIRST_LONG), value, why);
        return rc < 0 ? refuse("--", option_kinds[option - FIRST_LONG].name, value, why) : 0;
    }
}

static void name_options(struct option out[OPTION_COUNT + 3])
{
    for (int i = 0; i < OPTION_COUNT; i++)
        out[i] = (struct option){.name = option_kinds[i].name,
                                 .has_arg = option_kinds[i].form == FORM_SWITCH ? optional_argument
                                                                                : required_argument,
                                 .val = FIRST_LONG + i};
    out[OPTION_COUNT] = (struct option){.name = "help", .val = 'h'};
    out[OPTION_COUNT + 1] = (struct option){.name = "version", .val = 'V'};
    out[OPTION_COUNT + 2] = (struct option){0};
}

static void name_variable(enum option_id id, char out[VARIABLE_SIZE])
{
    char *to = stpcpy(out, "SMX_AGENT_");
    for (const char *from = option_kinds[id].name; *from && to < out + VARIABLE_SIZE - 1; from++)
        *to++ = *from == '.' || *from == '-' ? '_' : (char)toupper((unsigned char)*from);
    *to = 0;
}

/* The value of a variable, or NULL. */
static char *look_up(char *environment[], const char *name)
{
    size_t length = strlen(name);
    for (; environment && *environment; environment++)
        if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=')
            return *environment + length + 1;
    return NULL;
}

static int apply_variable(struct options *options, enum option_id id, char *environment[])
{
    static const char *const dividers[] = {"", "", "\n", ",\n"};
    char name[VARIABLE_SIZE], why[VALUE_WHY_SIZE];
    name_variable(id, name);
    char *rest = look_up(environment, name), *value;
    while ((value = strsep(&rest, dividers[option_kinds[id].form])))
        if (*value && options_set(options, id, value, why) < 0)
            return refuse("", name, value, why);
    return 0;
}

static int apply_environment(struct options *options, char *environment[])
{
    int rc = 0;
    for (unsigned i = 0; i < OPTION_COUNT && rc == 0; i++)
        if (!options->given[i])
            rc = apply_variable(options, (enum option_id)i, environment);
    return rc;
}

static bool is_to_tell(const struct options *options)
{
    return options->action == OPTIONS_HELP || options->action == OPTIONS_VERSION;
}

int options_parse(int argc, char *argv[], char *environment[], struct options *out)
{
    struct option names[OPTION_COUNT + 3];
    struct options options;
    int option;
    name_options(names);
    options_init(&options);
    optind = 0; /* glibc: start afresh, so that a program may parse twice */
    while ((option = getopt_long(argc, argv, "hV", names, NULL)) != -1) {
        int rc = apply(&options, option, optarg);
        if (rc < 0)
            return rc;
        if (is_to_tell(&options))
            break;
    }
    if (optind < argc && !is_to_tell(&options)) {
        fprintf(stderr, "smx-agent: unexpected argument '%s'\n", argv[optind]);
        return -EINVAL;
    }
    if (!is_to_tell(&options) && apply_environment(&options, environment) < 0)
        return -EINVAL;
    if (options.n_listen == 0)
        options.listen[options.n_listen++] = OPTIONS_DEFAULT_LISTEN;
    *out = options;
    return 0;
}
