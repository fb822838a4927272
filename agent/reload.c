/* SPDX-License-Identifier: MIT
 *
 * reload.c - reads the file, looks at what it names, replaces. Pages first: they let go the readers
 * that are closed when directories are replaced.
 */
#include "agent/reload.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct gather_rules reload_rules(const struct config *config)
{
    const struct settings *s = &config->settings;
    return (struct gather_rules){.filter = config->filter,
                                 .wishes = {s->bounds, s->n_bounds},
                                 .labels = s->labels,
                                 .n_labels = s->n_labels,
                                 .health = config->health,
                                 .created = s->created_samples};
}

static void ignore(void *context, const struct directory_entry *entry)
{
    (void)context;
    (void)entry;
}

/* As at the start: one that was asked for and cannot be read is an error, one that does not exist
 * is waited for. */
static int check_directory(const struct reload *r, const struct config *config, size_t index,
                           char why[CONFIG_WHY_SIZE])
{
    char path[PATH_MAX];
    struct directory directory = {.path = path};
    snprintf(path, sizeof path, "%s", config->settings.directories[index]);
    if (!sandbox_reads(r->sandbox, path))
        return config_blame_directory(config, index,
                                      "out of reach of the sandbox, which was closed at the start: "
                                      "restart the agent",
                                      why);
    directory_scan(&directory, ignore, NULL);
    if (directory.state == DIRECTORY_REFUSED)
        return config_blame_directory(config, index, directory.why, why);
    return 0;
}

/* The prober is a process of its own, which cannot be started from within the sandbox; descriptors
 * are divided at the start. */
static int check_fixed(const struct reload *r, const struct config *config,
                       char why[CONFIG_WHY_SIZE])
{
    static const char restart[] = "cannot be changed without a restart of the agent";
    const struct settings *now = &r->config->settings, *then = &config->settings;
    bool probes = then->workers_memory || then->workers_io;
    if (then->workers_memory != now->workers_memory)
        return config_blame(config, "workers.memory", restart, why);
    if (then->workers_io != now->workers_io)
        return config_blame(config, "workers.io", restart, why);
    if (then->connections != now->connections)
        return config_blame(config, "limits.connections", restart, why);
    if (probes && then->workers != now->workers &&
        (then->workers == WORKERS_OFF || now->workers == WORKERS_OFF))
        return config_blame(config, "workers.detail", restart, why);
    return 0;
}

static int check(const struct reload *r, const struct config *config, char why[CONFIG_WHY_SIZE])
{
    int rc = check_fixed(r, config, why);
    for (size_t i = 0; i < config->settings.n_directories && rc == 0; i++)
        rc = check_directory(r, config, i, why);
    return rc;
}

static int watch(const struct reload *r, const struct places *places)
{
    size_t n;
    const struct directory *list = places_list(places, &n);
    const char *paths[SETTINGS_DIRECTORIES_MAX];
    for (size_t i = 0; i < n && i < SETTINGS_DIRECTORIES_MAX; i++)
        paths[i] = list[i].path;
    return r->dirwatch ? dirwatch_set(r->dirwatch, paths, n) : 0;
}

/* What may fail, for want of memory, is done before anything is changed. */
static int replace(struct reload *r, struct config *config)
{
    const struct settings *s = &config->settings;
    const struct gather_rules rules = reload_rules(config);
    struct places *places = NULL;
    int rc = places_new(s->directories, s->n_directories, &places);
    if (rc == 0)
        rc = watch(r, places);
    if (rc < 0) {
        places_free(places);
        return rc;
    }
    pages_set(r->pages, &rules, s->max_age_ns);
    segments_set(r->segments, places, s->max_bytes);
    workers_set(r->workers, s->workers);
    if (r->web)
        web_limit(r->web, s->rate);
    config_free(r->config);
    r->config = config;
    return 0;
}

/* Landlock refuses a file that now lies, or leads, elsewhere just as its mode would. */
static void name_sandbox(const struct reload *r, char why[CONFIG_WHY_SIZE])
{
    size_t length = strlen(why);
    if (r->sandbox && strcmp(r->sandbox->landlock, "on") == 0)
        snprintf(why + length, CONFIG_WHY_SIZE - length,
                 "; if its mode lets the agent read it, it has come to lie out of reach of the "
                 "sandbox, which was closed at the start: restart the agent");
}

static int run(struct reload *r, char why[CONFIG_WHY_SIZE])
{
    struct config *config;
    int rc = config_load(r->options, &config, why);
    if (rc == -EACCES)
        name_sandbox(r, why);
    if (rc < 0)
        return rc;
    rc = check(r, config, why);
    if (rc < 0) {
        config_free(config);
        return rc;
    }
    rc = replace(r, config);
    if (rc < 0) {
        snprintf(why, CONFIG_WHY_SIZE, "%s", strerror(-rc));
        config_free(config);
    }
    return rc;
}

static void note(struct reload *r, bool successful)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    r->result.successful = successful;
    if (successful)
        r->result.succeeded_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int run_and_log(struct reload *r, char why[CONFIG_WHY_SIZE])
{
    int rc = run(r, why);
    if (rc < 0)
        LOG_ERROR(r->log, "the configuration is refused, the one before stays in force", "reason",
                  why, "do", "correct it, and reload again");
    else
        LOG_INFO(r->log, "the configuration is read again", "file", r->options->config_file);
    return rc;
}

/* What the web configuration says waits for the other file; it can be put in force in any case. */
int reload_run(struct reload *r, char why[CONFIG_WHY_SIZE])
{
    int rc = r->web ? web_read(r->web, why) : 0;
    if (rc == 0 && r->options->config_file)
        rc = run_and_log(r, why);
    if (r->web && rc == 0)
        web_use(r->web);
    else if (r->web)
        web_forget(r->web);
    note(r, rc == 0);
    return rc;
}

void reload_init(struct reload *out, const struct options *options, const struct log *log,
                 struct config *config)
{
    *out = (struct reload){.options = options, .log = log, .config = config};
    note(out, true);
}

void reload_fini(struct reload *r)
{
    config_free(r->config);
    r->config = NULL;
}
