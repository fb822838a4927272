/* SPDX-License-Identifier: MIT
 *
 * 40-webfile.c - the web configuration file: what the exporter toolkit's files say means the same
 * here, and what cannot be used is told by line, key and what was expected.
 */
#include "agent/config/webfile.h"
#include "support/scratch.h"
#include "support/tap.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define HASH "$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG"
#define TLS  "tls_server_config:\n  cert_file: server.crt\n  key_file: /etc/keys/server.key\n"

static char directory[SCRATCH_SIZE], path[SCRATCH_SIZE + 16];

static void write_file(const char *text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static struct webfile *load(const char *text)
{
    char why[WEBFILE_WHY_SIZE] = "";
    struct webfile *file = NULL;
    write_file(text);
    if (webfile_load(path, &file, why) < 0)
        fail_msg("%s", why);
    return file;
}

static void an_empty_file_asks_for_nothing(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "", "# nothing\n", "{}\n",
        "tls_server_config:\nhttp_server_config:\nbasic_auth_users:\nrate_limit:\n",
        "http_server_config: {headers: }\nbasic_auth_users: {}\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct webfile *file = load(texts[i]);
        assert_false(file->has_tls);
        assert_int_equal(file->n_users, 0);
        assert_int_equal(file->rate.interval_ns, 0);
        for (size_t k = 0; k < HEADERS_CHOSEN; k++)
            assert_null(file->headers.at[k]);
        webfile_free(file);
    }
}

static void everything_that_the_toolkit_has_is_taken(void **state)
{
    (void)state;
    struct webfile *file = load("tls_server_config:\n"
                                "  cert_file: server.crt\n"
                                "  key_file: /etc/keys/server.key\n"
                                "  client_auth_type: RequireAndVerifyClientCert\n"
                                "  client_ca_file: ca/clients.crt\n"
                                "  client_allowed_sans: [prometheus, 10.0.0.1]\n"
                                "  min_version: TLS12\n"
                                "  max_version: TLS12\n"
                                "  cipher_suites:\n"
                                "    - TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256\n"
                                "    - TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384\n"
                                "  prefer_server_cipher_suites: false\n"
                                "  curve_preferences: [X25519, CurveP256]\n"
                                "http_server_config:\n"
                                "  http2: true\n"
                                "  headers:\n"
                                "    Content-Security-Policy: default-src 'self'\n"
                                "    X-Frame-Options: sameorigin\n"
                                "    X-Content-Type-Options: nosniff\n"
                                "    X-XSS-Protection: '1'\n"
                                "    Strict-Transport-Security: \n"
                                "basic_auth_users:\n"
                                "  alice: " HASH "\n"
                                "  bob.b@example.com: " HASH "\n"
                                "rate_limit:\n"
                                "  interval: 200ms\n"
                                "  burst: 20\n");
    char expected[128];
    assert_true(file->has_tls);
    snprintf(expected, sizeof expected, "%s/server.crt", directory);
    assert_string_equal(file->certificate.path, expected);
    assert_string_equal(file->key.path, "/etc/keys/server.key");
    snprintf(expected, sizeof expected, "%s/ca/clients.crt", directory);
    assert_string_equal(file->client_ca.path, expected);
    assert_int_equal(file->tls.client, TLS_CLIENT_VERIFIED);
    assert_int_equal(file->tls.n_sans, 2);
    assert_string_equal(file->tls.sans[1], "10.0.0.1");
    assert_int_equal(file->tls.least, TLS_1_2);
    assert_int_equal(file->tls.most, TLS_1_2);
    assert_int_equal(file->tls.n_suites, 2);
    assert_int_equal(file->tls.n_curves, 2);
    assert_false(file->tls.own_order);
    assert_string_equal(file->headers.at[HEADER_POLICY], "default-src 'self'");
    assert_string_equal(file->headers.at[HEADER_FRAME], "sameorigin");
    assert_string_equal(file->headers.at[HEADER_XSS], "1");
    assert_string_equal(file->headers.at[HEADER_TRANSPORT], "");
    assert_int_equal(file->n_users, 2);
    assert_string_equal(file->users[1].name, "bob.b@example.com");
    assert_string_equal(file->users[1].hash, HASH);
    assert_int_equal(file->rate.interval_ns, 200000000);
    assert_int_equal(file->rate.burst, 20);
    webfile_free(file);
}

