/* SPDX-License-Identifier: MIT
 *
 * options.c - any bytes as the command line of smx-agent, an argument a line, and its environment,
 * the lines that begin with SMX_AGENT_. Asked of it: what is taken is within its bounds, and can be
 * given again; what is refused leaves the result alone. Nothing is listened at.
 */
#include "agent/config/options.h"

#include "agent/http/listen.h"
#include "fuzz/require.h"

#include <errno.h>
#include <string.h>

enum { ARGUMENTS_MAX = 64 };

static void check_listen(const char *address)
{
    char why[LISTEN_WHY_SIZE];
    require(listen_check(address, why) == 0, "an address that is not one");
    const char *colon = strrchr(address, ':');
    require(colon != NULL, "an address without a colon");
    if (strncmp(address, "unix:/", 6) != 0)
        require(colon[1] && strtoul(colon + 1, NULL, 10) <= 65535, "a port that is none");
}

static void check(const struct options *o)
{
    require(o->action <= OPTIONS_VERSION && o->loop <= LOOP_EPOLL &&
                o->log_level <= LOG_LEVEL_ERROR && o->log_format <= LOG_FORMAT_JSON,
            "an option out of range");
    require(o->n_listen >= 1 && o->n_listen <= OPTIONS_LISTEN_MAX &&
                o->settings.n_directories <= SETTINGS_DIRECTORIES_MAX,
            "too many of something");
    for (size_t i = 0; i < o->n_listen; i++)
        check_listen(o->listen[i]);
    for (size_t i = 0; i < o->settings.n_directories; i++) {
        require(o->settings.directories[i][0] == '/', "a directory that is not absolute");
        for (size_t k = 0; k < i; k++)
            require(strcmp(o->settings.directories[i], o->settings.directories[k]) != 0,
                    "a directory twice");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct options options, untouched;
    char program[] = "smx-agent", *argv[ARGUMENTS_MAX + 2] = {program},
         *environment[ARGUMENTS_MAX + 1] = {0};
    int argc = 1, variables = 0;
    char *lines = strndup((const char *)data, size);
    require(lines != NULL, "no memory");
    for (char *rest = lines, *line;
         argc + variables <= ARGUMENTS_MAX && (line = strsep(&rest, "\n"));)
        if (strncmp(line, "SMX_AGENT_", strlen("SMX_AGENT_")) == 0)
            environment[variables++] = line;
        else
            argv[argc++] = line;
    memset(&options, 0x5a, sizeof options);
    untouched = options;
    /* It says what is wrong on stderr: to nowhere, at this rate. */
    FILE *terminal = stderr;
    stderr = fopen("/dev/null", "we");
    require(stderr != NULL, "no /dev/null");
    int result = options_parse(argc, argv, environment, &options);
    (void)fclose(stderr);
    stderr = terminal;
    if (result == 0)
        check(&options);
    else
        require(result == -EINVAL && memcmp(&options, &untouched, sizeof options) == 0,
                "a refused line left something behind");
    free(lines);
    return 0;
}
