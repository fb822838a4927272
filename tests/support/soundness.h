/* SPDX-License-Identifier: MIT
 *
 * soundness.h - walks everything a reader returns, as a program that trusts it would.
 */
#ifndef SMX_TESTS_SOUNDNESS_H
#define SMX_TESTS_SOUNDNESS_H

#include <smx/reader.h>

/* What is wrong with a snapshot, or NULL. Touches every byte that the interface promises, so that a
 * sanitizer sees a pointer that leads nowhere. */
const char *soundness_fault(const smx_reader *reader);

#endif
