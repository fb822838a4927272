/* SPDX-License-Identifier: MIT
 *
 * secrets.c - GnuTLS, as far as passwords need it.
 */
#include "agent/web/secrets.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <string.h>

int secrets_key_new(struct secrets_key *out)
{
    return gnutls_rnd(GNUTLS_RND_KEY, out->bytes, sizeof out->bytes) < 0 ? -EIO : 0;
}

int secrets_digest(const struct secrets_key *key, const void *bytes, size_t length,
                   struct secrets_digest *out)
{
    int code = gnutls_hmac_fast(GNUTLS_MAC_SHA256, key->bytes, sizeof key->bytes, bytes, length,
                                out->bytes);
    return code < 0 ? -ENOMEM : 0;
}

bool secrets_equal(const struct secrets_digest *a, const struct secrets_digest *b)
{
    return gnutls_memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

int secrets_decode(const char *base64, char *out, size_t size)
{
    gnutls_datum_t coded = {(unsigned char *)base64, (unsigned)strlen(base64)}, bytes;
    if (gnutls_base64_decode2(&coded, &bytes) < 0)
        return -EINVAL;
    int rc = -EINVAL;
    if (bytes.size < size && !memchr(bytes.data, 0, bytes.size)) {
        memcpy(out, bytes.data, bytes.size);
        out[bytes.size] = 0;
        rc = (int)bytes.size;
    }
    gnutls_memset(bytes.data, 0, bytes.size);
    gnutls_free(bytes.data);
    return rc;
}

void secrets_forget(void *bytes, size_t length)
{
    gnutls_memset(bytes, 0, length);
}
