/* SPDX-License-Identifier: MIT
 *
 * tls.h - TLS as a server: whose key, what is agreed on, which clients. The only module that knows
 * GnuTLS; knows neither files nor HTTP.
 *
 * A struct tls never changes. A new certificate is a new one, and who shook hands with the old one
 * keeps that until he goes: nobody is cut off.
 */
#ifndef SMX_AGENT_TLS_H
#define SMX_AGENT_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TLS_WHY_SIZE = 256, TLS_LIST_MAX = 32 };

enum tls_version { TLS_1_0, TLS_1_1, TLS_1_2, TLS_1_3 };

/* What is asked of a client. */
enum tls_client {
    TLS_CLIENT_ANY,               /* no certificate */
    TLS_CLIENT_ASKED,             /* one, which is not looked at */
    TLS_CLIENT_CERTIFIED,         /* as ASKED, but there must be one */
    TLS_CLIENT_VERIFIED_IF_GIVEN, /* a good one, if any */
    TLS_CLIENT_VERIFIED,          /* a good one */
};

/* The names of suites and curves are those of Go's crypto/tls. */
struct tls_options {
    const char *certificate, *key, *client_ca; /* PEM; the last may be NULL */
    enum tls_client client;
    const char *const *sans; /* one of which a client's certificate must have; none: any */
    size_t n_sans;
    enum tls_version least, most;
    const char *const *suites; /* none: those that are sound today */
    size_t n_suites;
    const char *const *curves;
    size_t n_curves;
    bool own_order; /* of suites, before the client's */
};

struct tls;
struct gnutls_session_int; /* what a gnutls_session_t points to */

/* Write the priorities of GnuTLS that stand for versions, suites and curves; needs no key.
 * Returns: 0, or -EINVAL with what is wrong and what to do in why. */
enum { TLS_PRIORITIES_SIZE = 1024 };
int tls_priorities(const struct tls_options *options, char out[TLS_PRIORITIES_SIZE],
                   char why[TLS_WHY_SIZE]);

/* Whether what is asked of clients makes sense; client_ca stands for whether there is one. Returns:
 * 0, or -EINVAL with what is wrong in why. */
int tls_check_client(const struct tls_options *options, bool has_client_ca, char why[TLS_WHY_SIZE]);

/* Make one, with a reference. The options are not needed after it.
 * Returns: 0, -ENOMEM, or -EINVAL; why then says what is wrong. */
int tls_new(const struct tls_options *options, struct tls **out, char why[TLS_WHY_SIZE]);
struct tls *tls_ref(struct tls *tls);
void tls_unref(struct tls *tls);

/* Until when the certificate holds, in seconds since the Epoch. */
int64_t tls_not_after(const struct tls *tls);

/* A callback of GnuTLS for a library that wants one that chooses a certificate: there is none. */
void *tls_no_certificate(void);

/* How a handshake ended, or how far it is. */
enum tls_stage {
    TLS_SILENT,  /* nothing came that is TLS */
    TLS_GREETED, /* it has begun */
    TLS_REFUSED, /* the client had no certificate that would do */
    TLS_AGREED,
};

/* Of one connection, in the caller's memory. All-zero: it has none. */
struct tls_handshake {
    struct tls *tls;
    enum tls_stage stage;
};

/* Make a session, which is about to shake hands, one of this server. The handshake must stay where
 * it is until tls_end(). Returns: 0, -ENOMEM; the session must not go on then. */
int tls_begin(struct tls *tls, struct gnutls_session_int *session, struct tls_handshake *out);

/* The session is gone. Returns: how far it came. */
enum tls_stage tls_end(struct tls_handshake *handshake);

#endif
