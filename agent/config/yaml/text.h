/* SPDX-License-Identifier: MIT
 *
 * text.h - the bytes of a configuration file.
 */
#ifndef SMX_AGENT_CONFIG_YAML_TEXT_H
#define SMX_AGENT_CONFIG_YAML_TEXT_H

#include <stddef.h>

/* A larger file is a mistake. */
enum { TEXT_MAX = 1 << 20, TEXT_WHY_SIZE = 128 };

/* Read a regular file as a whole; a NUL stands behind it. Returns: 0, or a negative errno and says
 * why: "is a directory". Owns: the caller frees *text. */
int text_read(const char *path, char **text, size_t *length, char why[TEXT_WHY_SIZE]);

#endif
