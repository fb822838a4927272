/* SPDX-License-Identifier: MIT
 *
 * 40-tls.c - TLS of the agent's HTTP server, with a client of GnuTLS in the same thread: what is
 * agreed on, which clients are let in, keys that are replaced under way, and the names of Go's
 * suites as priorities of GnuTLS. The keys are made here.
 */
#include "agent/http/http.h"
#include "agent/http/listen.h"
#include "support/tap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/abstract.h>
#include <gnutls/x509.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define MS     UINT64_C(1000000)
#define GET(p) "GET " p " HTTP/1.1\r\nHost: agent\r\n\r\n"

enum { PEM_SIZE = 4096, BIG = 3 << 20 };

/* A certificate with its key, and whose it is. */
struct pem {
    char certificate[PEM_SIZE], key[PEM_SIZE];
    gnutls_x509_crt_t crt;
    gnutls_x509_privkey_t private;
};

static struct pem ca, other_ca, server, next, alice, mallory, as_server;

struct fixture {
    struct log log;
    struct loop *loop;
    struct http *http;
    struct listen_socket socket;
    struct http_deferred *deferred;
};

static void export_to(struct pem *pem)
{
    size_t size = sizeof pem->certificate - 1;
    assert_int_equal(gnutls_x509_crt_export(pem->crt, GNUTLS_X509_FMT_PEM, pem->certificate, &size),
                     0);
    pem->certificate[size] = 0;
    size = sizeof pem->key - 1;
    assert_int_equal(gnutls_x509_privkey_export(pem->private, GNUTLS_X509_FMT_PEM, pem->key, &size),
                     0);
    pem->key[size] = 0;
}

/* Make a key, and a certificate of it by an issuer; NULL: a CA of its own. */
static void make(struct pem *pem, const char *name, const struct pem *issuer, const char *purpose)
{
    static unsigned char serial;
    const unsigned char id[] = {127, ++serial};
    const struct pem *by = issuer ? issuer : pem;
    time_t now = time(NULL);
    gnutls_x509_privkey_init(&pem->private);
    gnutls_x509_crt_init(&pem->crt);
    assert_int_equal(gnutls_x509_privkey_generate(pem->private, GNUTLS_PK_ECDSA,
                                                  GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1),
                                                  0),
                     0);
    gnutls_x509_crt_set_version(pem->crt, 3);
    gnutls_x509_crt_set_serial(pem->crt, id, sizeof id);
    gnutls_x509_crt_set_activation_time(pem->crt, now - 3600);
    gnutls_x509_crt_set_expiration_time(pem->crt, now + 3600);
    gnutls_x509_crt_set_key(pem->crt, pem->private);
    gnutls_x509_crt_set_dn_by_oid(pem->crt, GNUTLS_OID_X520_COMMON_NAME, 0, name,
                                  (unsigned)strlen(name));
    gnutls_x509_crt_set_subject_alt_name(pem->crt, GNUTLS_SAN_DNSNAME, name, (unsigned)strlen(name),
                                         GNUTLS_FSAN_SET);
    gnutls_x509_crt_set_subject_alt_name(pem->crt, GNUTLS_SAN_IPADDRESS, "\x7f\0\0\1", 4,
                                         GNUTLS_FSAN_APPEND);
    gnutls_x509_crt_set_ca_status(pem->crt, !issuer);
    gnutls_x509_crt_set_key_usage(pem->crt,
                                  issuer ? GNUTLS_KEY_DIGITAL_SIGNATURE : GNUTLS_KEY_KEY_CERT_SIGN);
    if (purpose)
        gnutls_x509_crt_set_key_purpose_oid(pem->crt, purpose, 0);
    assert_int_equal(gnutls_x509_crt_sign2(pem->crt, by->crt, by->private, GNUTLS_DIG_SHA256, 0),
                     0);
    export_to(pem);
}

static struct tls_options options_of(const struct pem *pem)
{
    return (struct tls_options){
        .certificate = pem->certificate, .key = pem->key, .least = TLS_1_2, .most = TLS_1_3};
}

