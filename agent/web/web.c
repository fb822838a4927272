/* SPDX-License-Identifier: MIT
 *
 * web.c - the servers, their sockets, and the guard before the pages, by what the web configuration
 * says.
 */
#include "agent/web/web.h"
#include "agent/http/activation.h"
#include "agent/sockets.h"
#include "agent/web/configuration.h"
#include "agent/web/guard.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

    struct configuration configuration;
    struct self_count handshakes[HANDSHAKES];
};

int web_check(const char *path, char why[WEB_WHY_SIZE])
{
    struct materials materials;
    int rc = materials_load(path, NULL, &materials, why);
    if (rc == 0)
        materials_free(&materials);
    return rc;
}

static bool is_guarded(const struct materials *m)
{
    return m->users || (m->tls && m->file->tls.client == TLS_CLIENT_VERIFIED);
}

static void warn_of_open_doors(const struct web *web)
{
    const struct materials *m = &web->configuration.materials;
    for (size_t i = 0; i < web->sockets.n; i++) {
        const struct listen_socket *socket = &web->sockets.at[i];
        if (socket->scope != LISTEN_NETWORK)
            continue;
        if (!is_guarded(m))
            LOG_WARN(web->options.log, "whoever reaches this address can read all metrics",
                     "address", socket->name, "do",
                     m->tls ? "give basic_auth_users or RequireAndVerifyClientCert in the web "
                              "configuration file, or listen at 127.0.0.1"
                            : "give TLS and users by --web.config.file, or listen at 127.0.0.1");
        else if (!m->tls)
            LOG_WARN(web->options.log, "passwords come to this address as they are typed",
                     "address", socket->name, "do",
                     "give tls_server_config in the web configuration file");
    }
}

/* All that is made of the one before. */
static void changed(void *context, const struct materials *before)
{
    struct web *web = context;
    const struct materials *now = &web->configuration.materials;
    if (web->http)
        http_use_headers(web->http, &now->file->headers);
    if (web->http && now->tls)
        http_use_tls(web->http, now->tls);
    if (web->probes)
        http_use_headers(web->probes, &now->file->headers);
    if (web->guard)
        guard_use(web->guard, now->users, &now->file->rate);
    bool opens = is_guarded(before) && !is_guarded(now);
    bool bares = !before->users && now->users && !now->tls;
    if (opens || bares)
        warn_of_open_doors(web);
}

int web_read(struct web *web, char why[WEB_WHY_SIZE])
{
    return configuration_read(&web->configuration, why);
}

void web_use(struct web *web)
{
    configuration_use(&web->configuration);
}

void web_forget(struct web *web)
{
    configuration_forget(&web->configuration);
}

static bool admit(void *context, const struct peer *peer)
{
    struct web *web = context;
    configuration_look(&web->configuration);
    return !web->configuration.materials.tls || guard_admits(web->guard, peer);
}

static void answer(void *context, const struct http_request *request, struct http_reply *reply)
{
    struct web *web = context;
    configuration_look(&web->configuration);
    guard_answer(web->guard, request, reply);
}

static int read_file(struct web *web)
{
    const struct options *options = web->options.options;
    web->configuration =
        (struct configuration){.log = web->options.log, .changed = changed, .context = web};
    if (!options->web_config_file)
        return 0;
    int rc = configuration_open(&web->configuration, options->web_config_file);
    if (rc < 0)
        return rc;
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
    guard_use(web->guard, web->configuration.materials.users,
              web->configuration.path ? &web->configuration.materials.file->rate : &none);
    web_limit(web, web->options.rate);
    return 0;
}

static int make_server(struct web *web)
{
    struct http_options http = {
        .loop = web->options.loop,
        .log = web->options.log,
        .limits = {.connections = web->options.connections,
                   .request_ns = REQUEST_NS,
                   .answer_ns = ANSWER_NS,
                   .answer_bytes = ANSWER_BYTES},
        .tls = web->configuration.materials.tls,
        .headers = web->configuration.path ? &web->configuration.materials.file->headers : NULL,
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
    struct http_options http = {
        .loop = web->options.loop,
        .log = web->options.log,
        .limits = {.connections = PROBE_CONNECTIONS,
                   .request_ns = REQUEST_NS,
                   .answer_ns = ANSWER_NS,
                   .answer_bytes = ANSWER_BYTES},
        .headers = web->configuration.path ? &web->configuration.materials.file->headers : NULL,
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
    for (size_t i = 0; i < web->configuration.materials.n_paths; i++)
        out[i] = web->configuration.materials.paths[i];
    return web->configuration.materials.n_paths;
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
    *out = (struct self_web){.handshakes = web->handshakes,
                             .n_handshakes = web->configuration.materials.tls ? HANDSHAKES : 0,
                             .not_after = web->configuration.materials.tls
                                              ? tls_not_after(web->configuration.materials.tls)
                                              : 0,
                             .has_file = web->configuration.path != NULL,
                             .is_good = web->configuration.is_good,
                             .loaded_ns = web->configuration.loaded_ns};
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
    configuration_close(&web->configuration);
    free(web);
}
