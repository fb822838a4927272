/* SPDX-License-Identifier: MIT
 *
 * configuration.c - reads, judges and replaces. In the loop's thread; what is refused is logged
 * once.
 */
#include "agent/web/configuration.h"
#include "agent/loop/loop.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOOK_NS UINT64_C(1000000000)

static uint64_t wall_clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void format_end(const struct tls *tls, char out[32])
{
    time_t end = tls_not_after(tls);
    struct tm utc;
    strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&end, &utc));
}

static void log_use(const struct configuration *c)
{
    const struct materials *m = &c->materials;
    char end[32] = "", users[16] = "";
    if (m->tls)
        format_end(m->tls, end);
    snprintf(users, sizeof users, "%zu", m->file->n_users);
    LOG_INFO(c->log, "web configuration in force", "file", c->path, "tls", m->tls ? "on" : "off",
             "users", users, "certificate_ends", m->tls ? end : NULL);
    if (m->tls && tls_not_after(m->tls) < time(NULL))
        LOG_WARN(c->log, "the certificate has expired", "ended", end, "do",
                 "renew it: clients refuse it");
}

/* What is used of the old one is replaced before it goes. */
static void use(struct configuration *c, const struct materials *materials, bool is_told)
{
    struct materials old = c->materials;
    is_told = is_told || !c->is_good;
    c->materials = *materials;
    c->is_good = true;
    c->waits = false;
    c->why[0] = 0;
    c->loaded_ns = wall_clock_ns();
    if (is_told)
        log_use(c);
    c->changed(c->context, &old);
    materials_free(&old);
}

static int refuse(struct configuration *c, int rc, const char *why)
{
    if (strcmp(c->why, why) != 0)
        LOG_ERROR(c->log, "web configuration not used: the one before is in force", "reason", why,
                  "do",
                  rc == -EACCES ? "let the agent read it; a new directory needs a restart"
                                : "correct it; it is tried again when somebody asks");
    snprintf(c->why, sizeof c->why, "%s", why);
    c->is_good = false;
    return rc;
}

/* A file that is being written over is empty at first, which would let everybody in. */
static bool may_be_half(const struct configuration *c, const struct materials *now)
{
    const struct materials *before = &c->materials;
    bool opens = (before->users && !now->users) || now->file->tls.client < before->file->tls.client;
    return opens && now->is_fresh;
}

static int load(struct configuration *c, struct materials *out, char why[CONFIGURATION_WHY_SIZE])
{
    int rc = materials_load(c->path, c->materials.users, out, why);
    return rc < 0 ? refuse(c, rc, why) : 0;
}

/* Forgets what it refuses. */
static int check_tls(struct configuration *c, struct materials *materials,
                     char why[CONFIGURATION_WHY_SIZE])
{
    if (!materials->tls == !c->materials.tls)
        return 0;
    materials_free(materials);
    snprintf(why, CONFIGURATION_WHY_SIZE,
             "%s: tls_server_config: TLS can be switched %s by a restart only", c->path,
             c->materials.tls ? "off" : "on");
    return refuse(c, -EINVAL, why);
}

int configuration_read(struct configuration *c, char why[CONFIGURATION_WHY_SIZE])
{
    c->looked_ns = loop_now_ns();
    int rc = c->path ? load(c, &c->read, why) : 0;
    return c->path && rc == 0 ? check_tls(c, &c->read, why) : rc;
}

void configuration_use(struct configuration *c)
{
    if (c->read.file)
        use(c, &c->read, true);
    c->read = (struct materials){.file = NULL};
}

void configuration_forget(struct configuration *c)
{
    materials_free(&c->read);
}

/* A file that was not good is tried again in any case: it may have named others. */
void configuration_look(struct configuration *c)
{
    struct materials materials;
    char why[CONFIGURATION_WHY_SIZE];
    uint64_t now = loop_now_ns();
    if (!c->path || now - c->looked_ns < LOOK_NS)
        return;
    c->looked_ns = now;
    bool fresh = c->materials.is_fresh, waits = c->waits;
    bool changed = materials_look_again(&c->materials);
    if ((!changed && !waits && c->is_good) || load(c, &materials, why) < 0)
        return;
    c->waits = may_be_half(c, &materials);
    if (c->waits)
        materials_free(&materials);
    else if (check_tls(c, &materials, why) == 0)
        use(c, &materials, waits || (changed && !fresh));
}

/* The sandbox, and whoever reads the log, wants all of it. */
static char *absolute(const char *path)
{
    char *here = path[0] == '/' ? NULL : getcwd(NULL, 0), *out = NULL;
    if (!here)
        return strdup(path);
    if (asprintf(&out, "%s/%s", here, path) < 0)
        out = NULL;
    free(here);
    return out;
}

int configuration_open(struct configuration *c, const char *path)
{
    struct materials materials;
    char why[CONFIGURATION_WHY_SIZE];
    c->path = absolute(path);
    if (!c->path)
        return -ENOMEM;
    int rc = materials_load(c->path, NULL, &materials, why);
    if (rc < 0) {
        LOG_ERROR(c->log, "web configuration refused", "reason", why);
        return rc;
    }
    c->looked_ns = loop_now_ns();
    use(c, &materials, true);
    return 0;
}

void configuration_close(struct configuration *c)
{
    materials_free(&c->materials);
    materials_free(&c->read);
    free(c->path);
    c->path = NULL;
}
