/* SPDX-License-Identifier: MIT
 *
 * web.c - the servers, their sockets, the guard before the pages, and what the web configuration
 * file says, which is replaced as a whole.
 */
#include "agent/web/web.h"
#include "agent/http/activation.h"
#include "agent/sockets.h"
#include "agent/web/guard.h"
#include "agent/web/materials.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOOK_NS UINT64_C(1000000000)

/* Of a connection, and of all of them. */
#define REQUEST_NS UINT64_C(30000000000)
#define ANSWER_NS  UINT64_C(60000000000)
enum { ANSWER_BYTES = 64 << 20, PROBE_CONNECTIONS = 16 };

static const char *const handshake_names[] = {"no_tls", "client_certificate", "failed"};
enum { HANDSHAKES = sizeof handshake_names / sizeof handshake_names[0] };

struct web {
    struct web_options options;
    struct http *http, *probes; /* probes: NULL unless there is a socket for them */
    struct sockets sockets, probe_sockets;
    struct guard *guard;
    struct passwords *passwords; /* NULL: there is no file */

    char *path;                       /* of the file, absolute, or NULL */
    struct materials materials, read; /* in force; aside, while a reload is decided */
    uint64_t looked_ns, loaded_ns;    /* CLOCK_MONOTONIC, CLOCK_REALTIME */
    bool is_good;
    bool waits;             /* what the file says now: it may not be all of it */
    char why[WEB_WHY_SIZE]; /* it is not, as was logged */
    struct self_count handshakes[HANDSHAKES];
};

static uint64_t wall_clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int web_check(const char *path, char why[WEB_WHY_SIZE])
{
    struct materials materials;
    int rc = materials_load(path, NULL, &materials, why);
    if (rc == 0)
        materials_free(&materials);
    return rc;
}

static void format_end(const struct tls *tls, char out[32])
{
    time_t end = tls_not_after(tls);
    struct tm utc;
    strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&end, &utc));
}

static void log_use(const struct web *web)
{
    const struct materials *m = &web->materials;
    char end[32] = "", users[16] = "";
    if (m->tls)
        format_end(m->tls, end);
    snprintf(users, sizeof users, "%zu", m->file->n_users);
    LOG_INFO(web->options.log, "web configuration in force", "file", web->path, "tls",
             m->tls ? "on" : "off", "users", users, "certificate_ends", m->tls ? end : NULL);
    if (m->tls && tls_not_after(m->tls) < time(NULL))
        LOG_WARN(web->options.log, "the certificate has expired", "ended", end, "do",
                 "renew it: clients refuse it");
}

static bool is_guarded(const struct materials *m)
{
    return m->users || (m->tls && m->file->tls.client == TLS_CLIENT_VERIFIED);
}

static void warn_of_open_doors(const struct web *web)
{
    const struct materials *m = &web->materials;
    for (size_t i = 0; i < web->sockets.n; i++) {
        const struct listen_socket *socket = &web->sockets.at[i];
        if (socket->scope != LISTEN_NETWORK)
            continue;
        if (!is_guarded(m))
            LOG_WARN(web->options.log, "whoever reaches this address can read all metrics",
                     "address", socket->name, "do",
                     m->tls ? "give users or client_ca_file in the web configuration file, or "
                              "listen at 127.0.0.1"
                            : "give TLS and users by --web.config.file, or listen at 127.0.0.1");
        else if (!m->tls)
            LOG_WARN(web->options.log, "passwords come to this address as they are typed",
                     "address", socket->name, "do",
                     "give tls_server_config in the web configuration file");
    }
}

/* What is used of the old one is replaced before it goes. */
static void use(struct web *web, const struct materials *materials)
{
    struct materials old = web->materials;
    web->materials = *materials;
    if (web->http) {
        http_use_headers(web->http, &materials->file->headers);
        if (materials->tls)
            http_use_tls(web->http, materials->tls);
    }
    if (web->probes)
        http_use_headers(web->probes, &materials->file->headers);
    if (web->guard)
        guard_use(web->guard, materials->users, &materials->file->rate);
    materials_free(&old);
    web->is_good = true;
    web->why[0] = 0;
    web->loaded_ns = wall_clock_ns();
}

static int refuse(struct web *web, int rc, const char *why)
{
    if (strcmp(web->why, why) != 0)
        LOG_ERROR(web->options.log, "web configuration not used: the one before is in force",
                  "reason", why, "do",
                  rc == -EACCES ? "let the agent read it; a new directory needs a restart"
                                : "correct it; it is tried again when somebody asks");
    snprintf(web->why, sizeof web->why, "%s", why);
    web->is_good = false;
    return rc;
}

/* A file that is being written over is empty at first, which would let everybody in. */
static bool may_be_half(const struct web *web, const struct materials *now)
{
    const struct materials *before = &web->materials;
    bool opens = (before->users && !now->users) || now->file->tls.client < before->file->tls.client;
    return opens && now->is_fresh;
}

static int load(struct web *web, struct materials *out, char why[WEB_WHY_SIZE])
{
    int rc = materials_load(web->path, web->materials.users, out, why);
    return rc < 0 ? refuse(web, rc, why) : 0;
}

