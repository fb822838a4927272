/* SPDX-License-Identifier: MIT
 *
 * filter.h - what the agent exposes at all, by its user's rules: families by name, series by the
 * value of a label. Patterns are POSIX extended regular expressions that match the whole of a name
 * or value, as Prometheus' do.
 */
#ifndef SMX_AGENT_FILTER_H
#define SMX_AGENT_FILTER_H

#include <smx/reader.h>
#include <stdbool.h>
#include <stddef.h>

enum filter_kind {
    FILTER_ALLOW_FAMILY, /* if there are such rules: only what matches one of them */
    FILTER_DENY_FAMILY,  /* nothing that matches */
    FILTER_ALLOW_LABEL,  /* name=pattern: of the series with this label only those that match */
    FILTER_DENY_LABEL,
};
enum { FILTER_KINDS = FILTER_DENY_LABEL + 1 };

struct filter_rule {
    enum filter_kind kind;
    const char *text;
};

enum { FILTER_WHY_SIZE = 160 };

/* Whether a rule can be understood. Returns: 0, or -EINVAL and says what is expected:
 * "a regular expression of ...". */
int filter_check(const struct filter_rule *rule, char why[FILTER_WHY_SIZE]);

struct filter;

/* Make a filter of rules that are understood. Returns: 0, -ENOMEM. */
int filter_new(const struct filter_rule rules[], size_t n, struct filter **out);
void filter_free(struct filter *filter);

/* Whether a family is exposed; a NULL filter lets everything through. */
bool filter_has_family(const struct filter *filter, struct smx_str name);

/* Whether series k of a family of this segment is: by all its labels, as they were registered. */
bool filter_has_series(const struct filter *filter, const struct smx_segment_info *segment,
                       const struct smx_family_info *family, size_t k);

/* The same of labels, whose values end in a NUL. */
bool filter_has_labels(const struct filter *filter, const struct smx_label labels[], size_t n);

#endif
