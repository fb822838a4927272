/* SPDX-License-Identifier: MIT
 *
 * once.c - remembers what has been said.
 */
#include "agent/log/once.h"

#include <stdlib.h>
#include <string.h>

bool once_is_new(struct once *once, const char *text)
{
    if (once->n == ONCE_MAX)
        return false;
    for (size_t i = 0; i < once->n; i++)
        if (strcmp(once->said[i], text) == 0)
            return false;
    once->said[once->n] = strdup(text);
    if (!once->said[once->n])
        return false;
    once->n++;
    return true;
}

void once_fini(struct once *once)
{
    for (size_t i = 0; i < once->n; i++)
        free(once->said[i]);
    once->n = 0;
}
