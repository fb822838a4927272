/* SPDX-License-Identifier: MIT
 *
 * scratch.c - a private directory on tmpfs for one test, removed with what lies in it.
 */
#include "support/scratch.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int scratch_make(char path[SCRATCH_SIZE])
{
    strcpy(path, "/dev/shm/smx-test-XXXXXX");
    return mkdtemp(path) ? 0 : -1;
}

void scratch_remove(const char *path)
{
    DIR *dir = opendir(path);
    if (!dir)
        return;
    for (struct dirent *entry; (entry = readdir(dir));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlinkat(dirfd(dir), entry->d_name, 0);
    closedir(dir);
    rmdir(path);
}
