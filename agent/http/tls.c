/* SPDX-License-Identifier: MIT
 *
 * tls.c - keys, and the handshakes made with them, in the loop's thread. What a client's
 * certificate is worth is decided here; suites and versions are in tls_suites.c.
 */
#include "agent/http/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/abstract.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAN_SIZE = 512 };

struct tls {
    unsigned references;
    gnutls_certificate_credentials_t credentials;
    gnutls_priority_t priorities;
    enum tls_client client;
    char **sans;
    size_t n_sans;
    int64_t not_after;
};

static int refuse(char why[TLS_WHY_SIZE], const char *what, int code)
{
    if (code == GNUTLS_E_MEMORY_ERROR) {
        snprintf(why, TLS_WHY_SIZE, "out of memory");
        return -ENOMEM;
    }
    snprintf(why, TLS_WHY_SIZE, "%s: %s", what, gnutls_strerror(code));
    return -EINVAL;
}

static gnutls_datum_t datum(const char *text)
{
    return (gnutls_datum_t){(unsigned char *)(uintptr_t)text, (unsigned)strlen(text)};
}

/* Of the first certificate, which is the server's own. */
static int64_t find_end(const struct tls *tls)
{
    gnutls_x509_crt_t *chain;
    unsigned n;
    int64_t end = 0;
    if (gnutls_certificate_get_x509_crt(tls->credentials, 0, &chain, &n) < 0)
        return 0;
    for (unsigned i = 0; i < n; i++) {
        if (i == 0)
            end = gnutls_x509_crt_get_expiration_time(chain[i]);
        gnutls_x509_crt_deinit(chain[i]);
    }
    gnutls_free(chain);
    return end;
}

static int take_key(struct tls *tls, const struct tls_options *options, char why[TLS_WHY_SIZE])
{
    gnutls_datum_t certificate = datum(options->certificate), key = datum(options->key);
    int code = gnutls_certificate_set_x509_key_mem2(tls->credentials, &certificate, &key,
                                                    GNUTLS_X509_FMT_PEM, NULL, 0);
    if (code == GNUTLS_E_CERTIFICATE_KEY_MISMATCH)
        return refuse(why, "the key is not that of the certificate", code);
    if (code == GNUTLS_E_DECRYPTION_FAILED)
        return refuse(why, "the key has a passphrase, give one that has none", code);
    if (code < 0)
        return refuse(why, "no certificate and key in PEM", code);
    tls->not_after = find_end(tls);
    return 0;
}

static int take_client_ca(struct tls *tls, const char *text, char why[TLS_WHY_SIZE])
{
    gnutls_datum_t ca = datum(text);
    int n = gnutls_certificate_set_x509_trust_mem(tls->credentials, &ca, GNUTLS_X509_FMT_PEM);
    if (n > 0)
        return 0;
    return refuse(why, "no certificate in PEM for clients",
                  n < 0 ? n : GNUTLS_E_NO_CERTIFICATE_FOUND);
}

static int copy_sans(struct tls *tls, const struct tls_options *options)
{
    if (options->n_sans == 0)
        return 0;
    tls->sans = calloc(options->n_sans, sizeof *tls->sans);
    while (tls->sans && tls->n_sans < options->n_sans) {
        tls->sans[tls->n_sans] = strdup(options->sans[tls->n_sans]);
        if (!tls->sans[tls->n_sans])
            break;
        tls->n_sans++;
    }
    return tls->n_sans == options->n_sans ? 0 : -ENOMEM;
}

/* What a client must show is no use if he need not show anything. */
int tls_check_client(const struct tls_options *options, bool has_client_ca, char why[TLS_WHY_SIZE])
{
    bool verifies =
        options->client == TLS_CLIENT_VERIFIED || options->client == TLS_CLIENT_VERIFIED_IF_GIVEN;
    bool requires =
        options->client == TLS_CLIENT_VERIFIED || options->client == TLS_CLIENT_CERTIFIED;
    const char *what = NULL;
    if (has_client_ca && options->client == TLS_CLIENT_ANY)
        what = "client_ca_file: it is of no use while client_auth_type does not ask for a "
               "certificate";
    else if (verifies && !has_client_ca)
        what = "client_auth_type: it verifies certificates, so client_ca_file or client_ca is "
               "needed";
    else if (options->n_sans > 0 && !requires)
        what = "client_allowed_sans: it needs client_auth_type RequireAndVerifyClientCert";
    if (!what)
        return 0;
    snprintf(why, TLS_WHY_SIZE, "%s", what);
    return -EINVAL;
}

