/* SPDX-License-Identifier: MIT
 *
 * places.c - which directories are looked into, and what becomes of the table when these are
 * others: what lies in those that stay is not touched.
 */
#include "agent/segments/table.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_OWNER_BYTES (UINT64_C(1) << 30)

struct places {
    struct directory *list;
    size_t n;
};

static void drop(struct directory *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(list[i].path);
    free(list);
}

void places_free(struct places *places)
{
    if (!places)
        return;
    drop(places->list, places->n);
    free(places);
}

static int make(const char *const paths[], size_t n, bool by_default, struct places **out)
{
    struct places *p = calloc(1, sizeof *p);
    if (p)
        p->list = calloc(n + 1, sizeof *p->list);
    for (; p && p->list && p->n < n; p->n++) {
        p->list[p->n] = (struct directory){.path = strdup(paths[p->n]), .by_default = by_default};
        if (!p->list[p->n].path)
            break;
    }
    if (!p || !p->list || p->n < n) {
        places_free(p);
        return -ENOMEM;
    }
    *out = p;
    return 0;
}

int places_new(const char *const directories[], size_t n, struct places **out)
{
    enum { MOST = 4 };
    char path[MOST][PATH_MAX];
    const char *paths[MOST];
    size_t found = 0;
    if (n > 0)
        return make(directories, n, false, out);
    for (; found < MOST && smx_directory((unsigned)found, path[found], sizeof path[found]) == 0;
         found++)
        paths[found] = path[found];
    return make(paths, found, true, out);
}

const struct directory *places_list(const struct places *places, size_t *n)
{
    *n = places->n;
    return places->list;
}

static struct directory *find(const struct places *places, const struct directory *like)
{
    for (size_t i = 0; i < places->n; i++)
        if (strcmp(places->list[i].path, like->path) == 0 &&
            places->list[i].by_default == like->by_default)
            return &places->list[i];
    return NULL;
}

/* What was known of a directory that stays, but for its path, which either has. */
static void keep_directories(struct segments *segments, const struct places *places)
{
    for (size_t i = 0; i < segments->n_directories; i++) {
        struct directory *old = &segments->directories[i], *kept = find(places, old);
        if (!kept)
            continue;
        char *path = kept->path;
        *kept = *old;
        kept->path = path;
    }
}

static void keep_segments(struct segments *segments, const struct places *places)
{
    size_t kept = 0;
    for (size_t i = 0; i < segments->n; i++) {
        struct segment *segment = &segments->list[i];
        segment->directory = find(places, segment->directory);
        if (segment->directory)
            segments->list[kept++] = *segment;
        else
            table_remove(segments, segment, "its directory is no longer looked into");
    }
    segments->n = kept;
}

void segments_set(struct segments *segments, struct places *places, uint64_t owner_bytes)
{
    keep_directories(segments, places);
    keep_segments(segments, places);
    drop(segments->directories, segments->n_directories);
    segments->directories = places->list;
    segments->n_directories = places->n;
    segments->options.owner_bytes = owner_bytes ? owner_bytes : DEFAULT_OWNER_BYTES;
    free(places);
    table_order(segments);
}
