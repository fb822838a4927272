/* SPDX-License-Identifier: MIT
 *
 * segment-random.c - writes a segment of random families, labels and values, for scripts:
 * segment-random DIRECTORY SEED prints the path. The same seed gives the same segment; libshm has
 * no part in it. Names and values are those that formats stumble over.
 */
#include "support/segwriter.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FAMILIES = 40, SERIES = 6, LABELS = 3, LONG_LABEL = 10000 };

static uint64_t state;

static uint32_t pick(uint32_t n)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((state >> 33) % n);
}

static uint64_t pick_count(void)
{
    static const uint64_t odd[] = {0,
                                   1,
                                   (UINT64_C(1) << 53) - 1,
                                   UINT64_C(1) << 53,
                                   (UINT64_C(1) << 53) + 1,
                                   UINT64_MAX - 1,
                                   UINT64_MAX,
                                   UINT64_C(1000000000),
                                   UINT64_C(9999999999999999999)};
    enum { ODD = sizeof odd / sizeof odd[0] };
    uint32_t i = pick(2 * ODD);
    return i < ODD ? odd[i] : (uint64_t)pick(1u << 30) << pick(33);
}

static double pick_real(void)
{
    static const double odd[] = {0.0,       -0.0,      0.1,           1e-310,
                                 5e-324,    -1e308,    NAN,           INFINITY,
                                 -INFINITY, 1.0 / 3.0, 123456789.125, 9007199254740993.0};
    enum { ODD = sizeof odd / sizeof odd[0] };
    uint32_t i = pick(2 * ODD);
    return i < ODD ? odd[i] : ((double)pick(1u << 30) - (1 << 29)) / 1024;
}

/* Pieces that have to be escaped, are more than a byte, or look like the end of something. */
static const char *pick_value(char text[LONG_LABEL + 64])
{
    static const char *const pieces[] = {"\"", "\\",  "\n", "\\n", "{",        "}",
                                         ",",  " ",   "",   "=",   "\xc3\xa4", "'",
                                         "#",  "\t",  "a",  "GET", "le",       "\xf0\x9f\x90\x9f",
                                         "\r", "\x7f"};
    text[0] = '\0';
    if (pick(40) == 0) {
        memset(text, 'x', LONG_LABEL);
        text[LONG_LABEL] = '\0';
    }
    for (uint32_t n = pick(6); n; n--)
        strcat(text, pieces[pick(sizeof pieces / sizeof pieces[0])]);
    return text;
}

static void fill_histogram(struct segwriter *w, uint64_t series, uint32_t n_buckets)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < n_buckets; i++) {
        /* Many are empty, some next to each other are not. */
        uint64_t n = pick(3) ? 0 : pick(4) ? pick(100) : (uint64_t)pick(1u << 30) << pick(20);
        if (n)
            segwriter_bucket(w, series, pick(2), i, n);
        sum += n;
    }
    segwriter_limits(w, series, 0, pick_count(), sum ? 1 : 0, sum ? 1000 : 0);
}

static void fill_series(struct segwriter *w, uint64_t series, const struct segwriter_family *f)
{
    if (f->type == SEGWRITER_COUNTER)
        segwriter_count(w, series, 0, pick_count());
    else if (f->type == SEGWRITER_HISTOGRAM)
        fill_histogram(w, series, f->n_bounds ? f->n_bounds + 1 : f->n_exponential + 2);
    else if (f->is_double)
        segwriter_fgauge(w, series, 0, SEGWRITER_SHARED_WORD, pick_real());
    else
        segwriter_gauge(w, series, 0, SEGWRITER_SHARED_WORD, (int64_t)pick_count());
}

static void describe(struct segwriter_family *f, uint32_t i, char name[32],
                     char help[LONG_LABEL + 64])
{
    static const double bounds[] = {0, 0.1, 0.25, 1, 1e9};
    static const char *const states[] = {"off", "\"on\"", "a\\b\n", "\xc3\xa4", NULL};
    /* What a name may go on with: it stays another than those before, however it is escaped. */
    static const char *const pieces[] = {
        "",  "",  "_x", ".x", " ", "\xc3\xa4", "\"", "\\", "\n", "\xf0\x9f\x90\x9f",
        "{", ",", "}",  "=",  "#", ":x"};
    static const char *const labels[LABELS][4] = {{"one", "one", "o.n", "1"},
                                                  {"two", "two", "t\"w", "two:"},
                                                  {"six", "six", "s\xc3\xa4\n", ",}="}};
    *f = (struct segwriter_family){.name = name, .type = (uint8_t)(1 + pick(5))};
    bool gauge = f->type == SEGWRITER_GAUGE;
    bool count = f->type == SEGWRITER_COUNTER || f->type == SEGWRITER_HISTOGRAM;
    snprintf(name, 32, "family_%u%s%s", i, pieces[pick(sizeof pieces / sizeof pieces[0])],
             f->type == SEGWRITER_INFO                 ? "_info"
             : f->type == SEGWRITER_COUNTER && pick(4) ? "_total"
                                                       : "");
    f->states = f->type == SEGWRITER_STATESET ? states + pick(4) : NULL;
    f->help = pick_value(help);
    f->digits = count ? (uint8_t)pick(10) : 0;
    f->is_double = gauge && pick(2);
    f->mode = count ? SEGWRITER_SUM : SEGWRITER_LAST;
    for (uint32_t k = 0, n = pick(LABELS + 1); k < n; k++)
        f->labels[k] = labels[k][pick(4)];
    if (f->type == SEGWRITER_HISTOGRAM && pick(2)) {
        f->bounds = bounds;
        f->n_bounds = 1 + pick(sizeof bounds / sizeof bounds[0]);
        f->digits = 2;
    } else if (f->type == SEGWRITER_HISTOGRAM) {
        f->schema = (int8_t)(pick(9) - 2);
        f->first_index = (int32_t)pick(40) - 20;
        f->n_exponential = 1 + pick(100);
        f->digits = 9;
    }
}

static void add_family(struct segwriter *w, uint32_t i)
{
    char name[32];
    static char help[LONG_LABEL + 64], values[LABELS][LONG_LABEL + 64];
    struct segwriter_family f;
    describe(&f, i, name, help);
    uint64_t family = segwriter_family(w, &f);
    for (uint32_t k = 0; k < (f.labels[0] ? SERIES : 1); k++) {
        const char *list[LABELS + 1] = {NULL};
        for (uint32_t l = 0; f.labels[l]; l++)
            list[l] = pick_value(values[l]);
        /* A number makes it another than those before. */
        if (f.labels[0])
            snprintf(values[0] + strlen(values[0]), 8, "%u", k);
        fill_series(w, segwriter_series(w, family, list), &f);
    }
}

int main(int argc, char **argv)
{
    char path[SEGWRITER_PATH_SIZE], instance[32];
    if (argc != 3) {
        fprintf(stderr, "Usage: segment-random DIRECTORY SEED\n");
        return 2;
    }
    state = strtoull(argv[2], NULL, 10) * 2 + 1;
    snprintf(instance, sizeof instance, "%s", argv[2]);
    struct segwriter *w = segwriter_new(&(struct segwriter_options){
        .app = "random", .instance = instance, .capacity = UINT64_C(16) << 20});
    for (uint32_t i = 0; i < FAMILIES; i++)
        add_family(w, i);
    int result = segwriter_save(w, argv[1], path);
    segwriter_free(w);
    if (result != 0)
        fprintf(stderr, "segment-random: cannot write: %s\n", strerror(-result));
    return result != 0 || puts(path) < 0;
}
