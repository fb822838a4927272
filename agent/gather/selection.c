/* SPDX-License-Identifier: MIT
 *
 * selection.c - two sorted lists of words. What a user's word for a family may mean is written down
 * when the query is read, so that a family is found, or not, in a few steps.
 */
#include "agent/gather/selection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* With any type, or with this one. */
enum { ANY_TYPE = -1 };

struct word {
    char *at;
    int type;
};

struct words {
    struct word *at;
    size_t n;
};

struct selection {
    struct words names, apps;
};

static int compare_text(const void *left, const void *right)
{
    return strcmp(((const struct word *)left)->at, ((const struct word *)right)->at);
}

static int compare(const void *left, const void *right)
{
    const struct word *a = left, *b = right;
    int order = compare_text(left, right);
    return order ? order : (a->type > b->type) - (a->type < b->type);
}

static int add(struct words *words, const char *at, size_t length, const char *suffix, int type)
{
    struct word *grown = realloc(words->at, (words->n + 1) * sizeof *grown);
    if (!grown)
        return -ENOMEM;
    words->at = grown;
    char *text = malloc(length + strlen(suffix) + 1);
    if (!text)
        return -ENOMEM;
    memcpy(text, at, length);
    strcpy(text + length, suffix);
    grown[words->n++] = (struct word){text, type};
    return 0;
}

/* OpenMetrics has a counter's name without _total and an info's without _info; histograms have
 * three kinds of samples. */
static int add_name(struct words *words, const char *name)
{
    static const char *const suffixes[] = {"_bucket", "_sum", "_count"};
    size_t length = strlen(name);
    int rc = add(words, name, length, "", ANY_TYPE);
    if (rc == 0)
        rc = add(words, name, length, "_total", SMX_COUNTER);
    if (rc == 0)
        rc = add(words, name, length, "_info", SMX_INFO);
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0] && rc == 0; i++) {
        size_t n = strlen(suffixes[i]);
        if (length > n && strcmp(name + length - n, suffixes[i]) == 0)
            rc = add(words, name, length - n, "", SMX_HISTOGRAM);
    }
    return rc;
}

static void finish(struct words *words)
{
    size_t kept = 0;
    if (words->n)
        qsort(words->at, words->n, sizeof *words->at, compare);
    for (size_t i = 0; i < words->n; i++) {
        if (kept && compare(&words->at[kept - 1], &words->at[i]) == 0)
            free(words->at[i].at);
        else
            words->at[kept++] = words->at[i];
    }
    words->n = kept;
}

int selection_new(const struct http_parameter parameters[], size_t n, struct selection **out)
{
    struct selection *s = calloc(1, sizeof *s);
    int rc = s ? 0 : -ENOMEM;
    for (size_t i = 0; i < n && rc == 0; i++) {
        const char *value = parameters[i].value ? parameters[i].value : "";
        if (strcmp(parameters[i].name, "name[]") == 0)
            rc = add_name(&s->names, value);
        else if (strcmp(parameters[i].name, "app") == 0)
            rc = add(&s->apps, value, strlen(value), "", ANY_TYPE);
    }
    if (rc < 0) {
        selection_free(s);
        return rc;
    }
    finish(&s->names);
    finish(&s->apps);
    if (!s->names.n && !s->apps.n) {
        selection_free(s);
        s = NULL;
    }
    *out = s;
    return 0;
}

static void drop(struct words *words)
{
    for (size_t i = 0; i < words->n; i++)
        free(words->at[i].at);
    free(words->at);
}

void selection_free(struct selection *selection)
{
    if (!selection)
        return;
    drop(&selection->names);
    drop(&selection->apps);
    free(selection);
}

static bool equal(const struct words *a, const struct words *b)
{
    bool same = a->n == b->n;
    for (size_t i = 0; i < a->n && same; i++)
        same = compare(&a->at[i], &b->at[i]) == 0;
    return same;
}

bool selection_equal(const struct selection *a, const struct selection *b)
{
    if (!a || !b)
        return a == b;
    return equal(&a->names, &b->names) && equal(&a->apps, &b->apps);
}

/* Words of one text are beside each other. */
static bool has(const struct words *words, const char *text, int type)
{
    const struct word key = {.at = (char *)(uintptr_t)text};
    const struct word *end = words->at + words->n;
    const struct word *w =
        words->n ? bsearch(&key, words->at, words->n, sizeof key, compare_text) : NULL;
    while (w && w > words->at && strcmp(w[-1].at, text) == 0)
        w--;
    for (; w && w < end && strcmp(w->at, text) == 0; w++)
        if (w->type == ANY_TYPE || w->type == type)
            return true;
    return false;
}

bool selection_has_family(const struct selection *selection, struct smx_str name,
                          enum smx_type type)
{
    return !selection->names.n || has(&selection->names, name.at, (int)type);
}

bool selection_by_app(const struct selection *selection)
{
    return selection->apps.n > 0;
}

bool selection_has_app(const struct selection *selection, struct smx_str app)
{
    return !selection->apps.n || has(&selection->apps, app.at, ANY_TYPE);
}
