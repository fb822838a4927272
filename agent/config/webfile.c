/* SPDX-License-Identifier: MIT
 *
 * webfile.c - the keys of a web configuration file, and what each may say. What the exporter
 * toolkit takes is taken; what would be read there and do nothing here is refused, unless it does
 * no harm: HTTP/2, which this server does not speak.
 */
#include "agent/config/webfile.h"
#include "agent/config/file.h"
#include "agent/config/value.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As they stand in the file. */
struct webfile_tls {
    char *cert, *key, *client_ca;
    char *cert_file, *key_file, *client_ca_file;
    char *client_auth_type, *min_version, *max_version, *prefer_server_cipher_suites;
    char **client_allowed_sans, **cipher_suites, **curve_preferences;
    unsigned client_allowed_sans_count, cipher_suites_count, curve_preferences_count;
};

struct webfile_http {
    char *http2;
};

struct webfile_rate {
    char *interval, *burst;
};

struct webfile_data {
    struct webfile_tls *tls_server_config;
    struct webfile_http *http_server_config;
    struct webfile_rate *rate_limit;
};

#define TLS_TEXT(member)       CONFIG_TEXT(#member, struct webfile_tls, member)
#define TLS_LIST(member, most) CONFIG_LIST(#member, struct webfile_tls, member, &config_text, most)