/* Forgets what it refuses. */
static int check_tls(struct web *web, struct materials *materials, char why[WEB_WHY_SIZE])
{
    if (!materials->tls == !web->materials.tls)
        return 0;
    materials_free(materials);
    snprintf(why, WEB_WHY_SIZE, "%s: tls_server_config: TLS can be switched %s by a restart only",
             web->path, web->materials.tls ? "off" : "on");
    return refuse(web, -EINVAL, why);
}

static void use_again(struct web *web, const struct materials *materials, bool is_told)
{
    bool opens = is_guarded(&web->materials) && !is_guarded(materials);
    is_told = is_told || !web->is_good;
    web->waits = false;
    use(web, materials);
    if (is_told)
        log_use(web);
    if (opens)
        warn_of_open_doors(web);
}

int web_read(struct web *web, char why[WEB_WHY_SIZE])
{
    web->looked_ns = loop_now_ns();
    int rc = web->path ? load(web, &web->read, why) : 0;
    return web->path && rc == 0 ? check_tls(web, &web->read, why) : rc;
}

void web_use(struct web *web)
{
    if (web->read.file)
        use_again(web, &web->read, true);
    web->read = (struct materials){.file = NULL};
}

void web_forget(struct web *web)
{
    materials_free(&web->read);
}

/* A file that was not good is tried again in any case: it may have named others. */
static void refresh(struct web *web)
{
    struct materials materials;
    char why[WEB_WHY_SIZE];
    uint64_t now = loop_now_ns();
    if (!web->path || now - web->looked_ns < LOOK_NS)
        return;
    web->looked_ns = now;
    bool fresh = web->materials.is_fresh, waits = web->waits;
    bool changed = materials_look_again(&web->materials);
    if ((!changed && !waits && web->is_good) || load(web, &materials, why) < 0)
        return;
    web->waits = may_be_half(web, &materials);
    if (web->waits)
        materials_free(&materials);
    else if (check_tls(web, &materials, why) == 0)
        use_again(web, &materials, waits || (changed && !fresh));
}

static bool admit(void *context, const struct peer *peer)
{
    struct web *web = context;
    refresh(web);
    return !web->materials.tls || guard_admits(web->guard, peer);
}

