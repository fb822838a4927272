/* SPDX-License-Identifier: MIT
 *
 * filter.c - rules as compiled expressions. They are asked when names are rendered, not in each
 * scrape.
 */
#include "agent/gather/filter.h"

#include "agent/gather/label.h"

#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A longer pattern is a mistake. */
enum { PATTERN_MAX = 1024 };

struct rule {
    enum filter_kind kind;
    const char *label; /* its name begins here, */
    size_t length;     /* and is so long; of families 0 */
    regex_t pattern;
};

struct filter {
    size_t n, of_kind[FILTER_KINDS];
    struct rule rules[];
};

static bool is_of_label(enum filter_kind kind)
{
    return kind == FILTER_ALLOW_LABEL || kind == FILTER_DENY_LABEL;
}

/* Returns: 0, or what regcomp(3) says, REG_ESPACE without memory; why is then filled in. */
static int compile(const struct filter_rule *from, struct rule *out, char why[FILTER_WHY_SIZE])
{
    char anchored[PATTERN_MAX + 8];
    const char *pattern = from->text;
    *out = (struct rule){.kind = from->kind, .label = from->text};
    if (is_of_label(from->kind)) {
        out->length = strcspn(from->text, "=");
        pattern += out->length + 1;
        if (out->length == 0 || !from->text[out->length]) {
            snprintf(why, FILTER_WHY_SIZE, "LABEL=REGEX");
            return REG_BADPAT;
        }
    }
    if (strlen(pattern) > PATTERN_MAX) {
        snprintf(why, FILTER_WHY_SIZE, "a regular expression of %d bytes at most", PATTERN_MAX);
        return REG_BADPAT;
    }
    snprintf(anchored, sizeof anchored, "^(%s)$", pattern);
    int rc = regcomp(&out->pattern, anchored, REG_EXTENDED | REG_NOSUB);
    if (rc) {
        char what[FILTER_WHY_SIZE / 2];
        regerror(rc, &out->pattern, what, sizeof what);
        snprintf(why, FILTER_WHY_SIZE, "a POSIX extended regular expression: %s", what);
    }
    return rc;
}

int filter_check(const struct filter_rule *rule, char why[FILTER_WHY_SIZE])
{
    struct rule compiled;
    if (compile(rule, &compiled, why))
        return -EINVAL;
    regfree(&compiled.pattern);
    return 0;
}

int filter_new(const struct filter_rule rules[], size_t n, struct filter **out)
{
    char why[FILTER_WHY_SIZE];
    struct filter *filter = calloc(1, sizeof *filter + n * sizeof filter->rules[0]);
    if (!filter)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        if (compile(&rules[i], &filter->rules[i], why)) {
            filter_free(filter);
            return -ENOMEM;
        }
        filter->n++;
        filter->of_kind[rules[i].kind]++;
    }
    *out = filter;
    return 0;
}

void filter_free(struct filter *filter)
{
    for (size_t i = 0; filter && i < filter->n; i++)
        regfree(&filter->rules[i].pattern);
    free(filter);
}

static bool matches(const struct rule *rule, struct smx_str text)
{
    return regexec(&rule->pattern, text.at, 0, NULL, 0) == 0;
}

bool filter_has_family(const struct filter *filter, struct smx_str name)
{
    bool allowed = !filter || !filter->of_kind[FILTER_ALLOW_FAMILY];
    for (size_t i = 0; filter && i < filter->n; i++) {
        const struct rule *rule = &filter->rules[i];
        if (is_of_label(rule->kind) || !matches(rule, name))
            continue;
        if (rule->kind == FILTER_DENY_FAMILY)
            return false;
        allowed = true;
    }
    return allowed;
}

static bool has_label(const struct filter *filter, struct smx_str name, struct smx_str value)
{
    bool asked = false, allowed = false;
    for (size_t i = 0; filter && i < filter->n; i++) {
        const struct rule *rule = &filter->rules[i];
        if (rule->length != name.length || memcmp(rule->label, name.at, name.length) != 0)
            continue;
        bool match = matches(rule, value);
        if (rule->kind == FILTER_DENY_LABEL && match)
            return false;
        asked = asked || rule->kind == FILTER_ALLOW_LABEL;
        allowed = allowed || (rule->kind == FILTER_ALLOW_LABEL && match);
    }
    return !asked || allowed;
}

bool filter_has_series(const struct filter *filter, const struct smx_segment_info *segment,
                       const struct smx_family_info *family, size_t k)
{
    const struct smx_series_info *series = &family->series[k];
    if (!filter)
        return true;
    bool shown = has_label(filter, LABEL_STR("app"), segment->app);
    if (segment->instance.length)
        shown = shown && has_label(filter, LABEL_STR("app_instance"), segment->instance);
    for (size_t i = 0; i < segment->n_labels && shown; i++)
        shown = has_label(filter, segment->labels[i].name, segment->labels[i].value);
    for (size_t i = 0; i < family->n_labels && shown && !series->overflow; i++)
        shown = has_label(filter, family->labels[i], series->values[i]);
    return shown;
}

bool filter_has_labels(const struct filter *filter, const struct smx_label labels[], size_t n)
{
    bool shown = true;
    for (size_t i = 0; i < n && shown; i++)
        shown = has_label(filter, labels[i].name, labels[i].value);
    return shown;
}
