/* SPDX-License-Identifier: MIT
 *
 * plain.h - strings of a segment for people's eyes. A segment is written by somebody else: its
 * strings must not be able to move the cursor, forge a line or turn the text around.
 */
#ifndef SMX_TOOLS_PLAIN_H
#define SMX_TOOLS_PLAIN_H

#include <smx/reader.h>
#include <stdio.h>

/* Write bytes with control characters, bidirectional overrides and what is not UTF-8 escaped as
 * \n, \t, \xNN or \u{NNNN}. */
void plain_write(FILE *out, const char *bytes, size_t length);
void plain_text(FILE *out, const char *text);

/* The same in double quotes, with quotes and backslashes escaped too. */
void plain_quoted(FILE *out, struct smx_str string);

/* Write one line to stderr: the program's name, the text of a printf, what is left of `detail`. */
void plain_error(const char *detail, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
