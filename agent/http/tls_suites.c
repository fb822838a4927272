/* SPDX-License-Identifier: MIT
 *
 * tls_suites.c - what may be agreed on, from the names of Go's crypto/tls, which web configuration
 * files use, to a priority string of GnuTLS.
 *
 * Go takes suites, GnuTLS the parts that they consist of, and offers whatever these make together.
 * Where that would be more than was listed it is refused: nobody gets a suite that he left out.
 */
#include "agent/http/tls.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The suites of TLS 1.3 have no key exchange of their own. */
static const struct suite {
    const char *name, *exchange, *cipher, *mac;
    bool sound;
} suites[] = {
    {"TLS_AES_128_GCM_SHA256", NULL, "AES-128-GCM", "AEAD", true},
    {"TLS_AES_256_GCM_SHA384", NULL, "AES-256-GCM", "AEAD", true},
    {"TLS_CHACHA20_POLY1305_SHA256", NULL, "CHACHA20-POLY1305", "AEAD", true},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA", "AES-128-GCM", "AEAD", true},
    {"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA", "AES-128-GCM", "AEAD", true},
    {"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA", "AES-256-GCM", "AEAD", true},
    {"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA", "AES-256-GCM", "AEAD", true},
    {"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA", "CHACHA20-POLY1305", "AEAD",
     true},
    {"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA", "CHACHA20-POLY1305", "AEAD", true},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", "ECDHE-ECDSA", "AES-128-CBC", "SHA1", false},
    {"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "ECDHE-RSA", "AES-128-CBC", "SHA1", false},
    {"TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", "ECDHE-ECDSA", "AES-256-CBC", "SHA1", false},
    {"TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "ECDHE-RSA", "AES-256-CBC", "SHA1", false},
    {"TLS_RSA_WITH_AES_128_GCM_SHA256", "RSA", "AES-128-GCM", "AEAD", false},
    {"TLS_RSA_WITH_AES_256_GCM_SHA384", "RSA", "AES-256-GCM", "AEAD", false},
    {"TLS_RSA_WITH_AES_128_CBC_SHA", "RSA", "AES-128-CBC", "SHA1", false},
    {"TLS_RSA_WITH_AES_256_CBC_SHA", "RSA", "AES-256-CBC", "SHA1", false},
};
enum { SUITES = sizeof suites / sizeof suites[0] };

static const struct curve {
    const char *name, *group;
} curves[] = {{"X25519", "X25519"},
              {"CurveP256", "SECP256R1"},
              {"CurveP384", "SECP384R1"},
              {"CurveP521", "SECP521R1"}};
enum { CURVES = sizeof curves / sizeof curves[0] };

static const char *const versions[] = {"1.0", "1.1", "1.2", "1.3"};

/* What is agreed on at most, in the order of preference. */
struct offer {
    const struct suite *at[SUITES];
    size_t n;
};

static int refuse(char why[TLS_WHY_SIZE], const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static int refuse(char why[TLS_WHY_SIZE], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, TLS_WHY_SIZE, format, arguments);
    va_end(arguments);
    return -EINVAL;
}

static bool has(const struct offer *offer, const struct suite *suite)
{
    for (size_t i = 0; i < offer->n; i++)
        if (offer->at[i] == suite)
            return true;
    return false;
}

static void add(struct offer *offer, const struct suite *suite)
{
    if (!has(offer, suite))
        offer->at[offer->n++] = suite;
}

static const struct suite *find(const char *name)
{
    for (size_t i = 0; i < SUITES; i++)
        if (strcmp(suites[i].name, name) == 0)
            return &suites[i];
    return NULL;
}

/* A version before 1.2 has no suite but the old ones. */
static void offer_sound(const struct tls_options *options, struct offer *out)
{
    for (size_t i = 0; i < SUITES; i++) {
        bool old = options->least < TLS_1_2 && suites[i].exchange &&
                   strncmp(suites[i].exchange, "ECDHE", 5) == 0;
        if (suites[i].sound || old)
            add(out, &suites[i]);
    }
}

static bool exchanges(const struct offer *offer, const char *exchange)
{
    for (size_t i = 0; i < offer->n; i++)
        if (offer->at[i]->exchange && strcmp(offer->at[i]->exchange, exchange) == 0)
            return true;
    return false;
}

static bool encrypts(const struct offer *offer, const char *cipher)
{
    for (size_t i = 0; i < offer->n; i++)
        if (strcmp(offer->at[i]->cipher, cipher) == 0)
            return true;
    return false;
}

/* Those of TLS 1.3 come with their cipher: that is of their nature, and they are all sound. */
static int check_others(const struct offer *offer, char why[TLS_WHY_SIZE])
{
    for (size_t i = 0; i < SUITES; i++) {
        const struct suite *suite = &suites[i];
        if (suite->exchange && !has(offer, suite) && exchanges(offer, suite->exchange) &&
            encrypts(offer, suite->cipher))
            return refuse(why,
                          "cipher_suites: with these %s would be offered too; list it, or leave "
                          "out one that shares its parts",
                          suite->name);
    }
    return 0;
}

static int check_versions(const struct tls_options *options, const struct offer *offer,
                          char why[TLS_WHY_SIZE])
{
    bool old = false, new = false;
    for (size_t i = 0; i < offer->n; i++) {
        old = old || offer->at[i]->exchange;
        new = new || strcmp(offer->at[i]->mac, "AEAD") == 0;
    }
    if (options->most >= TLS_1_3 && !new)
        return refuse(why,
                      "cipher_suites: none has a cipher of TLS 1.3; add one, or set max_version "
                      "to TLS12");
    if (options->least < TLS_1_3 && !old)
        return refuse(why,
                      "cipher_suites: none is for TLS 1.2; add one, or set min_version to TLS13");
    return 0;
}

static int offer_listed(const struct tls_options *options, struct offer *out,
                        char why[TLS_WHY_SIZE])
{
    for (size_t i = 0; i < options->n_suites; i++) {
        const struct suite *suite = find(options->suites[i]);
        if (!suite)
            return refuse(why, "cipher_suites: there is no %.80s, or none that Go calls secure",
                          options->suites[i]);
        add(out, suite);
    }
    int rc = check_others(out, why);
    return rc == 0 ? check_versions(options, out, why) : rc;
}

/* Add a word, with a sign before it, unless it is there. */
static void put(char out[TLS_PRIORITIES_SIZE], const char *sign, const char *word)
{
    char item[64], padded[TLS_PRIORITIES_SIZE + 2];
    size_t length = strlen(out);
    snprintf(item, sizeof item, ":%s%s", sign, word);
    snprintf(padded, sizeof padded, "%s:", out);
    char *found = strstr(padded, item);
    if (found && found[strlen(item)] == ':')
        return;
    snprintf(out + length, TLS_PRIORITIES_SIZE - length, "%s", item);
}

static int put_curves(const struct tls_options *options, char out[TLS_PRIORITIES_SIZE],
                      char why[TLS_WHY_SIZE])
{
    for (size_t i = 0; i < CURVES && options->n_curves == 0; i++)
        put(out, "+GROUP-", curves[i].group);
    for (size_t i = 0; i < options->n_curves; i++) {
        size_t c = 0;
        while (c < CURVES && strcmp(curves[c].name, options->curves[i]) != 0)
            c++;
        if (c == CURVES)
            return refuse(why,
                          "curve_preferences: %.80s is none of X25519, CurveP256, CurveP384, "
                          "CurveP521",
                          options->curves[i]);
        put(out, "+GROUP-", curves[c].group);
    }
    return 0;
}

int tls_priorities(const struct tls_options *options, char out[TLS_PRIORITIES_SIZE],
                   char why[TLS_WHY_SIZE])
{
    struct offer offer = {.n = 0};
    if (options->least > options->most)
        return refuse(why, "min_version: it is above max_version");
    if (options->n_suites == 0)
        offer_sound(options, &offer);
    else if (offer_listed(options, &offer, why) < 0)
        return -EINVAL;
    strcpy(out, "NORMAL:-VERS-ALL:-CIPHER-ALL:-MAC-ALL:-KX-ALL:-GROUP-ALL");
    for (int v = (int)options->most; v >= (int)options->least; v--)
        put(out, "+VERS-TLS", versions[v]);
    for (size_t i = 0; i < offer.n; i++) {
        put(out, "+", offer.at[i]->cipher);
        put(out, "+", offer.at[i]->mac);
        if (offer.at[i]->exchange)
            put(out, "+", offer.at[i]->exchange);
    }
    if (options->own_order)
        put(out, "%", "SERVER_PRECEDENCE");
    return put_curves(options, out, why);
}