static struct tls *tls_of(const struct tls_options *options)
{
    char why[TLS_WHY_SIZE] = "";
    struct tls *tls = NULL;
    int rc = tls_new(options, &tls, why);
    if (rc < 0)
        fail_msg("%s", why);
    return tls;
}

static void answer(void *context, const struct http_request *request, struct http_reply *reply)
{
    struct fixture *f = context;
    reply->status = 200;
    reply->content_type = "text/plain";
    if (strcmp(request->path, "/later") == 0) {
        f->deferred = http_defer(request);
        assert_non_null(f->deferred);
        return;
    }
    reply->body = body_new();
    if (strcmp(request->path, "/big") == 0) {
        assert_int_equal(buffer_reserve(&reply->body->bytes, BIG), 0);
        memset(reply->body->bytes.at, 'x', BIG);
        reply->body->bytes.length = BIG;
    }
    buffer_puts(&reply->body->bytes, "well");
}

static void start(struct fixture *f, const struct tls_options *tls_options)
{
    char why[LISTEN_WHY_SIZE];
    struct tls *tls = tls_of(tls_options);
    *f = (struct fixture){.log = {.fd = memfd_create("log", MFD_CLOEXEC)}};
    assert_int_equal(loop_new(LOOP_AUTO, &f->loop), 0);
    struct http_options options = {.loop = f->loop,
                                   .log = &f->log,
                                   .limits = {.connections = 8,
                                              .request_ns = 60000 * MS,
                                              .answer_ns = 60000 * MS,
                                              .answer_bytes = BIG},
                                   .tls = tls,
                                   .answer = answer,
                                   .context = f};
    assert_int_equal(http_new(&options, &f->http), 0);
    tls_unref(tls);
    assert_int_equal(listen_open("127.0.0.1:0", &f->socket, why), 0);
    assert_int_equal(http_listen(f->http, &f->socket), 0);
}

static void finish(struct fixture *f)
{
    http_free(f->http);
    listen_close(&f->socket);
    loop_free(f->loop);
    close(f->log.fd);
}

/* A client, who trusts a CA and may have a certificate of his own. */
struct client {
    struct fixture *f;
    int fd;
    gnutls_session_t session;
    gnutls_certificate_credentials_t credentials;
};