static void defaults_are_those_of_the_toolkit(void **state)
{
    (void)state;
    struct webfile *file = load(TLS);
    assert_int_equal(file->tls.least, TLS_1_2);
    assert_int_equal(file->tls.most, TLS_1_3);
    assert_int_equal(file->tls.client, TLS_CLIENT_ANY);
    assert_true(file->tls.own_order);
    assert_null(file->client_ca.path);
    webfile_free(file);
    file = load("tls_server_config: {cert: PEM, key: PEM2, client_ca: PEM3,\n"
                "                    client_auth_type: RequireClientCert}\n");
    assert_string_equal(file->certificate.text, "PEM");
    assert_string_equal(file->client_ca.text, "PEM3");
    assert_null(file->certificate.path);
    assert_int_equal(file->tls.client, TLS_CLIENT_CERTIFIED);
    webfile_free(file);
}

/* A file, and what is said of it behind its path; NULL: something. */
static const struct {
    const char *text, *words;
} wrong[] = {
    {"tls_server_config: {min_version: TLS12}\n",
     ":1: tls_server_config: one of the keys cert_file and cert is missing"},
    {"tls_server_config:\n  cert_file: a\n",
     ":2: tls_server_config: one of the keys key_file and key is missing"},
    {TLS "  cert: PEM\n", ":4: tls_server_config.cert: expected one of it and the same with "
                          "_file, got \"PEM\""},
    {TLS "  client_ca_file: ''\n",
     ":4: tls_server_config.client_ca_file: expected the path of a file, got \"\""},
    {TLS "  min_version: TLS14\n", ":4: tls_server_config.min_version: expected TLS10, TLS11, "
                                   "TLS12 or TLS13, got \"TLS14\""},
    {TLS "  min_version: TLS13\n  max_version: TLS12\n",
     ":4: tls_server_config.min_version: it is above max_version"},
    {TLS "  client_auth_type: Maybe\n",
     ":4: tls_server_config.client_auth_type: expected NoClientCert, RequestClientCert, "
     "RequireAnyClientCert, VerifyClientCertIfGiven or RequireAndVerifyClientCert, got "
     "\"Maybe\""},
    {TLS "  client_auth_type: RequireAndVerifyClientCert\n",
     ":4: tls_server_config.client_auth_type: it verifies certificates, so client_ca_file or "
     "client_ca is needed"},
    {TLS "  client_ca_file: a\n",
     ":4: tls_server_config.client_ca_file: it is of no use while client_auth_type does not "
     "ask for a certificate"},
    {TLS "  client_allowed_sans: [a]\n",
     ":4: tls_server_config.client_allowed_sans: it needs client_auth_type "
     "RequireAndVerifyClientCert"},
    {TLS "  cipher_suites: [TLS_NULL]\n", ":4: tls_server_config.cipher_suites: there is no "
                                          "TLS_NULL, or none that Go calls secure"},
    {TLS "  curve_preferences: [P256]\n",
     ":4: tls_server_config.curve_preferences: P256 is none of X25519, CurveP256, CurveP384, "
     "CurveP521"},
    {TLS "  prefer_server_cipher_suites: maybe\n",
     ":4: tls_server_config.prefer_server_cipher_suites: expected true or false, got "
     "\"maybe\""},
    {TLS "  cert_flie: a\n",
     ":4: tls_server_config.cert_flie: unknown key; did you mean cert_file?"},
    {"http_server_config:\n  http2: 2\n",
     ":2: http_server_config.http2: expected true or false, got \"2\""},
    {"http_server_config:\n  headers:\n    X-Frame-Options: allow\n",
     ":3: http_server_config.headers.X-Frame-Options: expected deny or sameorigin, got "
     "\"allow\""},
    {"http_server_config: {headers: [a]}\n",
     ":1: http_server_config.headers: expected a mapping, got a list"},
    {"http_server_config: {headers: {X-Powered-By: smx}}\n",
     ":1: http_server_config.headers.X-Powered-By: this header cannot be configured; those "
     "are Content-Security-Policy, X-Frame-Options, X-Content-Type-Options, X-XSS-Protection "
     "and Strict-Transport-Security"},
    {"http_server_config: {headers: {Content-Security-Policy: \"a\\r\\nX: y\"}}\n", NULL},
    {"basic_auth_users:\n  alice: secret\n",
     ":2: basic_auth_users.alice: expected a hash by bcrypt, as htpasswd -nBC 10 makes it: "
     "$2y$10$..."},
    {"basic_auth_users:\n  alice:\n", NULL},
    {"basic_auth_users:\n  'a:b': " HASH "\n", NULL},
    {"basic_auth_users: [alice]\n",
     ":1: basic_auth_users: expected a mapping of users to hashes, got a list"},
    {"basic_auth_users:\n  alice: $2y$19$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG"
     "\n",
     ":2: basic_auth_users.alice: a hash of cost 19 takes too long to check, 18 is the most"},
    {"rate_limit: {interval: soon, burst: 1}\n", NULL},
    {"rate_limit: {interval: 1s}\n",
     ":1: rate_limit: needs burst, how many requests may come at once"},
    {"rate_limit: {interval: 1s, burst: 0}\n", NULL},
    {"basic_auth_user: {}\n", ":1: basic_auth_user: unknown key; did you mean "
                              "basic_auth_users?"},
    {"a: [\n", NULL},
};

