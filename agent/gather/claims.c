/* SPDX-License-Identifier: MIT
 *
 * claims.c - names of the exposition and their owners. OpenMetrics names the family of a counter
 * x_total "x", so the counter claims both; so does an info x_info. Where _created is not exposed it
 * is not claimed: a counter x_total and a gauge x_created go together then.
 */
#include "agent/gather/claims.h"

#include "agent/gather/label.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Names of one spelling, and of all. */
enum { SPELLING_MAX = 5, NAMES_MAX = SPELLING_MAX * ESCAPING_COUNT };

/* One spelling's names as pairs of name and suffix. Returns how many. */
static size_t names_of_spelling(struct smx_str name, enum smx_type type, bool created,
                                struct claim *out)
{
    static const struct smx_str suffixes[] = {{"_bucket", 7}, {"_sum", 4}, {"_count", 6}};
    struct smx_str base = name;
    size_t n = 0;
    out[n++] = (struct claim){.name = name, .suffix = {"", 0}};
    if (type == SMX_COUNTER && label_is_total(name))
        base.length -= strlen("_total");
    if (type == SMX_INFO && label_ends(name, LABEL_STR("_info")))
        base.length -= strlen("_info");
    if (base.length < name.length) {
        out[n++] = (struct claim){.name = base, .suffix = {"", 0}};
    }
    if (created && (type == SMX_HISTOGRAM || (type == SMX_COUNTER && base.length < name.length)))
        out[n++] = (struct claim){.name = base, .suffix = LABEL_STR("_created")};
    for (size_t i = 0; type == SMX_HISTOGRAM && i < 3; i++)
        out[n++] = (struct claim){.name = name, .suffix = suffixes[i]};
    return n;
}

size_t claims_spellings(const struct rendered *r)
{
    return r->as ? ESCAPING_COUNT : 1;
}

static size_t names_of(const struct claims *claims, const struct smx_family_info *f,
                       const struct rendered *r, struct claim out[NAMES_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < claims_spellings(r); i++)
        n += names_of_spelling(r->as ? r->as[i].name : f->name, f->type, claims->created, out + n);
    return n;
}

static uint64_t hash(uint64_t h, struct smx_str text)
{
    for (size_t i = 0; i < text.length; i++)
        h = (h ^ (unsigned char)text.at[i]) * UINT64_C(0x100000001b3);
    return h;
}

static char char_at(const struct claim *c, size_t i)
{
    return i < c->name.length ? c->name.at[i] : c->suffix.at[i - c->name.length];
}

static bool same_name(const struct claim *a, const struct claim *b)
{
    size_t length = a->name.length + a->suffix.length;
    if (length != b->name.length + b->suffix.length)
        return false;
    for (size_t i = 0; i < length; i++)
        if (char_at(a, i) != char_at(b, i))
            return false;
    return true;
}

/* The slot that holds the name, or the free one where it belongs. The table is never full: it has
 * twice the slots of all names. */
static struct claim *find(const struct claims *claims, const struct claim *wanted)
{
    uint64_t h = hash(hash(UINT64_C(0xcbf29ce484222325), wanted->name), wanted->suffix);
    size_t i = (size_t)(h ^ h >> 29) & claims->mask;
    while (claims->slots[i].name.at && !same_name(&claims->slots[i], wanted))
        i = (i + 1) & claims->mask;
    return &claims->slots[i];
}

int claims_init(struct claims *out, size_t n, bool created)
{
    out->created = created;
    size_t size = 16;
    while (size < n * SPELLING_MAX * 2)
        size *= 2;
    out->slots = calloc(size, sizeof *out->slots);
    out->mask = size - 1;
    return out->slots ? 0 : -ENOMEM;
}

void claims_fini(struct claims *claims)
{
    free(claims->slots);
    *claims = (struct claims){0};
}

bool claims_clash(const struct claims *claims, const struct smx_family_info *f,
                  const struct rendered *r)
{
    struct claim names[NAMES_MAX];
    size_t n = names_of(claims, f, r, names);
    for (size_t i = 0; i < n; i++)
        if (find(claims, &names[i])->name.at)
            return true;
    return false;
}

void claims_add(struct claims *claims, const struct smx_family_info *f, const struct rendered *r,
                size_t family)
{
    struct claim names[NAMES_MAX];
    size_t n = names_of(claims, f, r, names);
    for (size_t i = 0; i < n; i++) {
        names[i].family = family;
        *find(claims, &names[i]) = names[i];
    }
}

bool claims_owner(const struct claims *claims, struct smx_str name, size_t *family)
{
    const struct claim *found = find(claims, &(struct claim){.name = name, .suffix = {"", 0}});
    if (!found->name.at)
        return false;
    *family = found->family;
    return true;
}
