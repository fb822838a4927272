/* SPDX-License-Identifier: MIT
 *
 * target.c - the files that an argument, or no argument, stands for.
 */
#include "common/target.h"

#include <dirent.h>
#include <errno.h>
#include <smx/reader.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int refuse(struct smx_diag *diag, int code, const char *argument, const char *why)
{
    diag->code = code;
    snprintf(diag->text, sizeof diag->text, "%.100s: %s", argument, why);
    return code;
}

int target_find(const char *argument, const char *directory, char path[PATH_MAX],
                struct smx_diag *diag)
{
    size_t length = strlen(argument);
    if (length >= PATH_MAX)
        return refuse(diag, -ENAMETOOLONG, argument, "too long");
    if (strchr(argument, '/')) {
        memcpy(path, argument, length + 1);
        return 0;
    }
    char app[PATH_MAX];
    memcpy(app, argument, length + 1);
    char *instance = strchr(app, '@');
    if (instance)
        *instance++ = '\0';
    int result = smx_find(app, instance, directory, path, PATH_MAX, diag);
    if (result < 0 && access(argument, F_OK) == 0)
        return refuse(diag, result, argument, "no such application; for the file write it with ./");
    return result;
}

static int add_path(struct target_list *list, const char *directory, const char *name)
{
    char **paths = reallocarray(list->paths, list->n + 1, sizeof *paths);
    if (!paths)
        return -ENOMEM;
    list->paths = paths;
    if (asprintf(&paths[list->n], "%s/%s", directory, name) < 0)
        return -ENOMEM;
    list->n++;
    return 0;
}

/* Names with a leading dot are segments that are still being made. */
static int is_segment(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);
    return entry->d_name[0] != '.' && length > 4 && strcmp(entry->d_name + length - 4, ".smx") == 0;
}

static int add_directory(struct target_list *list, const char *directory)
{
    struct dirent **entries;
    int n = scandir(directory, &entries, is_segment, alphasort);
    if (n < 0)
        return -errno;
    int result = 0;
    for (int i = 0; i < n; i++) {
        if (result == 0)
            result = add_path(list, directory, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return result;
}

int target_list(const char *directory, struct target_list *list)
{
    *list = (struct target_list){0};
    if (directory && *directory)
        return add_directory(list, directory);
    char path[PATH_MAX];
    for (unsigned i = 0; smx_directory(i, path, sizeof path) == 0; i++) {
        int result = add_directory(list, path);
        /* The defaults need not exist; a directory that somebody named should. */
        if (result < 0 && (result != -ENOENT || secure_getenv("SMX_DIR")))
            return result;
    }
    return 0;
}

void target_list_fini(struct target_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->paths[i]);
    free(list->paths);
}
