/* SPDX-License-Identifier: MIT
 *
 * users.h - who may ask: names and bcrypt hashes, and the credentials that were found right before,
 * one for each user, as keyed digests. So a scraper's password is checked once, and no stranger
 * can push anything out. Computes no hash itself.
 */
#ifndef SMX_AGENT_USERS_H
#define SMX_AGENT_USERS_H

#include "agent/web/passwords.h"
#include "agent/web/secrets.h"

#include <stdbool.h>
#include <stddef.h>

struct users;

/* One of a list: a name of less than USERS_NAME_SIZE bytes, a hash that passwords_cost() knows. */
enum { USERS_NAME_SIZE = 128 };
struct users_entry {
    const char *name, *hash;
};

/* Make a table of n users. Who was found right by the one before it, or NULL, still is if his hash
 * is the same. Returns: 0, -ENOMEM, -EIO. */
int users_new(const struct users_entry list[], size_t n, const struct users *before,
              struct users **out);
void users_free(struct users *users);

/* Credentials that have to be checked. */
struct users_claim {
    struct secrets_digest digest; /* equal for equal ones */
    bool known;                   /* there is such a user; else the hash is another's */
    unsigned at_least;            /* so that it takes as long with whomever: passwords_check */
    char name[USERS_NAME_SIZE];
    char hash[PASSWORDS_HASH_SIZE];
    char password[PASSWORDS_SIZE];
};

enum users_verdict {
    USERS_NOBODY,  /* no credentials, or not such as one could check */
    USERS_RIGHT,   /* they were found right before */
    USERS_UNKNOWN, /* they have to be checked */
};

/* Judge a header Authorization, or NULL; the claim is filled in for USERS_UNKNOWN. */
enum users_verdict users_judge(struct users *users, const char *authorization,
                               struct users_claim *out);

/* What was claimed is right, if there still is such a user with that hash. */
void users_confirm(struct users *users, const struct users_claim *claim);

#endif