static int dial(const struct fixture *f)
{
    struct sockaddr_in to;
    socklen_t length = sizeof to;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(getsockname(f->socket.fd, (struct sockaddr *)&to, &length), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

/* Until it has seen that all have gone, or let them go itself. */
static void turn_until_alone(struct fixture *f)
{
    uint64_t end = loop_now_ns() + PATIENCE_NS;
    while (http_connections(f->http).accepted == 0 || http_connections(f->http).now > 0) {
        assert_true(loop_now_ns() < end);
        assert_int_equal(loop_turn(f->loop, MS), 0);
    }
}

static void hang_up(struct client *c)
{
    gnutls_deinit(c->session);
    gnutls_certificate_free_credentials(c->credentials);
    close(c->fd);
    for (int i = 0; i < 10; i++)
        assert_int_equal(loop_turn(c->f->loop, MS), 0);
}

/* Call again while it must wait, turning the server's loop; PATIENCE_MS at most. */
#define PATIENTLY(c, code, call)                                                                   \
    for (uint64_t end = loop_now_ns() + PATIENCE_NS;                                               \
         ((code) = (call)) == GNUTLS_E_AGAIN || (code) == GNUTLS_E_INTERRUPTED;) {                 \
        assert_true(loop_now_ns() < end);                                                          \
        assert_int_equal(loop_turn((c)->f->loop, MS), 0);                                          \
    }

/* Returns what gnutls_handshake() does. */
static int shake(struct fixture *f, struct client *c, const struct pem *own, const char *priorities)
{
    gnutls_datum_t trusted = {(unsigned char *)ca.certificate, (unsigned)strlen(ca.certificate)};
    int code;
    *c = (struct client){.f = f, .fd = dial(f)};
    gnutls_init(&c->session, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_FORCE_CLIENT_CERT);
    gnutls_certificate_allocate_credentials(&c->credentials);
    gnutls_certificate_set_x509_trust_mem(c->credentials, &trusted, GNUTLS_X509_FMT_PEM);
    if (own)
        gnutls_certificate_set_x509_key(c->credentials, (gnutls_x509_crt_t *)&own->crt, 1,
                                        own->private);
    assert_int_equal(gnutls_priority_set_direct(c->session, priorities, NULL), 0);
    gnutls_credentials_set(c->session, GNUTLS_CRD_CERTIFICATE, c->credentials);
    gnutls_session_set_verify_cert(c->session, "agent", 0);
    gnutls_transport_set_int2(c->session, c->fd, c->fd);
    gnutls_transport_set_pull_timeout_function(c->session, gnutls_system_recv_timeout);
    assert_int_equal(fcntl(c->fd, F_SETFL, O_NONBLOCK), 0);
    PATIENTLY(c, code, gnutls_handshake(c->session));
    return code;
}

static ssize_t take(struct client *c, char *out, size_t size)
{
    ssize_t n;
    PATIENTLY(c, n, gnutls_record_recv(c->session, out, size));
    return n;
}

/* Ask; returns how many bytes came, to what ends in "well". The last of them are in text. */
static size_t ask(struct client *c, const char *request)
{
    static char text[BIG + 4096];
    size_t n = 0;
    assert_int_equal(gnutls_record_send(c->session, request, strlen(request)), strlen(request));
    while (n < 4 || memcmp(text + n - 4, "well", 4) != 0) {
        ssize_t more = take(c, text + n, sizeof text - 1 - n);
        if (more <= 0)
            return 0;
        n += (size_t)more;
    }
    assert_memory_equal(text, "HTTP/1.1 200 ", 13);
    return n;
}

/* Whether somebody with such a certificate gets an answer. */
static bool is_served(struct fixture *f, const struct pem *own)
{
    struct client c;
    bool served = shake(f, &c, own, "NORMAL") == 0 && ask(&c, GET("/")) > 0;
    hang_up(&c);
    return served;
}

static void pages_are_served_at_once_and_later_small_and_large(void **state)
{
    (void)state;
    struct fixture f;
    struct client c;
    struct tls_options options = options_of(&server);
    start(&f, &options);
    assert_int_equal(shake(&f, &c, NULL, "NORMAL"), 0);
    assert_int_equal(gnutls_protocol_get_version(c.session), GNUTLS_TLS1_3);
    for (int i = 0; i < 3; i++) {
        assert_true(ask(&c, GET("/")) > 0);
        assert_true(ask(&c, GET("/big")) > BIG);
    }
    hang_up(&c);
    finish(&f);
}

static void an_answer_may_come_later(void **state)
{
    (void)state;
    struct fixture f;
    struct client c;
    struct tls_options options = options_of(&server);
    start(&f, &options);
    assert_int_equal(shake(&f, &c, NULL, "NORMAL"), 0);
    gnutls_record_send(c.session, GET("/later"), strlen(GET("/later")));
    for (uint64_t end = loop_now_ns() + PATIENCE_NS; !f.deferred && loop_now_ns() < end;)
        assert_int_equal(loop_turn(f.loop, MS), 0);
    struct http_reply reply = {.status = 200, .content_type = "text/plain", .body = body_new()};
    buffer_puts(&reply.body->bytes, "well");
    http_answer(f.deferred, &reply);
    char text[512] = "";
    assert_true(take(&c, text, sizeof text - 1) > 0);
    assert_memory_equal(text, "HTTP/1.1 200 ", 13);
    hang_up(&c);
    finish(&f);
}

static void other_keys_are_for_those_who_come_later(void **state)
{
    (void)state;
    struct fixture f;
    struct client old, new;
    struct tls_options options = options_of(&server), renewed = options_of(&next);
    gnutls_x509_crt_t seen;
    unsigned n;
    start(&f, &options);
    assert_int_equal(shake(&f, &old, NULL, "NORMAL"), 0);
    struct tls *tls = tls_of(&renewed);
    http_use_tls(f.http, tls);
    tls_unref(tls);
    assert_true(ask(&old, GET("/")) > 0);
    assert_int_equal(shake(&f, &new, NULL, "NORMAL"), 0);
    assert_true(ask(&new, GET("/big")) > BIG);
    gnutls_x509_crt_init(&seen);
    gnutls_x509_crt_import(seen, gnutls_certificate_get_peers(new.session, &n),
                           GNUTLS_X509_FMT_DER);
    assert_true(gnutls_x509_crt_equals(seen, next.crt));
    gnutls_x509_crt_deinit(seen);
    assert_true(ask(&old, GET("/big")) > BIG);
    hang_up(&old);
    hang_up(&new);
    finish(&f);
}

static void a_client_shows_what_is_asked_of_him(void **state)
{
    static const struct {
        enum tls_client client;
        bool nobody, alice, mallory, as_server;
    } cases[] = {{TLS_CLIENT_ANY, true, true, true, true},
                 {TLS_CLIENT_ASKED, true, true, true, true},
                 {TLS_CLIENT_CERTIFIED, false, true, true, true},
                 {TLS_CLIENT_VERIFIED_IF_GIVEN, true, true, false, false},
                 {TLS_CLIENT_VERIFIED, false, true, false, false}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture f;
        struct tls_options options = options_of(&server);
        options.client = cases[i].client;
        options.client_ca = options.client == TLS_CLIENT_ANY ? NULL : ca.certificate;
        start(&f, &options);
        assert_int_equal(is_served(&f, NULL), cases[i].nobody);
        assert_int_equal(is_served(&f, &alice), cases[i].alice);
        assert_int_equal(is_served(&f, &mallory), cases[i].mallory);
        assert_int_equal(is_served(&f, &as_server), cases[i].as_server);
        struct http_handshakes counts = http_handshakes(f.http);
        assert_int_equal(counts.refused,
                         !cases[i].nobody + !cases[i].mallory + !cases[i].as_server);
        assert_int_equal(counts.failed, 0);
        finish(&f);
    }
}

static void who_is_refused_is_told_why(void **state)
{
    static const struct {
        const char *priorities;
        const struct pem *own;
        gnutls_alert_description_t alert;
    } cases[] = {
        {"NORMAL:-VERS-ALL:+VERS-TLS1.3", NULL, GNUTLS_A_CERTIFICATE_REQUIRED},
        {"NORMAL:-VERS-ALL:+VERS-TLS1.2", NULL, GNUTLS_A_HANDSHAKE_FAILURE},
        {"NORMAL:-VERS-ALL:+VERS-TLS1.3", &mallory, GNUTLS_A_BAD_CERTIFICATE},
        {"NORMAL:-VERS-ALL:+VERS-TLS1.2", &mallory, GNUTLS_A_BAD_CERTIFICATE},
        {"NORMAL:-VERS-ALL:+VERS-TLS1.3", &alice, GNUTLS_A_ACCESS_DENIED},
    };
    static const char *const sans[] = {"bob"};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture f;
        struct client c;
        char byte;
        struct tls_options options = options_of(&server);
        options.client = TLS_CLIENT_VERIFIED;
        options.client_ca = ca.certificate;
        options.sans = sans;
        options.n_sans = 1;
        start(&f, &options);
        ssize_t code = shake(&f, &c, cases[i].own, cases[i].priorities);
        if (code == 0) /* in TLS 1.3 he has done his part before he is judged */
            code = take(&c, &byte, 1);
        assert_int_equal(code, GNUTLS_E_FATAL_ALERT_RECEIVED);
        assert_int_equal(gnutls_alert_get(c.session), cases[i].alert);
        hang_up(&c);
        finish(&f);
    }
}

static void a_client_must_have_one_of_the_names(void **state)
{
    static const struct {
        const char *name;
        bool served;
    } cases[] = {
        {"alice", true}, {"127.0.0.1", true}, {"bob", false}, {"alic", false}, {"alice2", false}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture f;
        const char *const sans[] = {"nobody", cases[i].name};
        struct tls_options options = options_of(&server);
        options.client = TLS_CLIENT_VERIFIED;
        options.client_ca = ca.certificate;
        options.sans = sans;
        options.n_sans = 2;
        start(&f, &options);
        assert_int_equal(is_served(&f, &alice), cases[i].served);
        finish(&f);
    }
}

static void one_who_shakes_no_hands_is_counted(void **state)
{
    (void)state;
    struct fixture f;
    struct client c;
    struct tls_options options = options_of(&server);
    start(&f, &options);
    int fd = dial(&f);
    assert_int_equal(send(fd, GET("/"), strlen(GET("/")), MSG_NOSIGNAL), strlen(GET("/")));
    turn_until_alone(&f);
    char byte;
    assert_true(recv(fd, &byte, 1, MSG_DONTWAIT) <= 0);
    close(fd);
    assert_int_not_equal(shake(&f, &c, NULL, "NORMAL:-VERS-ALL:+VERS-TLS1.1"), 0);
    hang_up(&c);
    struct http_handshakes counts = http_handshakes(f.http);
    assert_int_equal(counts.silent, 1);
    assert_int_equal(counts.failed, 1);
    turn_until_alone(&f);
    assert_true(is_served(&f, NULL));
    finish(&f);
}

static void versions_and_suites_are_those_that_were_asked_for(void **state)
{
    static const char *const one[] = {"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"};
    static const struct {
        enum tls_version least, most;
        size_t n_suites;
        const char *client; /* priorities */
        bool agreed;
    } cases[] = {
        {TLS_1_2, TLS_1_3, 0, "NORMAL:-VERS-ALL:+VERS-TLS1.2", true},
        {TLS_1_3, TLS_1_3, 0, "NORMAL:-VERS-ALL:+VERS-TLS1.2", false},
        {TLS_1_3, TLS_1_3, 0, "NORMAL", true},
        {TLS_1_2, TLS_1_2, 0, "NORMAL:-VERS-ALL:+VERS-TLS1.3", false},
        {TLS_1_2, TLS_1_3, 0, "NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+AES-128-CBC", false},
        {TLS_1_0, TLS_1_3, 0, "NORMAL:-VERS-ALL:+VERS-TLS1.1", true},
        {TLS_1_2, TLS_1_3, 1, "NORMAL:-CIPHER-ALL:+AES-256-GCM", true},
        {TLS_1_2, TLS_1_3, 1, "NORMAL:-CIPHER-ALL:+AES-128-GCM", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture f;
        struct client c;
        struct tls_options options = options_of(&server);
        options.least = cases[i].least;
        options.most = cases[i].most;
        options.suites = one;
        options.n_suites = cases[i].n_suites;
        start(&f, &options);
        assert_int_equal(shake(&f, &c, NULL, cases[i].client) == 0, cases[i].agreed);
        hang_up(&c);
        finish(&f);
    }
}

static void expect_refusal(const struct tls_options *options, const char *said)
{
    char why[TLS_WHY_SIZE] = "";
    struct tls *tls = NULL;
    assert_int_equal(tls_new(options, &tls, why), -EINVAL);
    assert_null(tls);
    if (!strstr(why, said))
        fail_msg("\"%s\" says nothing of \"%s\"", why, said);
}

static void what_cannot_be_is_refused_and_says_why(void **state)
{
    (void)state;
    static const char *const beyond[] = {"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
                                         "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"};
    static const char *const old[] = {"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"};
    static const char *const newest[] = {"TLS_AES_128_GCM_SHA256"};
    static const char *const unknown[] = {"TLS_NULL"}, *const curve[] = {"X25519MLKEM768"};
    struct tls_options o = options_of(&server);
    o.key = alice.key;
    expect_refusal(&o, "the key is not that of the certificate");
    o = options_of(&server);
    o.key = "-----BEGIN";
    expect_refusal(&o, "no certificate and key in PEM");
    o = options_of(&server);
    o.certificate = "";
    expect_refusal(&o, "no certificate and key in PEM");
    o = options_of(&server);
    o.client_ca = ca.certificate;
    expect_refusal(&o, "does not ask for a certificate");
    o.client = TLS_CLIENT_VERIFIED;
    o.client_ca = "nonsense";
    expect_refusal(&o, "no certificate in PEM for clients");
    o.client_ca = NULL;
    expect_refusal(&o, "client_ca_file or client_ca is needed");
    o = options_of(&server);
    o.client = TLS_CLIENT_ASKED;
    o.sans = unknown;
    o.n_sans = 1;
    expect_refusal(&o, "client_allowed_sans: it needs");
    o = options_of(&server);
    o.least = TLS_1_3;
    o.most = TLS_1_2;
    expect_refusal(&o, "min_version: it is above max_version");
    o = options_of(&server);
    o.suites = beyond;
    o.n_suites = 2;
    expect_refusal(&o, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 would be offered too");
    o.suites = unknown;
    o.n_suites = 1;
    expect_refusal(&o, "TLS_NULL");
    o.suites = old;
    expect_refusal(&o, "max_version to TLS12");
    o.suites = newest;
    expect_refusal(&o, "min_version to TLS13");
    o.n_suites = 0;
    o.curves = curve;
    o.n_curves = 1;
    expect_refusal(&o, "X25519MLKEM768 is none of");
}

static void names_become_priorities(void **state)
{
    (void)state;
    static const char *const suites[] = {"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
                                         "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
                                         "TLS_CHACHA20_POLY1305_SHA256"};
    static const char *const curves[] = {"CurveP384", "X25519"};
    char text[TLS_PRIORITIES_SIZE], why[TLS_WHY_SIZE] = "";
    struct tls_options o = {.least = TLS_1_2,
                            .most = TLS_1_3,
                            .suites = suites,
                            .n_suites = 3,
                            .curves = curves,
                            .n_curves = 2,
                            .own_order = true};
    assert_int_equal(tls_priorities(&o, text, why), 0);
    assert_string_equal(text, "NORMAL:-VERS-ALL:-CIPHER-ALL:-MAC-ALL:-KX-ALL:-GROUP-ALL"
                              ":+VERS-TLS1.3:+VERS-TLS1.2:+AES-256-GCM:+AEAD:+ECDHE-RSA"
                              ":+CHACHA20-POLY1305:%SERVER_PRECEDENCE:+GROUP-SECP384R1"
                              ":+GROUP-X25519");
    gnutls_priority_t parsed;
    assert_int_equal(gnutls_priority_init(&parsed, text, NULL), 0);
    gnutls_priority_deinit(parsed);
}

static void the_end_of_a_certificate_is_known(void **state)
{
    (void)state;
    struct tls_options options = options_of(&server);
    struct tls *tls = tls_of(&options);
    int64_t left = tls_not_after(tls) - (int64_t)time(NULL);
    assert_true(left > 3000 && left <= 3600);
    tls_unref(tls);
}

static void forget(struct pem *pem)
{
    gnutls_x509_crt_deinit(pem->crt);
    gnutls_x509_privkey_deinit(pem->private);
}

int main(void)
{
    make(&ca, "ca", NULL, NULL);
    make(&other_ca, "other", NULL, NULL);
    make(&server, "agent", &ca, GNUTLS_KP_TLS_WWW_SERVER);
    make(&next, "agent", &ca, GNUTLS_KP_TLS_WWW_SERVER);
    make(&alice, "alice", &ca, GNUTLS_KP_TLS_WWW_CLIENT);
    make(&mallory, "alice", &other_ca, GNUTLS_KP_TLS_WWW_CLIENT);
    make(&as_server, "alice", &ca, GNUTLS_KP_TLS_WWW_SERVER);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_are_served_at_once_and_later_small_and_large),
        cmocka_unit_test(an_answer_may_come_later),
        cmocka_unit_test(other_keys_are_for_those_who_come_later),
        cmocka_unit_test(a_client_shows_what_is_asked_of_him),
        cmocka_unit_test(who_is_refused_is_told_why),
        cmocka_unit_test(a_client_must_have_one_of_the_names),
        cmocka_unit_test(one_who_shakes_no_hands_is_counted),
        cmocka_unit_test(versions_and_suites_are_those_that_were_asked_for),
        cmocka_unit_test(what_cannot_be_is_refused_and_says_why),
        cmocka_unit_test(names_become_priorities),
        cmocka_unit_test(the_end_of_a_certificate_is_known),
    };
    int status = RUN_TESTS(tests);
    struct pem *all[] = {&ca, &other_ca, &server, &next, &alice, &mallory, &as_server};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        forget(all[i]);
    return status;
}