static const cyaml_schema_field_t tls_keys[] = {
    TLS_TEXT(cert),
    TLS_TEXT(key),
    TLS_TEXT(client_ca),
    TLS_TEXT(cert_file),
    TLS_TEXT(key_file),
    TLS_TEXT(client_ca_file),
    TLS_TEXT(client_auth_type),
    TLS_TEXT(min_version),
    TLS_TEXT(max_version),
    TLS_TEXT(prefer_server_cipher_suites),
    TLS_LIST(client_allowed_sans, OUTLINE_WIDTH_MAX),
    TLS_LIST(cipher_suites, TLS_LIST_MAX),
    TLS_LIST(curve_preferences, TLS_LIST_MAX),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t http_keys[] = {
    CONFIG_TEXT("http2", struct webfile_http, http2),
    CYAML_FIELD_IGNORE("headers", CYAML_FLAG_OPTIONAL),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t rate_keys[] = {
    CONFIG_TEXT("interval", struct webfile_rate, interval),
    CONFIG_TEXT("burst", struct webfile_rate, burst),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t keys[] = {
    CONFIG_MAPPING("tls_server_config", struct webfile_data, tls_server_config, tls_keys),
    CONFIG_MAPPING("http_server_config", struct webfile_data, http_server_config, http_keys),
    CONFIG_MAPPING("rate_limit", struct webfile_data, rate_limit, rate_keys),
    CYAML_FIELD_IGNORE("basic_auth_users", CYAML_FLAG_OPTIONAL),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t root = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct webfile_data, keys)};

struct opened {
    struct webfile file; /* first: it is what others have */
    struct document document;
};

static int take_pem(struct opened *o, const char *text, const char *path, size_t nth,
                    struct webfile_pem *out)
{
    static const char *const names[] = {"cert", "key", "client_ca"};
    static const char *const files[] = {"tls_server_config.cert_file", "tls_server_config.key_file",
                                        "tls_server_config.client_ca_file"};
    const char *slash = strrchr(o->document.path, '/');
    char **owner = &o->file.paths[nth];
    if (text && path)
        return document_refuse(&o->document, "one of it and the same with _file",
                               "tls_server_config.%s", names[nth]);
    out->text = text;
    if (!path)
        return 0;
    out->key = files[nth];
    if (!path[0])
        return document_refuse(&o->document, "the path of a file", "%s", out->key);
    int rc = path[0] == '/' || !slash ? asprintf(owner, "%s", path)
                                      : asprintf(owner, "%.*s/%s", (int)(slash - o->document.path),
                                                 o->document.path, path);
    if (rc < 0) {
        *owner = NULL;
        return -ENOMEM;
    }
    out->path = *owner;
    return 0;
}

static int take_version(struct opened *o, const char *text, const char *key, enum tls_version *out)
{
    static const char *const names[] = {"TLS10", "TLS11", "TLS12", "TLS13"};
    for (unsigned i = 0; text && i < sizeof names / sizeof names[0]; i++)
        if (strcmp(text, names[i]) == 0) {
            *out = (enum tls_version)i;
            return 0;
        }
    return text ? document_refuse(&o->document, "TLS10, TLS11, TLS12 or TLS13",
                                  "tls_server_config.%s", key)
                : 0;
}

static int take_client(struct opened *o, const char *text)
{
    static const struct {
        const char *name;
        enum tls_client client;
    } kinds[] = {{"NoClientCert", TLS_CLIENT_ANY},
                 {"RequestClientCert", TLS_CLIENT_ASKED},
                 {"RequireAnyClientCert", TLS_CLIENT_CERTIFIED},
                 {"RequireClientCert", TLS_CLIENT_CERTIFIED},
                 {"VerifyClientCertIfGiven", TLS_CLIENT_VERIFIED_IF_GIVEN},
                 {"RequireAndVerifyClientCert", TLS_CLIENT_VERIFIED}};
    for (size_t i = 0; text && i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(text, kinds[i].name) == 0) {
            o->file.tls.client = kinds[i].client;
            return 0;
        }
    return !text || !text[0]
               ? 0
               : document_refuse(&o->document,
                                 "NoClientCert, RequestClientCert, RequireAnyClientCert, "
                                 "VerifyClientCertIfGiven or RequireAndVerifyClientCert",
                                 "tls_server_config.client_auth_type");
}

static int take_bool(struct opened *o, const char *text, const char *path, bool *out)
{
    char expected[VALUE_WHY_SIZE];
    return text && value_bool(text, out, expected) < 0
               ? document_refuse(&o->document, expected, "%s", path)
               : 0;
}

/* What is wrong with the whole begins with the key that it is about. */
static int check_tls(struct opened *o)
{
    char priorities[TLS_PRIORITIES_SIZE], why[TLS_WHY_SIZE], path[64];
    struct tls_options *tls = &o->file.tls;
    int rc = tls_check_client(tls, o->file.client_ca.text || o->file.client_ca.path, why);
    if (rc == 0)
        rc = tls_priorities(tls, priorities, why);
    if (rc == 0)
        return 0;
    snprintf(path, sizeof path, "tls_server_config.%.*s", (int)strcspn(why, ": "), why);
    const struct outline_node *node = document_find(&o->document, path);
    const char *sentence = strncmp(why + strcspn(why, ": "), ": ", 2) == 0 && node
                               ? why + strcspn(why, ": ") + 2
                               : why;
    if (!node)
        node = document_find(&o->document, "tls_server_config");
    return document_say(&o->document, node, sentence);
}

static int require_pem(struct opened *o, const struct webfile_pem *pem, const char *name)
{
    char sentence[128];
    if (pem->text || pem->path)
        return 0;
    snprintf(sentence, sizeof sentence, "one of the keys %s_file and %s is missing", name, name);
    return document_say(&o->document, document_find(&o->document, "tls_server_config"), sentence);
}

static int take_tls(struct opened *o, const struct webfile_tls *t)
{
    struct webfile *f = &o->file;
    f->has_tls = true;
    f->tls = (struct tls_options){.least = TLS_1_2,
                                  .most = TLS_1_3,
                                  .sans = (const char *const *)t->client_allowed_sans,
                                  .n_sans = t->client_allowed_sans_count,
                                  .suites = (const char *const *)t->cipher_suites,
                                  .n_suites = t->cipher_suites_count,
                                  .curves = (const char *const *)t->curve_preferences,
                                  .n_curves = t->curve_preferences_count,
                                  .own_order = true};
    int rc = take_pem(o, t->cert, t->cert_file, 0, &f->certificate);
    if (rc == 0)
        rc = take_pem(o, t->key, t->key_file, 1, &f->key);
    if (rc == 0)
        rc = take_pem(o, t->client_ca, t->client_ca_file, 2, &f->client_ca);
    if (rc == 0)
        rc = require_pem(o, &f->certificate, "cert");
    if (rc == 0)
        rc = require_pem(o, &f->key, "key");
    if (rc == 0)
        rc = take_client(o, t->client_auth_type);
    if (rc == 0)
        rc = take_version(o, t->min_version, "min_version", &f->tls.least);
    if (rc == 0)
        rc = take_version(o, t->max_version, "max_version", &f->tls.most);
    if (rc == 0)
        rc = take_bool(o, t->prefer_server_cipher_suites,
                       "tls_server_config.prefer_server_cipher_suites", &f->tls.own_order);
    return rc == 0 ? check_tls(o) : rc;
}

/* The value of a header is printable ASCII here; "" leaves it out. */
static int take_header(struct opened *o, const struct outline_node *node)
{
    static const char *const expected[HEADERS_CHOSEN] = {[HEADER_POLICY] = "a policy",
                                                         [HEADER_FRAME] = "deny or sameorigin",
                                                         [HEADER_CONTENT_TYPE] = "nosniff",
                                                         [HEADER_XSS] = "a text",
                                                         [HEADER_TRANSPORT] = "max-age=SECONDS"};
    unsigned id = 0;
    while (id < HEADERS_CHOSEN && strcmp(node->key, header_name((enum header_id)id)) != 0)
        id++;
    if (id == HEADERS_CHOSEN)
        return document_say(&o->document, node,
                            "this header cannot be configured; those are Content-Security-Policy, "
                            "X-Frame-Options, X-Content-Type-Options, X-XSS-Protection and "
                            "Strict-Transport-Security");
    const char *text = node->is_null ? "" : node->text;
    bool fine = node->kind == OUTLINE_SCALAR;
    for (const char *c = text; fine && *c; c++)
        fine = *c >= ' ' && *c < 0x7f;
    if (fine && text[0] && id == HEADER_FRAME)
        fine = strcasecmp(text, "deny") == 0 || strcasecmp(text, "sameorigin") == 0;
    if (fine && text[0] && id == HEADER_CONTENT_TYPE)
        fine = strcmp(text, "nosniff") == 0;
    if (!fine)
        return document_refuse_node(&o->document, node, expected[id]);
    o->file.headers.at[id] = text;
    return 0;
}

/* The entries of a mapping whose keys are the user's choice, which libcyaml cannot describe. */
static int take_each(struct opened *o, const char *path, const char *expected,
                     int (*take)(struct opened *, const struct outline_node *))
{
    const struct outline_node *all = document_find(&o->document, path);
    int rc = 0;
    if (!all || all->is_null)
        return 0;
    if (all->kind != OUTLINE_MAPPING)
        return document_refuse_node(&o->document, all, expected);
    for (const struct outline_node *node = all->first; node && rc == 0; node = node->next)
        rc = take(o, node);
    return rc;
}

static int take_http(struct opened *o, const struct webfile_http *http)
{
    bool ignored;
    int rc = take_bool(o, http->http2, "http_server_config.http2", &ignored);
    return rc == 0 ? take_each(o, "http_server_config.headers", "a mapping", take_header) : rc;
}

/* The hash is a secret: it is not told what is there. */
static int take_user(struct opened *o, const struct outline_node *node)
{
    char sentence[128];
    unsigned cost = node->kind == OUTLINE_SCALAR && !node->is_null ? passwords_cost(node->text) : 0;
    if (o->file.n_users == WEBFILE_USERS_MAX)
        return document_say(&o->document, node, "one too many: 256 users are the most");
    if (strlen(node->key) >= USERS_NAME_SIZE || !node->key[0] || strchr(node->key, ':'))
        return document_say(&o->document, node,
                            "a user's name has 1 to 127 bytes, and no colon among them");
    if (cost == 0)
        return document_say(&o->document, node,
                            "expected a hash by bcrypt, as htpasswd -nBC 10 makes it: $2y$10$...");
    if (cost > PASSWORDS_COST_MAX) {
        snprintf(sentence, sizeof sentence,
                 "a hash of cost %u takes too long to check, %d is the most", cost,
                 PASSWORDS_COST_MAX);
        return document_say(&o->document, node, sentence);
    }
    o->file.users[o->file.n_users++] = (struct users_entry){node->key, node->text};
    return 0;
}

static int take_rate(struct opened *o, const struct webfile_rate *rate)
{
    char expected[VALUE_WHY_SIZE];
    struct limiter_rate *out = &o->file.rate;
    if (rate->interval && value_duration(rate->interval, "1h", &out->interval_ns, expected) < 0)
        return document_refuse(&o->document, expected, "rate_limit.interval");
    if (rate->burst && value_number(rate->burst, 1, 1000000, &out->burst, expected) < 0)
        return document_refuse(&o->document, expected, "rate_limit.burst");
    if (out->interval_ns && !out->burst)
        return document_say(&o->document, document_find(&o->document, "rate_limit"),
                            "needs burst, how many requests may come at once");
    return 0;
}

static int take_all(struct opened *o, const struct webfile_data *data)
{
    int rc = data->tls_server_config ? take_tls(o, data->tls_server_config) : 0;
    if (rc == 0 && data->http_server_config)
        rc = take_http(o, data->http_server_config);
    if (rc == 0 && data->rate_limit)
        rc = take_rate(o, data->rate_limit);
    return rc == 0 ? take_each(o, "basic_auth_users", "a mapping of users to hashes", take_user)
                   : rc;
}

int webfile_load(const char *path, struct webfile **out, char why[WEBFILE_WHY_SIZE])
{
    struct opened *o = calloc(1, sizeof *o);
    void *data = NULL;
    snprintf(why, WEBFILE_WHY_SIZE, "out of memory");
    if (!o)
        return -ENOMEM;
    int rc = document_open(&o->document, path, &root, &data, why);
    o->file.data = data;
    if (rc == 0 && data)
        rc = take_all(o, data);
    if (rc < 0) {
        webfile_free(&o->file);
        return rc;
    }
    *out = &o->file;
    return 0;
}

int webfile_say(const struct webfile *file, const char *key, const char *sentence,
                char why[WEBFILE_WHY_SIZE])
{
    struct document document = ((const struct opened *)file)->document;
    document.why = why;
    return document_say(&document, document_find(&document, key), sentence);
}

void webfile_free(struct webfile *file)
{
    struct opened *o = (struct opened *)file;
    if (!o)
        return;
    document_free(&root, file->data);
    document_close(&o->document);
    for (size_t i = 0; i < sizeof file->paths / sizeof file->paths[0]; i++)
        free(file->paths[i]);
    free(o);
}