static void what_is_wrong_is_told_where_it_is(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char why[WEBFILE_WHY_SIZE] = "", expected[WEBFILE_WHY_SIZE];
        struct webfile *file = NULL;
        write_file(wrong[i].text);
        if (webfile_load(path, &file, why) != -EINVAL)
            fail_msg("taken: %s", wrong[i].text);
        assert_null(file);
        assert_memory_equal(why, path, strlen(path));
        snprintf(expected, sizeof expected, "%s%s", path, wrong[i].words ? wrong[i].words : "");
        if (wrong[i].words)
            assert_string_equal(why, expected);
    }
}

static void one_user_too_many_is_told(void **state)
{
    (void)state;
    char why[WEBFILE_WHY_SIZE] = "", expected[WEBFILE_WHY_SIZE];
    struct webfile *webfile = NULL;
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fputs("basic_auth_users:\n", file);
    for (int i = 0; i < WEBFILE_USERS_MAX + 1; i++)
        fprintf(file, "  user%d: %s\n", i, HASH);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(webfile_load(path, &webfile, why), -EINVAL);
    snprintf(expected, sizeof expected,
             "%s:258: basic_auth_users.user256: one too many: 256 users are the most", path);
    assert_string_equal(why, expected);
}

/* Whoever may read the log need not know it. */
static void an_error_does_not_show_a_hash(void **state)
{
    (void)state;
    char why[WEBFILE_WHY_SIZE] = "";
    struct webfile *file = NULL;
    write_file("basic_auth_users:\n  alice: " HASH "x\n");
    assert_int_equal(webfile_load(path, &file, why), -EINVAL);
    assert_null(strstr(why, "X0h1gDs"));
}

static void a_file_that_is_not_there_is_told(void **state)
{
    (void)state;
    char why[WEBFILE_WHY_SIZE] = "";
    struct webfile *file = NULL;
    unlink(path);
    assert_int_equal(webfile_load(path, &file, why), -ENOENT);
    assert_memory_equal(why, path, strlen(path));
}

int main(void)
{
    if (scratch_make(directory) != 0)
        return 1;
    snprintf(path, sizeof path, "%s/web.yml", directory);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_file_asks_for_nothing),
        cmocka_unit_test(everything_that_the_toolkit_has_is_taken),
        cmocka_unit_test(defaults_are_those_of_the_toolkit),
        cmocka_unit_test(what_is_wrong_is_told_where_it_is),
        cmocka_unit_test(one_user_too_many_is_told),
        cmocka_unit_test(an_error_does_not_show_a_hash),
        cmocka_unit_test(a_file_that_is_not_there_is_told),
    };
    int status = RUN_TESTS(tests);
    scratch_remove(directory);
    return status;
}
