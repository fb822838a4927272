/* SPDX-License-Identifier: MIT
 *
 * series.h - what with.c needs to know of series.
 */
#ifndef SMX_SERIES_H
#define SMX_SERIES_H

#include "libshm/layout.h"

#include <smx/smx.h>
#include <stdbool.h>

/* The cell of the series of these values in a family of this type, which is found, or made and
 * shown. NULL if the values are none, there is no room even for an overflow, or the segment is
 * damaged; that is counted. */
void *smx__series_make(smx_family handle, const char *const values[], enum smx_type type,
                       bool is_double);

#endif
