/* SPDX-License-Identifier: MIT
 *
 * find.c - where a reader finds an application's file. The directories and the name are those of
 * directory.c; what opens the file decides whether it is a segment.
 */
#include <smx/reader.h>

#include "libshm/diag.h"
#include "libshm/segment/directory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int smx_find(const char *app, const char *instance, const char *directory, char *path, size_t size,
             struct smx_diag *diag)
{
    static const char *const between[2] = {"", " and "};
    struct smx__directories directories;
    char name[NAME_MAX + 1];
    int result = smx__file_name(app, instance, name, diag);
    if (result == 0)
        result = smx__directories(directory, &directories, diag);
    if (result != 0)
        return result;
    char looked_in[160] = "";
    for (unsigned i = 0; i < directories.n; i++) {
        char candidate[PATH_MAX];
        struct stat st;
        int n = snprintf(candidate, sizeof candidate, "%s/%s", directories.path[i], name);
        if (n < 0 || (size_t)n >= sizeof candidate || (size_t)n >= size)
            return smx__fail(diag, -ENAMETOOLONG, "%s/%s: path too long", directories.path[i],
                             name);
        if (lstat(candidate, &st) == 0) {
            memcpy(path, candidate, (size_t)n + 1);
            return 0;
        }
        size_t used = strlen(looked_in);
        (void)snprintf(looked_in + used, sizeof looked_in - used, "%s%s", between[i > 0],
                       directories.path[i]);
    }
    return smx__fail(diag, -ENOENT, "no file %s in %s", name, looked_in);
}

int smx_directory(unsigned number, char *path, size_t size)
{
    struct smx__directories directories;
    int result = smx__directories(NULL, &directories, NULL);
    if (result != 0)
        return result;
    if (number >= directories.n)
        return -ENOENT;
    size_t length = strlen(directories.path[number]);
    if (length >= size)
        return -ENAMETOOLONG;
    memcpy(path, directories.path[number], length + 1);
    return 0;
}
