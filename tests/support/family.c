/* SPDX-License-Identifier: MIT
 *
 * family.c - looks at one family after the other.
 */
#include "support/family.h"

#include <string.h>

const struct smx_family_info *family_named(const smx_reader *reader, const char *name)
{
    for (size_t i = 0; i < smx_reader_info(reader)->n_families; i++)
        if (strcmp(smx_reader_family(reader, i)->name.at, name) == 0)
            return smx_reader_family(reader, i);
    return NULL;
}
