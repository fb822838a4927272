/* SPDX-License-Identifier: MIT
 *
 * family.h - what series.c needs to know of families.
 */
#ifndef SMX_FAMILY_H
#define SMX_FAMILY_H

#include "libshm/segment/space.h"

/* The cells of one series of a family: allocated, zero. `hist` is that of a histogram, whose
 * descriptor need not be in the segment yet. Returns as smx__allocate. */
int smx__family_cells(struct smx_segment *segment, const struct smx__family *family,
                      const struct smx_hist *hist, uint64_t *at);

/* The descriptor of a histogram family. */
static inline const struct smx_hist *smx__family_hist(const struct smx_segment *segment,
                                                      const struct smx__family *family)
{
    return (const struct smx_hist *)smx__at(segment, family->hist);
}

#endif
