/* SPDX-License-Identifier: MIT
 *
 * claims.h - who owns which name of the exposition: a hash table from names to families. A family
 * claims its own name and every name that its samples have in one of the formats, escaped in any
 * way.
 */
#ifndef SMX_AGENT_CLAIMS_H
#define SMX_AGENT_CLAIMS_H

#include "agent/gather/render.h"

#include <smx/reader.h>
#include <stdbool.h>
#include <stddef.h>

struct claim {
    struct smx_str name, suffix; /* the claimed name is the two in a row; no name: free */
    size_t family;
};

struct claims {
    struct claim *slots;
    size_t mask;
    bool created; /* samples _created have names, too */
};

/* How many ways there are to write the name of a family. */
size_t claims_spellings(const struct rendered *r);

/* A table for families of n spellings in all; created: samples of that name are exposed, too.
 * Returns: 0, -ENOMEM. */
int claims_init(struct claims *out, size_t n, bool created);
void claims_fini(struct claims *claims);

/* Whether anyone owns one of the names of this family. */
bool claims_clash(const struct claims *claims, const struct smx_family_info *f,
                  const struct rendered *r);

/* Claim the names of a family that does not clash. The strings are borrowed. */
void claims_add(struct claims *claims, const struct smx_family_info *f, const struct rendered *r,
                size_t family);

/* Who claimed a name; false if nobody. */
bool claims_owner(const struct claims *claims, struct smx_str name, size_t *family);

#endif
