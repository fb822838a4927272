/* SPDX-License-Identifier: MIT
 *
 * family.h - finds a family in what a reader shows.
 */
#ifndef SMX_TESTS_FAMILY_H
#define SMX_TESTS_FAMILY_H

#include <smx/reader.h>

/* The first family of that name; NULL if there is none. */
const struct smx_family_info *family_named(const smx_reader *reader, const char *name);

#endif