static int fill(struct tls *tls, const struct tls_options *options, char why[TLS_WHY_SIZE])
{
    char priorities[TLS_PRIORITIES_SIZE];
    int rc = tls_check_client(options, options->client_ca, why);
    if (rc == 0)
        rc = tls_priorities(options, priorities, why);
    if (rc < 0)
        return rc;
    int code = gnutls_priority_init(&tls->priorities, priorities, NULL);
    if (code < 0)
        return refuse(why, "GnuTLS does not know what is asked for", code);
    if (gnutls_certificate_allocate_credentials(&tls->credentials) < 0 ||
        copy_sans(tls, options) < 0)
        return refuse(why, "", GNUTLS_E_MEMORY_ERROR);
    tls->client = options->client;
    rc = take_key(tls, options, why);
    return rc == 0 && options->client_ca ? take_client_ca(tls, options->client_ca, why) : rc;
}

int tls_new(const struct tls_options *options, struct tls **out, char why[TLS_WHY_SIZE])
{
    struct tls *tls = calloc(1, sizeof *tls);
    if (!tls)
        return refuse(why, "", GNUTLS_E_MEMORY_ERROR);
    tls->references = 1;
    int rc = fill(tls, options, why);
    if (rc < 0) {
        tls_unref(tls);
        return rc;
    }
    *out = tls;
    return 0;
}

struct tls *tls_ref(struct tls *tls)
{
    if (tls)
        tls->references++;
    return tls;
}

void tls_unref(struct tls *tls)
{
    if (!tls || --tls->references > 0)
        return;
    if (tls->credentials)
        gnutls_certificate_free_credentials(tls->credentials);
    if (tls->priorities)
        gnutls_priority_deinit(tls->priorities);
    for (size_t i = 0; i < tls->n_sans; i++)
        free(tls->sans[i]);
    free(tls->sans);
    free(tls);
}

int64_t tls_not_after(const struct tls *tls)
{
    return tls->not_after;
}

/* As in the file: names, and addresses as Go writes them. */
static bool is_allowed(const struct tls *tls, int type, const void *san, size_t size)
{
    char address[INET6_ADDRSTRLEN];
    const char *text = san;
    if (type == GNUTLS_SAN_IPADDRESS) {
        if (size != 4 && size != 16)
            return false;
        text = inet_ntop(size == 4 ? AF_INET : AF_INET6, san, address, sizeof address);
        size = strlen(text);
    } else if (type != GNUTLS_SAN_DNSNAME && type != GNUTLS_SAN_RFC822NAME &&
               type != GNUTLS_SAN_URI) {
        return false;
    }
    for (size_t i = 0; i < tls->n_sans; i++)
        if (strlen(tls->sans[i]) == size && memcmp(tls->sans[i], text, size) == 0)
            return true;
    return false;
}

