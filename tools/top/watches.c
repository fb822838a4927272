/* SPDX-License-Identifier: MIT
 *
 * watches.c - the segments that smx-top shows, looked up again at every refresh: an application may
 * start after smx-top, or come back in another directory.
 */
#include "watches.h"
#include "common/target.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int watches_init(struct watches *watches, char *const *arguments, size_t n, const char *directory)
{
    *watches = (struct watches){.directory = directory, .arguments = n ? arguments : NULL, .n = n};
    watches->at = calloc(n + 1, sizeof *watches->at);
    return watches->at ? 0 : -ENOMEM;
}

static void update_named(struct watches *watches, size_t i)
{
    struct watch *watch = &watches->at[i];
    char path[PATH_MAX];
    struct smx_diag diag = {0};
    int result = target_find(watches->arguments[i], watches->directory, path, &diag);
    if (result == 0 && strcmp(path, watch->path) == 0) {
        watch_update(watch);
        return;
    }
    watch_fini(watch);
    *watch = (struct watch){.error = result, .diag = diag};
    if (result == 0) {
        strcpy(watch->path, path);
        watch_update(watch);
    }
}

/* The watch of a path, moved out of where it was; an empty one if there was none. */
static struct watch take(struct watches *watches, const char *path)
{
    for (size_t i = 0; i < watches->n; i++) {
        if (strcmp(watches->at[i].path, path) != 0)
            continue;
        struct watch found = watches->at[i];
        watches->at[i] = (struct watch){0};
        return found;
    }
    struct watch fresh = {0};
    strncpy(fresh.path, path, sizeof fresh.path - 1);
    return fresh;
}

static int update_found(struct watches *watches)
{
    struct target_list list;
    int result = target_list(watches->directory, &list);
    struct watch *at = result == 0 ? calloc(list.n + 1, sizeof *at) : NULL;
    if (at) {
        for (size_t i = 0; i < list.n; i++) {
            at[i] = take(watches, list.paths[i]);
            watch_update(&at[i]);
        }
        const struct watches old = *watches;
        watches->at = at;
        watches->n = list.n;
        for (size_t i = 0; i < old.n; i++)
            watch_fini(&old.at[i]);
        free(old.at);
    } else if (result == 0) {
        result = -ENOMEM;
    }
    target_list_fini(&list);
    return result;
}

int watches_update(struct watches *watches)
{
    if (!watches->arguments)
        return update_found(watches);
    for (size_t i = 0; i < watches->n; i++)
        update_named(watches, i);
    return 0;
}

size_t watches_failed(const struct watches *watches)
{
    size_t failed = 0;
    for (size_t i = 0; i < watches->n; i++)
        failed += watches->at[i].error != 0;
    return failed;
}

void watches_fini(struct watches *watches)
{
    for (size_t i = 0; i < watches->n; i++)
        watch_fini(&watches->at[i]);
    free(watches->at);
}
