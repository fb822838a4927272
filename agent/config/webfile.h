/* SPDX-License-Identifier: MIT
 *
 * webfile.h - the file that --web.config.file names: TLS, users and headers of the HTTP server, in
 * the words of the exporter toolkit of Prometheus, so that one file can serve all exporters of a
 * machine. What it says is checked here as far as that goes without opening another file.
 */
#ifndef SMX_AGENT_CONFIG_WEBFILE_H
#define SMX_AGENT_CONFIG_WEBFILE_H

#include "agent/config/yaml/document.h"
#include "agent/http/headers.h"
#include "agent/http/tls.h"
#include "agent/web/limiter.h"
#include "agent/web/users.h"

enum { WEBFILE_WHY_SIZE = DOCUMENT_WHY_SIZE, WEBFILE_USERS_MAX = 256 };

/* What is in a file, or which file that is in. */
struct webfile_pem {
    const char *text; /* or NULL */
    const char *path; /* absolute, or NULL */
    const char *key;  /* by which the file says so */
};

struct webfile {
    bool has_tls;
    struct webfile_pem certificate, key, client_ca;
    struct tls_options tls; /* without what PEM files say */
    struct headers headers;
    struct users_entry users[WEBFILE_USERS_MAX];
    size_t n_users;
    struct limiter_rate rate; /* of all requests together */

    struct webfile_data *data; /* what the strings point to */
    char *paths[3];
};

/* Read one. Returns: 0, -ENOMEM, -EINVAL, or the negative errno with which it cannot be read; why
 * then says FILE:LINE: KEY: what was expected. */
int webfile_load(const char *path, struct webfile **out, char why[WEBFILE_WHY_SIZE]);
void webfile_free(struct webfile *file);

/* Say what is wrong with what a key of the file names. Returns: -EINVAL. */
int webfile_say(const struct webfile *file, const char *key, const char *sentence,
                char why[WEBFILE_WHY_SIZE]);

#endif
