/* SPDX-License-Identifier: MIT
 *
 * header.h - what every sound header obeys. The byte table is layout.h's.
 */
#ifndef SMX_HEADER_H
#define SMX_HEADER_H

#include "libshm/layout.h"

#include <stdbool.h>

/* What a sound segment never exceeds. */
enum { SMX__MAX_ROWS = 4096, SMX__MAX_STRIPES = 64 };

/* Whether a header is sound in a way that is not ours: of another major version, or of a newer
 * minor one whose structures have other sizes. */
bool smx__header_is_foreign(const struct smx__header *header);

/* The rule that a header of this major version and byte order breaks, as the end of a sentence;
 * NULL if it is sound. */
const char *smx__header_broken_rule(const struct smx__header *header);

#endif
