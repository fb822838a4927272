/* SPDX-License-Identifier: MIT
 *
 * value.h - values as people write them, on the command line, in the environment and in the
 * configuration file alike: each kind is read in one place. What is refused is told as what was
 * expected, as in "must be ..." or "expected ...".
 */
#ifndef SMX_AGENT_CONFIG_VALUE_H
#define SMX_AGENT_CONFIG_VALUE_H

#include <stdbool.h>
#include <stdint.h>

enum { VALUE_WHY_SIZE = 320 };

/* Say what was expected. Returns: -EINVAL. */
int value_refuse(char why[VALUE_WHY_SIZE], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* true, yes, on, 1; false, no, off, 0. Returns: 0, -EINVAL. */
int value_bool(const char *text, bool *out, char why[VALUE_WHY_SIZE]);

/* A whole number, least to most. Returns: 0, -EINVAL. */
int value_number(const char *text, uint64_t least, uint64_t most, uint64_t *out,
                 char why[VALUE_WHY_SIZE]);

/* A finite number. Returns: 0, -EINVAL. */
int value_real(const char *text, double *out, char why[VALUE_WHY_SIZE]);

/* A number of bytes above 0; K, M or G may follow, powers of 1024. Returns: 0, -EINVAL. */
int value_bytes(const char *text, uint64_t *out, char why[VALUE_WHY_SIZE]);

/* A whole number of ms, s, m or h, as Prometheus writes durations, or 0; most: as such a text.
 * Returns: 0, -EINVAL. */
int value_duration(const char *text, const char *most, uint64_t *ns, char why[VALUE_WHY_SIZE]);

#endif
