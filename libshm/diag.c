/* SPDX-License-Identifier: MIT
 *
 * diag.c - fills the caller's struct smx_diag. Allocates nothing and prints nowhere.
 */
#include "libshm/diag.h"

#include <stdarg.h>
#include <stdio.h>

int smx__fail(struct smx_diag *diag, int code, const char *format, ...)
{
    if (diag) {
        va_list arguments;
        va_start(arguments, format);
        (void)vsnprintf(diag->text, sizeof diag->text, format, arguments);
        va_end(arguments);
        diag->code = code;
    }
    return code;
}
