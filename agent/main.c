/* SPDX-License-Identifier: MIT
 *
 * main.c - smx-agent: parse, make, listen, give up what serving does not need, serve, exit. Exit
 * status 0 fine, 1 failure, 2 usage.
 */
#include "agent/agent.h"
#include "agent/log/sink.h"
#include "agent/system/descriptors.h"
#include "agent/web/web.h"

#include <malloc.h>
#include <signal.h>
#include <smx/smx.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

enum { EXIT_FINE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* An exposition of megabytes has a mapping of its own, which goes back to the system when the last
 * scraper has it; left to itself, malloc would soon keep such in its heap, and that for ever. */
enum { MAPPED_BYTES = 1 << 20 };

/* One line on what is wrong, where somebody looks who has just started it. */
static int load(const struct options *options, struct config **out)
{
    char why[CONFIG_WHY_SIZE];
    int rc = config_load(options, out, why);
    if (rc < 0)
        fprintf(stderr, "smx-agent: %s\n", why);
    return rc;
}

static int run(const struct options *options)
{
    static struct log_memory memory; /* pages that are never touched cost nothing */
    struct log log = {.fd = STDERR_FILENO,
                      .level = options->log_level,
                      .format = options->log_format,
                      .journal = log_is_journal(STDERR_FILENO),
                      .memory = &memory};
    struct config *config;
    struct agent *agent;
    if (load(options, &config) < 0)
        return EXIT_FAILED;
    mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES);
    sink_own(STDERR_FILENO);
    descriptors_raise();
    if (agent_new(options, config, &log, &agent) < 0) {
        log_end(&log);
        return EXIT_FAILED;
    }
    bool once = options->action == OPTIONS_ONCE;
    int rc = once ? 0 : agent_listen(agent);
    if (rc == 0 && !options->no_sandbox)
        agent_enter_sandbox(agent);
    if (rc == 0)
        rc = once ? agent_print(agent, STDOUT_FILENO) : agent_serve(agent);
    agent_free(agent);
    log_end(&log);
    return rc < 0 ? EXIT_FAILED : EXIT_FINE;
}

static int check(const struct options *options)
{
    struct config *config;
    if (load(options, &config) < 0)
        return EXIT_FAILED;
    char why[WEB_WHY_SIZE];
    if (options->web_config_file && web_check(options->web_config_file, why) < 0) {
        fprintf(stderr, "smx-agent: %s\n", why);
        config_free(config);
        return EXIT_FAILED;
    }
    puts("the options are fine");
    if (options->web_config_file)
        printf("%s is fine\n", options->web_config_file);
    if (config->path)
        printf("%s is fine\n", config->path);
    config_free(config);
    return EXIT_FINE;
}

int main(int argc, char *argv[])
{
    struct options options;
    if (options_parse(argc, argv, environ, &options) < 0) {
        fputs("Try 'smx-agent --help'.\n", stderr);
        return EXIT_USAGE;
    }
    signal(SIGPIPE, SIG_IGN);
    switch (options.action) {
    case OPTIONS_HELP:
        fputs(options_help(), stdout);
        return EXIT_FINE;
    case OPTIONS_VERSION:
        printf("smx-agent %s\n", smx_version());
        return EXIT_FINE;
    case OPTIONS_CHECK:
        return check(&options);
    default:
        return run(&options);
    }
}