static void answer(void *context, const struct http_request *request, struct http_reply *reply)
{
    struct web *web = context;
    refresh(web);
    guard_answer(web->guard, request, reply);
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

static int read_file(struct web *web)
{
    struct materials materials;
    char why[WEB_WHY_SIZE];
    const struct options *options = web->options.options;
    if (!options->web_config_file)
        return 0;
    web->path = absolute(options->web_config_file);
    if (!web->path)
        return -ENOMEM;
    int rc = materials_load(web->path, NULL, &materials, why);
    if (rc < 0) {
        LOG_ERROR(web->options.log, "web configuration refused", "reason", why);
        return rc;
    }
    use(web, &materials);
    web->looked_ns = loop_now_ns();
    log_use(web);
    rc = passwords_new(web->options.loop, !options->no_sandbox, &web->passwords);
    if (rc < 0)
        LOG_ERROR(web->options.log, "cannot make the thread that checks passwords", "reason",
                  strerror(-rc), "do", "raise the limits of the process");
    return rc;
}

void web_limit(struct web *web, uint64_t rate)
{
    guard_limit(web->guard, rate);
}

static int make_guard(struct web *web)
{
    const struct options *options = web->options.options;
    const struct limiter_rate none = {.interval_ns = 0};
    struct guard_options guard = {.log = web->options.log,
                                  .passwords = web->passwords,
                                  .hosts = options->hosts,
                                  .n_hosts = options->n_hosts,
                                  .is_open = web->options.is_probe,
                                  .answer = web->options.answer,
                                  .context = web->options.context};
    int rc = guard_new(&guard, &web->guard);
    if (rc < 0)
        return rc;
    guard_use(web->guard, web->materials.users, web->path ? &web->materials.file->rate : &none);
    web_limit(web, web->options.rate);
    return 0;
}

static int make_server(struct web *web)
{
    struct http_options http = {.loop = web->options.loop,
                                .log = web->options.log,
                                .limits = {.connections = web->options.connections,
                                           .request_ns = REQUEST_NS,
                                           .answer_ns = ANSWER_NS,
                                           .answer_bytes = ANSWER_BYTES},
                                .tls = web->materials.tls,
                                .headers = web->path ? &web->materials.file->headers : NULL,
                                .admit = admit,
                                .answer = answer,
                                .context = web};
    int rc = http_new(&http, &web->http);
    web->sockets = (struct sockets){.http = web->http,
                                    .log = web->options.log,
                                    .what = "listening",
                                    .loop = loop_name(web->options.loop)};
    return rc;
}

/* Plain, with connections of its own: whoever floods the other one does not reach it. */
static int make_probe_server(struct web *web)
{
    struct http_options http = {.loop = web->options.loop,
                                .log = web->options.log,
                                .limits = {.connections = PROBE_CONNECTIONS,
                                           .request_ns = REQUEST_NS,
                                           .answer_ns = ANSWER_NS,
                                           .answer_bytes = ANSWER_BYTES},
                                .headers = web->path ? &web->materials.file->headers : NULL,
                                .answer = web->options.answer_probe,
                                .context = web->options.context};
    int rc = web->probes ? 0 : http_new(&http, &web->probes);
    web->probe_sockets.http = web->probes;
    web->probe_sockets.log = web->options.log;
    web->probe_sockets.what = "listening for probes";
    web->probe_sockets.loop = loop_name(web->options.loop);
    if (rc < 0)
        LOG_ERROR(web->options.log, "cannot start", "reason", strerror(-rc));
    return rc;
}

int web_new(const struct web_options *options, struct web **out)
{
    struct web *web = calloc(1, sizeof *web);
    if (!web)
        return -ENOMEM;
    web->options = *options;
    for (size_t i = 0; i < HANDSHAKES; i++)
        web->handshakes[i].name = handshake_names[i];
    int rc = read_file(web);
    if (rc == 0)
        rc = make_guard(web);
    if (rc == 0)
        rc = make_server(web);
    if (rc < 0) {
        web_free(web);
        return rc;
    }
    *out = web;
    return 0;
}

static int add_probe_socket(struct web *web, const struct listen_socket *socket)
{
    int rc = make_probe_server(web);
    return rc == 0 ? sockets_add(&web->probe_sockets, socket) : rc;
}

/* Returns: how many there were for all to ask; or a negative errno. */
static int take_activated(struct web *web)
{
    struct activation given[HTTP_LISTEN_MAX];
    char why[LISTEN_WHY_SIZE];
    int n = activation_take(given, HTTP_LISTEN_MAX, why), rc = 0, taken = 0;
    if (n < 0)
        LOG_ERROR(web->options.log, "cannot take the sockets of systemd", "reason", why);
    for (int i = 0; i < n && rc == 0; i++) {
        bool probe = strncmp(given[i].name, "probe", 5) == 0;
        rc = probe ? add_probe_socket(web, &given[i].socket)
                   : sockets_add(&web->sockets, &given[i].socket);
        taken += !probe;
    }
    return n < 0 ? n : rc < 0 ? rc : taken;
}

int web_listen(struct web *web)
{
    const struct options *options = web->options.options;
    int taken = take_activated(web), rc = taken < 0 ? taken : 0;
    if (rc == 0 && options->systemd_socket && taken == 0) {
        LOG_ERROR(web->options.log, "there is no socket of systemd to listen at", "do",
                  "start the socket unit, or leave out --web.systemd-socket");
        return -ENOENT;
    }
    bool by_address = options->given[OPTION_LISTEN] || taken == 0;
    for (size_t i = 0; by_address && i < options->n_listen && rc == 0; i++)
        rc = sockets_open(&web->sockets, options->listen[i]);
    for (size_t i = 0; i < options->n_probes && rc == 0; i++) {
        rc = make_probe_server(web);
        if (rc == 0)
            rc = sockets_open(&web->probe_sockets, options->probes[i]);
    }
    if (rc == 0)
        warn_of_open_doors(web);
    return rc;
}

size_t web_files(const struct web *web, const char *out[WEB_FILES_MAX])
{
    for (size_t i = 0; i < web->materials.n_paths; i++)
        out[i] = web->materials.paths[i];
    return web->materials.n_paths;
}

struct http *web_http(const struct web *web)
{
    return web->http;
}

const struct listen_socket *web_sockets(const struct web *web, size_t *n)
{
    *n = web->sockets.n;
    return web->sockets.at;
}

const struct listen_socket *web_probe_sockets(const struct web *web, size_t *n)
{
    *n = web->probe_sockets.n;
    return web->probe_sockets.at;
}

void web_measure(struct web *web, struct self_web *out)
{
    struct http_handshakes counts = http_handshakes(web->http);
    web->handshakes[0].n = counts.silent;
    web->handshakes[1].n = counts.refused;
    web->handshakes[2].n = counts.failed;
    *out =
        (struct self_web){.handshakes = web->handshakes,
                          .n_handshakes = web->materials.tls ? HANDSHAKES : 0,
                          .not_after = web->materials.tls ? tls_not_after(web->materials.tls) : 0,
                          .has_file = web->path != NULL,
                          .is_good = web->is_good,
                          .loaded_ns = web->loaded_ns};
    guard_count(web->guard, out);
}

void web_drain(struct web *web, uint64_t limit_ns, void (*drained)(void *context), void *context)
{
    http_drain(web->http, limit_ns, drained, context);
    sockets_close(&web->sockets);
}

/* Those who wait are answered while the servers are there; checks go when nobody works at them. */
void web_free(struct web *web)
{
    if (!web)
        return;
    if (web->guard)
        guard_stop(web->guard);
    http_free(web->http);
    http_free(web->probes);
    passwords_free(web->passwords);
    guard_free(web->guard);
    sockets_close(&web->sockets);
    sockets_close(&web->probe_sockets);
    materials_free(&web->materials);
    materials_free(&web->read);
    free(web->path);
    free(web);
}
