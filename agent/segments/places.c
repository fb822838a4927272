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

/* Directories that are not in use yet. */
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

static int make(struct places *out, const char *const paths[], size_t n, bool by_default)
{
    *out = (struct places){.list = calloc(n + 1, sizeof *out->list)};
    if (!out->list)
        return -ENOMEM;
    for (; out->n < n; out->n++) {
        struct directory *directory = &out->list[out->n];
        *directory = (struct directory){.path = strdup(paths[out->n]), .by_default = by_default};
        if (!directory->path) {
            drop(out->list, out->n);
            return -ENOMEM;
        }
    }
    return 0;
}

static int choose(struct places *out, const char *const directories[], size_t n)
{
    enum { MOST = 4 };
    char path[MOST][PATH_MAX];
    const char *paths[MOST];
    size_t found = 0;
    if (n > 0)
        return make(out, directories, n, false);
    for (; found < MOST && smx_directory((unsigned)found, path[found], sizeof path[found]) == 0;
         found++)
        paths[found] = path[found];
    return make(out, paths, found, true);
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

int segments_set(struct segments *segments, const char *const directories[], size_t n,
                 uint64_t owner_bytes)
{
    struct places places;
    if (choose(&places, directories, n) < 0)
        return -ENOMEM;
    keep_directories(segments, &places);
    keep_segments(segments, &places);
    drop(segments->directories, segments->n_directories);
    segments->directories = places.list;
    segments->n_directories = places.n;
    segments->options.owner_bytes = owner_bytes ? owner_bytes : DEFAULT_OWNER_BYTES;
    table_order(segments);
    return 0;
}
