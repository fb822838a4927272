/* SPDX-License-Identifier: MIT
 *
 * series.h - what with.c needs to know of series.
 */
#ifndef SMX_SERIES_H
#define SMX_SERIES_H

#include "libshm/layout.h"

#include <smx/smx.h>
#include <stdbool.h>

/* The series of these values in a family of this type: found, or made and shown. NULL if the values
 * are none, or there is no room even for an overflow; that is counted. */
const struct smx__series *smx__series_make(smx_family handle, const char *const values[],
                                           enum smx_type type, bool is_double);

#endif
