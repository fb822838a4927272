/* SPDX-License-Identifier: MIT
 *
 * page.c - a page in the text format, read again.
 */
#include "run/page.h"

#include <stdlib.h>
#include <string.h>

uint64_t page_total(const char *text, const char *prefix)
{
    uint64_t sum = 0;
    for (const char *line = text; line && *line;) {
        const char *end = strchr(line, '\n');
        const char *value = end ? memrchr(line, ' ', (size_t)(end - line)) : NULL;
        if (value && strncmp(line, prefix, strlen(prefix)) == 0)
            sum += strtoull(value, NULL, 10);
        line = end ? end + 1 : NULL;
    }
    return sum;
}
