/* SPDX-License-Identifier: MIT
 *
 * series.h - a family and its series in words: types, modes, label sets.
 */
#ifndef SMX_TOOLS_SERIES_H
#define SMX_TOOLS_SERIES_H

#include <smx/reader.h>
#include <stdio.h>

/* The label and value that mark a family's overflow series in every exposition. */
#define SERIES_OVERFLOW_LABEL "otel_metric_overflow"
#define SERIES_OVERFLOW_VALUE "true"

const char *series_type_name(enum smx_type type);
const char *series_mode_name(enum smx_mode mode);

/* True for a gauge, an info or a stateset that has a value for each process. */
bool series_is_each(const struct smx_family_info *family);

/* False for an overflow series that nothing has gone to: every family with labels has one. */
bool series_is_used(const struct smx_series_info *series);

/* Write {method="GET"}, nothing for a series without labels. each, if not NULL, adds the label
 * `worker`. */
void series_write_labels(FILE *out, const struct smx_family_info *family,
                         const struct smx_series_info *series, const struct smx_each *each);

/* Write a value, exactly, but a histogram's: of a stateset the states that are on, or "none". "-"
 * if no live process has written it. each must be given where there is a value for each process. */
void series_write_value(FILE *out, const struct smx_family_info *family,
                        const struct smx_series_info *series, const struct smx_each *each);

#endif
