/* SPDX-License-Identifier: MIT
 *
 * diag.c - fills the caller's struct smx_diag. Allocates nothing and prints nowhere. A name in it
 * may be anything, or be cut within a character; the text is one line of UTF-8 all the same.
 */
#include "libshm/diag.h"

#include "libshm/names.h"

#include <stdarg.h>
#include <stdio.h>

int smx__fail(struct smx_diag *diag, int code, const char *format, ...)
{
    if (diag) {
        va_list arguments;
        va_start(arguments, format);
        (void)vsnprintf(diag->text, sizeof diag->text, format, arguments);
        va_end(arguments);
        smx__make_line(diag->text);
        diag->code = code;
    }
    return code;
}
