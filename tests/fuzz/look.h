/* SPDX-License-Identifier: MIT
 *
 * look.h - what the harnesses that read a segment ask of the reader at every look: that an error
 * has a text and leaves the snapshot alone, that a snapshot keeps the promises of <smx/reader.h>,
 * and that neither takes more memory than the file justifies.
 */
#ifndef SMX_FUZZ_LOOK_H
#define SMX_FUZZ_LOOK_H

#include "fuzz/steps.h"

#include <smx/reader.h>

/* Open the reader unless it is, and update it. False if there is nothing to see. */
bool look(const struct steps *steps, smx_reader **reader);

#endif
