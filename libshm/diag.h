/* SPDX-License-Identifier: MIT
 *
 * diag.h - how libshm's files say what went wrong.
 */
#ifndef SMX_DIAG_H
#define SMX_DIAG_H

#include <smx/smx.h>

/* Fill a diagnostic, if there is one. Returns code, so that `return smx__fail(…)` reads well. */
__attribute__((format(printf, 3, 4))) int smx__fail(struct smx_diag *diag, int code,
                                                    const char *format, ...);

#endif
