/* SPDX-License-Identifier: MIT
 *
 * checks.h - the application's own checks, in the two forms of a dump.
 */
#ifndef SMX_DUMP_CHECKS_H
#define SMX_DUMP_CHECKS_H

#include "json.h"

#include <smx/reader.h>
#include <stdio.h>

/* Write one check as text. Returns: 0 or -ENOMEM. */
int checks_write(FILE *out, const struct smx_check_info *check);

/* All of them as a JSON array; NULL without memory, which json.h remembers. */
json_t *checks_array(struct json *json, const smx_reader *reader);

#endif
