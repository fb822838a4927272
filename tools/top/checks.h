/* SPDX-License-Identifier: MIT
 *
 * checks.h - the application's own checks, for a person who wants to know what is wrong.
 */
#ifndef SMX_TOP_CHECKS_H
#define SMX_TOP_CHECKS_H

#include <smx/reader.h>
#include <stdio.h>

/* Write the checks of a snapshot and what each amounts to, the worst first, and an empty line;
 * nothing where there are none, or where no process lives that could report.
 * Returns: 0 or -ENOMEM. */
int checks_write(FILE *out, const smx_reader *reader);

#endif