static bool has_allowed_san(const struct tls *tls, const gnutls_datum_t *certificate)
{
    gnutls_x509_crt_t crt;
    bool found = false;
    if (gnutls_x509_crt_init(&crt) < 0)
        return false;
    if (gnutls_x509_crt_import(crt, certificate, GNUTLS_X509_FMT_DER) == 0)
        for (unsigned i = 0; !found; i++) {
            char san[SAN_SIZE];
            size_t size = sizeof san;
            int type = gnutls_x509_crt_get_subject_alt_name(crt, i, san, &size, NULL);
            if (type == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
                break;
            found = type >= 0 && is_allowed(tls, type, san, size);
        }
    gnutls_x509_crt_deinit(crt);
    return found;
}

static bool is_verified(gnutls_session_t session)
{
    gnutls_typed_vdata_st purpose = {.type = GNUTLS_DT_KEY_PURPOSE_OID,
                                     .data = (unsigned char *)GNUTLS_KP_TLS_WWW_CLIENT};
    unsigned status;
    return gnutls_certificate_verify_peers(session, &purpose, 1, &status) == 0 && status == 0;
}

/* Returns: 0, or the alert that tells the client what he lacks. */
static gnutls_alert_description_t find_fault(const struct tls *tls, gnutls_session_t session)
{
    unsigned n = 0;
    const gnutls_datum_t *chain = gnutls_certificate_get_peers(session, &n);
    bool given = chain && n > 0;
    if (!given && (tls->client == TLS_CLIENT_CERTIFIED || tls->client == TLS_CLIENT_VERIFIED))
        return gnutls_protocol_get_version(session) == GNUTLS_TLS1_3 ? GNUTLS_A_CERTIFICATE_REQUIRED
                                                                     : GNUTLS_A_HANDSHAKE_FAILURE;
    if (!given)
        return GNUTLS_A_CLOSE_NOTIFY;
    if ((tls->client == TLS_CLIENT_VERIFIED || tls->client == TLS_CLIENT_VERIFIED_IF_GIVEN) &&
        !is_verified(session))
        return GNUTLS_A_BAD_CERTIFICATE;
    return tls->n_sans == 0 || has_allowed_san(tls, &chain[0]) ? GNUTLS_A_CLOSE_NOTIFY
                                                               : GNUTLS_A_ACCESS_DENIED;
}

/* libmicrohttpd sends no alerts: without this one the client would see a connection that ends. */
static int judge(gnutls_session_t session)
{
    struct tls_handshake *handshake = gnutls_session_get_ptr(session);
    gnutls_alert_description_t alert = find_fault(handshake->tls, session);
    if (alert == GNUTLS_A_CLOSE_NOTIFY)
        return 0;
    handshake->stage = TLS_REFUSED;
    gnutls_alert_send(session, GNUTLS_AL_FATAL, alert);
    return GNUTLS_E_CERTIFICATE_ERROR;
}

static int note(gnutls_session_t session, unsigned type, unsigned when, unsigned incoming,
                const gnutls_datum_t *message)
{
    struct tls_handshake *handshake = gnutls_session_get_ptr(session);
    (void)message;
    if (incoming && type == GNUTLS_HANDSHAKE_FINISHED && when == GNUTLS_HOOK_POST &&
        handshake->stage == TLS_GREETED)
        handshake->stage = TLS_AGREED;
    else if (incoming && handshake->stage == TLS_SILENT)
        handshake->stage = TLS_GREETED;
    return 0;
}

int tls_begin(struct tls *tls, struct gnutls_session_int *session, struct tls_handshake *out)
{
    *out = (struct tls_handshake){.tls = tls_ref(tls)};
    gnutls_session_set_ptr(session, out);
    gnutls_handshake_set_hook_function(session, GNUTLS_HANDSHAKE_ANY, GNUTLS_HOOK_BOTH, note);
    if (tls->client != TLS_CLIENT_ANY) {
        gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUEST);
        gnutls_session_set_verify_function(session, judge);
    }
    if (gnutls_priority_set(session, tls->priorities) < 0 ||
        gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, tls->credentials) < 0)
        return -ENOMEM;
    return 0;
}

static int choose_none(gnutls_session_t session, const gnutls_datum_t *authorities, int n,
                       const gnutls_pk_algorithm_t *algorithms, int n_algorithms,
                       gnutls_pcert_st **chain, unsigned *length, gnutls_privkey_t *key)
{
    (void)session, (void)authorities, (void)n, (void)algorithms, (void)n_algorithms;
    (void)chain, (void)length, (void)key;
    return -1;
}

void *tls_no_certificate(void)
{
    return (void *)(intptr_t)choose_none;
}

enum tls_stage tls_end(struct tls_handshake *handshake)
{
    enum tls_stage stage = handshake->stage;
    tls_unref(handshake->tls);
    *handshake = (struct tls_handshake){.tls = NULL};
    return stage;
}
