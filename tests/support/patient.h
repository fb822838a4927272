/* SPDX-License-Identifier: MIT
 *
 * patient.h - smx_open() for programs that start together. It gives up after half a second of
 * others being at it, as smx.h says; and where the machine is busy, one of them may lose its CPU
 * for that long while all others wait for it.
 */
#ifndef SMX_TESTS_PATIENT_H
#define SMX_TESTS_PATIENT_H

#include <smx/smx.h>

/* smx_open(), again for as long as others are opening, up to PATIENCE_MS. */
int patient_open(const struct smx_options *options, smx_segment **out, struct smx_diag *diag);

#endif
