/* SPDX-License-Identifier: MIT
 *
 * secrets.h - what passwords need of cryptography, but for bcrypt: base64, a keyed digest, a
 * comparison that takes its time. Knows GnuTLS.
 */
#ifndef SMX_AGENT_SECRETS_H
#define SMX_AGENT_SECRETS_H

#include <stdbool.h>
#include <stddef.h>

enum { SECRETS_KEY_SIZE = 32, SECRETS_DIGEST_SIZE = 32 };

struct secrets_key {
    unsigned char bytes[SECRETS_KEY_SIZE];
};

struct secrets_digest {
    unsigned char bytes[SECRETS_DIGEST_SIZE];
};

/* Make a key that nobody else has. Returns: 0, -EIO. */
int secrets_key_new(struct secrets_key *out);

/* HMAC-SHA256. Returns: 0, -ENOMEM. */
int secrets_digest(const struct secrets_key *key, const void *bytes, size_t length,
                   struct secrets_digest *out);
bool secrets_equal(const struct secrets_digest *a, const struct secrets_digest *b);

/* Decode base64 into a text, which may hold no NUL. Returns: its length, -EINVAL. */
int secrets_decode(const char *base64, char *out, size_t size);

/* Overwrite what is not needed any more. */
void secrets_forget(void *bytes, size_t length);

#endif
