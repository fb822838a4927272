/* SPDX-License-Identifier: MIT
 *
 * users.c - the header Authorization against a table of users. In the loop's thread.
 */
#include "agent/web/users.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct user {
    char *name;
    char hash[PASSWORDS_HASH_SIZE];
    bool verified; /* with those that have the digest */
    struct secrets_digest digest;
};

struct users {
    struct secrets_key key;
    unsigned cost; /* the greatest of their hashes */
    size_t n;
    struct user at[];
};

static struct user *find(struct users *users, const char *name)
{
    for (size_t i = 0; i < users->n; i++)
        if (strcmp(users->at[i].name, name) == 0)
            return &users->at[i];
    return NULL;
}

static void inherit(struct users *users, const struct users *before)
{
    users->key = before->key;
    for (size_t i = 0; i < before->n; i++) {
        const struct user *old = &before->at[i];
        struct user *user = find(users, old->name);
        if (user && old->verified && strcmp(user->hash, old->hash) == 0) {
            user->verified = true;
            user->digest = old->digest;
        }
    }
}

static int add(struct users *users, const struct users_entry *entry)
{
    struct user *user = &users->at[users->n];
    user->name = strdup(entry->name);
    if (!user->name)
        return -ENOMEM;
    strncpy(user->hash, entry->hash, sizeof user->hash - 1);
    unsigned cost = passwords_cost(entry->hash);
    users->cost = cost > users->cost ? cost : users->cost;
    users->n++;
    return 0;
}

int users_new(const struct users_entry list[], size_t n, const struct users *before,
              struct users **out)
{
    struct users *users = calloc(1, sizeof *users + n * sizeof users->at[0]);
    int rc = users ? secrets_key_new(&users->key) : -ENOMEM;
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = add(users, &list[i]);
    if (rc < 0) {
        users_free(users);
        return rc;
    }
    if (before)
        inherit(users, before);
    *out = users;
    return 0;
}

void users_free(struct users *users)
{
    if (!users)
        return;
    for (size_t i = 0; i < users->n; i++)
        free(users->at[i].name);
    secrets_forget(users, sizeof *users + users->n * sizeof users->at[0]);
    free(users);
}

/* "Basic" and name:password in base64. Returns where the password begins, NULL if it is no such. */
static char *take_apart(const char *authorization, char text[PASSWORDS_SIZE])
{
    static const char scheme[] = "Basic ";
    const size_t n = sizeof scheme - 1;
    if (!authorization || strncasecmp(authorization, scheme, n) != 0)
        return NULL;
    authorization += n + strspn(authorization + n, " ");
    if (secrets_decode(authorization, text, PASSWORDS_SIZE) < 0)
        return NULL;
    char *colon = strchr(text, ':');
    if (!colon)
        return NULL;
    *colon = 0;
    return colon + 1;
}

/* The name ends in a NUL, which separates it from the password. */
static int digest(const struct users *users, const char *text, const char *password,
                  struct secrets_digest *out)
{
    size_t length = (size_t)(password - text) + strlen(password);
    return secrets_digest(&users->key, text, length, out);
}

static enum users_verdict judge(struct users *users, const char *text, const char *password,
                                struct users_claim *out)
{
    const struct user *user = find(users, text);
    if (users->n == 0 || strlen(text) >= sizeof out->name ||
        digest(users, text, password, &out->digest) < 0)
        return USERS_NOBODY;
    if (user && user->verified && secrets_equal(&user->digest, &out->digest))
        return USERS_RIGHT;
    out->known = user != NULL;
    out->at_least = users->cost;
    memcpy(out->hash, user ? user->hash : users->at[0].hash, sizeof out->hash);
    strcpy(out->name, text);
    strcpy(out->password, password);
    return USERS_UNKNOWN;
}

enum users_verdict users_judge(struct users *users, const char *authorization,
                               struct users_claim *out)
{
    char text[PASSWORDS_SIZE];
    const char *password = take_apart(authorization, text);
    enum users_verdict verdict = password ? judge(users, text, password, out) : USERS_NOBODY;
    secrets_forget(text, sizeof text);
    return verdict;
}

void users_confirm(struct users *users, const struct users_claim *claim)
{
    struct user *user = find(users, claim->name);
    if (!user || strcmp(user->hash, claim->hash) != 0)
        return;
    user->digest = claim->digest;
    user->verified = true;
}
